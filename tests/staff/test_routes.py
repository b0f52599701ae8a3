"""Permissions in the admin. The tables cover every URL and every action: a new one fails until it has a row."""

import copy
from dataclasses import dataclass, field
from functools import partial

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from campaign.models import Figure, Page, Partner, Report, Testimony, Update
from petition.mail.keys import Keyring
from petition.models import (
    AnomalyMark,
    CannedReason,
    CountsToken,
    Draft,
    HeldSignature,
    InvalidationCampaign,
    LanguageApproval,
    ListedDomain,
    ListedNetwork,
    Lookup,
    OutgoingMail,
    PaperSheets,
    Petition,
    ProposedListing,
    Signature,
    Source,
    StaffAccount,
    StaffAction,
    Switches,
    TextVersion,
    Verdict,
)
from petition.models.signature import this_hour
from tests.conftest import create_signature, make_petition, make_sheets
from tests.support import links
from tests.support.accounts import (
    ADMINISTRATOR,
    ANONYMOUS,
    EDITOR,
    MODERATOR,
    NO_ROLE,
    NOT_STAFF,
    ORGANISER,
    SUPERUSER,
    log_in,
    make_users,
)

pytestmark = pytest.mark.django_db

STAFF = {MODERATOR, EDITOR, ORGANISER, ADMINISTRATOR, NO_ROLE, SUPERUSER}
# Superusers are administrators and everything else, but confirmed facts are facts for them, too.
NOBODY: set = set()


def only(*names):
    return {*names, SUPERUSER}


@dataclass(frozen=True)
class Route:
    """The roles that get in by GET and by POST, and their answers. Other staff get 403, everybody else the login."""

    get: set
    post: set
    about: str = ""  # the row whose number is in the path
    inside: tuple = (200, 302)
    data: dict = field(default_factory=dict, hash=False)
    arguments: tuple = ()


def model(name, about, *, view, add, change, delete, translated=False):
    """The pages that Django makes for a model."""
    found = {
        f"{name}_changelist": Route(view, view),
        f"{name}_add": Route(add, add),
        f"{name}_change": Route(view, change, about),
        f"{name}_delete": Route(delete, delete, about, data={"post": "yes"}),
        f"{name}_history": Route(view & only(ADMINISTRATOR), view & only(ADMINISTRATOR), about),
    }
    if translated:
        found[f"{name}_delete_translation"] = Route(delete, delete, about, data={"post": "yes"}, arguments=("ru",))
    return found


def texts(name, about, *, add=None, write=None, delete=None, versions=True, is_published=True):
    """Texts with drafts. What readers may see is not deleted: `tests/staff/test_drafts.py` deletes drafts."""
    write, delete = write or only(EDITOR), delete or NOBODY
    view = only(EDITOR) if is_published else only(EDITOR, ADMINISTRATOR)
    add = write if add is None else add
    found = model(name, about, view=view, add=add, change=view, delete=delete, translated=True)
    found[f"{name}_publish"] = Route(write, write, about)
    if versions:
        found[f"{name}_versions"] = Route(view, view, about)
    if is_published:
        found[f"{name}_take_off"] = Route(write, write, about, data={"reason": "A mistake"})
    return found


def facts(name, about, view):
    return model(name, about, view=view, add=NOBODY, change=NOBODY, delete=NOBODY)


ROUTES = {
    "index": Route(STAFF, STAFF),
    "login": Route(STAFF | {NOT_STAFF, ANONYMOUS}, STAFF | {NOT_STAFF, ANONYMOUS}),
    "logout": Route(STAFF, STAFF, inside=(200, 302, 405)),
    "password_change": Route(STAFF, STAFF),
    "language": Route(STAFF, STAFF, inside=(302, 405)),
    "password_change_done": Route(STAFF, STAFF, inside=(200, 405)),
    "second_factor": Route(STAFF, STAFF),
    "second_factor_set_up": Route(STAFF, STAFF),
    "second_factor_scan": Route(STAFF, STAFF),
    "backup_codes": Route(STAFF, STAFF),
    "jsi18n": Route(STAFF, STAFF, inside=(200, 405)),
    # It looks at the permissions itself, and nothing of ours is found through it.
    "autocomplete": Route(NOBODY, STAFF, inside=(405,)),
    "app_list": Route(STAFF, STAFF, inside=(302, 404), arguments=("petition",)),
    "petition_staffaction_changelist": Route(only(ADMINISTRATOR), only(ADMINISTRATOR)),
    "auth_user_password_change": Route(only(ADMINISTRATOR), only(ADMINISTRATOR), "user"),
    "auth_user_second_factor": Route(only(ADMINISTRATOR), only(ADMINISTRATOR), "user"),
    "petition_counts_changelist": Route(only(ORGANISER, ADMINISTRATOR), only(ORGANISER, ADMINISTRATOR)),
    **{
        f"petition_counts_{name}": Route(
            only(ORGANISER, ADMINISTRATOR), only(ORGANISER, ADMINISTRATOR), arguments=("chechnya", *arguments)
        )
        for name, arguments in (
            ("page", ()),
            ("funnel", ()),
            ("download", ("csv",)),
            ("letter", ("en",)),
        )
    },
    # Without a question there is nothing to make; what was made is for its account alone (counts/test_prepared.py).
    **{
        f"petition_counts_{name}": Route(
            only(ORGANISER, ADMINISTRATOR),
            only(ORGANISER, ADMINISTRATOR),
            inside=(404,),
            arguments=("chechnya", *arguments),
        )
        for name, arguments in (("prepare", ("csv",)), ("prepared", (1,)), ("fetch", (1,)))
    },
    "petition_source_code": Route(only(ORGANISER), only(ORGANISER), "source"),
    **model(
        "petition_countstoken",
        "token",
        view=only(ADMINISTRATOR),
        add=only(ADMINISTRATOR),
        change=NOBODY,
        delete=NOBODY,
    ),
    **facts("petition_signature", "signature", view=only(MODERATOR)),
    # Who may find one may see it, and decides nothing.
    "petition_signature_change": Route(
        only(MODERATOR, ADMINISTRATOR), only(MODERATOR), "signature", data={"action": "hold", "reason": "a test"}
    ),
    "petition_signature_history": Route(only(ADMINISTRATOR), only(ADMINISTRATOR), "signature"),
    "petition_review_changelist": Route(only(MODERATOR), only(MODERATOR)),
    "petition_review_change": Route(only(MODERATOR), only(MODERATOR), "words"),
    "petition_review_decisions": Route(only(MODERATOR), only(MODERATOR)),
    **facts("petition_heldsignature", "held", view=only(MODERATOR)),
    **model(
        "petition_invalidationcampaign",
        "campaign",
        view=only(MODERATOR, ADMINISTRATOR),
        add=only(MODERATOR),
        change=only(MODERATOR, ADMINISTRATOR),
        delete=NOBODY,
    ),
    "petition_invalidationcampaign_apply": Route(only(MODERATOR), only(MODERATOR), "campaign", inside=(302, 405)),
    **{
        f"petition_invalidationcampaign_{step}": Route(
            only(MODERATOR, ADMINISTRATOR), only(MODERATOR, ADMINISTRATOR), "campaign", inside=(200, 302, 405)
        )
        for step in ("approve", "cancel", "explain", "undo")
    },
    **model(
        "petition_papersheets",
        "sheets",
        view=only(ORGANISER, ADMINISTRATOR),
        add=only(ORGANISER, ADMINISTRATOR),
        change=only(ORGANISER, ADMINISTRATOR),
        delete=NOBODY,
    ),
    **{
        f"petition_papersheets_{step}": Route(
            only(ORGANISER, ADMINISTRATOR), only(ORGANISER, ADMINISTRATOR), "sheets", inside=(200, 302, 405)
        )
        for step in ("check", "withdraw")
    },
    **model(
        "petition_cannedreason",
        "canned",
        view=only(ADMINISTRATOR),
        add=only(ADMINISTRATOR),
        change=only(ADMINISTRATOR),
        delete=only(ADMINISTRATOR),
        translated=True,
    ),
    "petition_lookup_changelist": Route(only(ADMINISTRATOR), only(ADMINISTRATOR)),
    **{
        f"petition_lookup_{step}": Route(only(ADMINISTRATOR), only(ADMINISTRATOR), "lookup", inside=(302, 405))
        for step in ("approve", "refuse")
    },
    "petition_subscription_changelist": Route(only(ORGANISER), only(ORGANISER)),
    # The rows have none: to who may, it says so.
    "petition_subscription_export": Route(only(ORGANISER), only(ORGANISER), inside=(404, 405), arguments=("0" * 16,)),
    "petition_retention_changelist": Route(only(ADMINISTRATOR), only(ADMINISTRATOR)),
    "petition_sample_changelist": Route(only(ADMINISTRATOR), only(ADMINISTRATOR)),
    "petition_signals_changelist": Route(only(MODERATOR, ADMINISTRATOR), only(MODERATOR, ADMINISTRATOR)),
    **{
        f"petition_signals_{step}": Route(only(MODERATOR), only(MODERATOR), about, inside=(302, 400, 405))
        for step, about in (("settle", ""), ("reopen", "mark"), ("propose", ""))
    },
    "petition_proposedlisting_changelist": Route(only(ADMINISTRATOR), only(ADMINISTRATOR)),
    **{
        f"petition_proposedlisting_{step}": Route(
            only(ADMINISTRATOR), only(ADMINISTRATOR), "proposal", inside=(302, 405)
        )
        for step in ("confirm", "refuse")
    },
    **{
        f"petition_heldsignature_{step}": Route(only(MODERATOR), only(MODERATOR), "held")
        for step in ("release_network", "hold_network", "release_reason")
    },
    **facts("petition_outgoingmail", "mail", view=only(ADMINISTRATOR)),
    "petition_outgoingmail_retry_parked": Route(only(ADMINISTRATOR), only(ADMINISTRATOR), inside=(302, 405)),
    # Who could add one is told that there is one already.
    **texts("petition_petition", "petition", add={SUPERUSER}, is_published=False),
    **model(
        "petition_source",
        "source",
        view=only(ORGANISER),
        add=only(ORGANISER),
        change=only(ORGANISER),
        delete=only(ORGANISER),
    ),
    **model(
        "petition_switches",
        "switches",
        view=only(ADMINISTRATOR),
        add=NOBODY,
        change=only(ADMINISTRATOR),
        delete=NOBODY,
        translated=True,
    ),
    **model(
        "petition_listednetwork",
        "network",
        view=only(ADMINISTRATOR),
        add=only(ADMINISTRATOR),
        change=only(ADMINISTRATOR),
        delete=only(ADMINISTRATOR),
    ),
    **model(
        "petition_listeddomain",
        "domain",
        view=only(ADMINISTRATOR),
        add=only(ADMINISTRATOR),
        change=only(ADMINISTRATOR),
        delete=only(ADMINISTRATOR),
    ),
    **texts("campaign_page", "page"),
    **texts("campaign_update", "update"),
    **texts("campaign_figure", "figure"),
    **texts("campaign_testimony", "testimony", versions=False),
    **texts("campaign_partner", "partner", versions=False, delete=only(EDITOR)),
    **model(
        "petition_languageapproval",
        "language",
        view=only(EDITOR),
        add=only(EDITOR),
        change=NOBODY,
        delete=only(EDITOR),
    ),
    **facts("campaign_report", "report", view=only(MODERATOR)),
    **model(
        "auth_user",
        "user",
        view=only(ADMINISTRATOR),
        add=only(ADMINISTRATOR),
        change=only(ADMINISTRATOR),
        delete=only(ADMINISTRATOR),
    ),
}

STATE = (
    *(User, Petition, Signature, OutgoingMail, Source, Page, Update, Figure, Report, StaffAction, TOTPDevice, Switches),
    InvalidationCampaign,
    PaperSheets,
    CannedReason,
    Lookup,
    AnomalyMark,
    ProposedListing,
    ListedDomain,
    Testimony,
    Partner,
    LanguageApproval,
    StaffAccount,
    Draft,
    TextVersion,
)

# For each action of a list: who is offered it, and can do it.
ACTIONS = {
    ("signature", "hold"): only(MODERATOR),
    ("signature", "release"): only(MODERATOR),
    ("signature", "invalidate"): only(MODERATOR),
    ("signature", "restore"): only(MODERATOR),
    ("heldsignature", "release"): only(MODERATOR),
    ("heldsignature", "invalidate"): only(MODERATOR),
    ("outgoingmail", "try_again"): only(ADMINISTRATOR),
    ("countstoken", "revoke"): only(ADMINISTRATOR),
    ("cannedreason", "delete_selected"): only(ADMINISTRATOR),
    ("listednetwork", "delete_selected"): only(ADMINISTRATOR),
    ("listeddomain", "delete_selected"): only(ADMINISTRATOR),
    ("languageapproval", "delete_selected"): only(EDITOR),
    ("report", "leave"): only(MODERATOR),
    ("report", "hide"): only(MODERATOR),
    ("user", "delete_selected"): only(ADMINISTRATOR),
}


@pytest.fixture(scope="module")
def world(shared_transaction):
    """The rows and the accounts below, made once: what a test does to them is undone with its own transaction."""
    return make_rows(make_petition()), log_in(make_users())


@pytest.fixture
def rows(world):
    return copy.deepcopy(world[0])


@pytest.fixture
def clients(world):
    return copy.deepcopy(world[1])


def make_rows(petition):
    """One row of everything; the signer's address must stand on no page."""
    make_signature = partial(create_signature, petition)
    call_command("load_campaign")
    address = "maria@example.org"
    Keyring().rotate()
    mail = links.owe_mail(petition, address, parked_at=timezone.now())
    return {
        "petition": petition,
        "signature": make_signature(email=address, name="Maria", confirmed=True),
        "words": make_signature(words="Be strong", confirmed=True),
        "held": HeldSignature.objects.get(
            pk=make_signature(email="held@example.org", confirmed=True, held_at=this_hour()).pk
        ),
        "campaign": InvalidationCampaign.objects.create(
            petition=petition, reason="Robots", country="DE", network_digest=b"n" * 3
        ),
        "canned": CannedReason.objects.in_order().first(),
        "mail": mail,
        "lookup": Lookup.objects.create(asked_by=0, reason="She asks", address=mail.recipient, key_id=mail.key_id),
        "source": Source.objects.create(slug="amnesty", title="Amnesty"),
        "token": CountsToken.objects.create(name="A dashboard", digest=b"d" * 32),
        "sheets": make_sheets(petition),
        "page": Page.objects.get(slug="about"),
        "update": Update.objects.get(),
        "figure": Figure.objects.get(slug="evacuated"),
        "testimony": make_testimony(),
        "partner": make_partner(),
        "language": LanguageApproval.objects.create(language="de"),
        "report": make_report(make_signature),
        "switches": make_switches(),
        "network": ListedNetwork.objects.create(network="192.0.2.0/24", verdict=Verdict.BLOCK),
        "domain": ListedDomain.objects.create(domain="spam.example", verdict=Verdict.BLOCK),
        "mark": AnomalyMark.objects.create(
            kind="source",
            name="radio",
            since=this_hour(),
            until=this_hour(),
            count=500,
            reason="Radio",
            username="vera",
        ),
        "proposal": ProposedListing.objects.create(name="throwaway.example", count=500, username="vera"),
        "user": User.objects.create_user("somebody", is_staff=True),
    }


def make_report(make_signature):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    signature = make_signature(words="Doubtful", confirmed=True, approved_at=hour, name="Boris")
    Report.objects.add(signature.shown)
    return Report.objects.get()


def make_testimony():
    testimony = Testimony.objects.language("en").create(slug="one", words="They came", told_by="A survivor", source="S")
    testimony.create_translation("ru", words="Они пришли", told_by="Выживший", source="S")
    return testimony


def make_partner():
    source = Source.objects.create(slug="friends", title="Friends")
    partner = Partner.objects.language("en").create(source=source, text="Sign with us")
    partner.create_translation("ru", text="Подпишите с нами")
    return partner


def make_switches():
    switches = Switches.objects.get_or_create(id=1)[0]
    switches.set_current_language("ru")
    switches.banner = "Сегодня нас атаковали."
    switches.save()
    return switches


def path(name, route, rows):
    about = [rows[route.about].pk] if route.about else []
    return reverse(f"admin:{name}", args=[*about, *route.arguments])


def admin_patterns():
    (found,) = [pattern for pattern in get_resolver().url_patterns if getattr(pattern, "namespace", "") == "admin"]
    return list(flat(found.url_patterns))


def flat(patterns):
    for pattern in patterns:
        yield from [pattern] if isinstance(pattern, URLPattern) else flat(pattern.url_patterns)


# The tables.


def test_every_url_of_the_admin_has_a_row():
    named = {pattern.name for pattern in admin_patterns() if pattern.name}
    # Old links to a row, and everything unknown.
    views = [pattern.callback for pattern in admin_patterns() if not pattern.name]
    unnamed = {getattr(view, "view_class", view).__name__ for view in views}

    assert named == set(ROUTES)
    assert unnamed == {"RedirectView", "catch_all_view"}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ROUTES)
def test_a_url_lets_in_whom_the_table_names(rows, clients, name, method):
    route = ROUTES[name]
    allowed = getattr(route, method)
    url = path(name, route, rows)
    for who, client in clients.items():
        with transaction.atomic():
            response = getattr(client, method)(url, route.data if method == "post" else None)
            transaction.set_rollback(True)
        outcome = (who, response.status_code, response.headers.get("Location", ""))
        if who in allowed:
            assert response.status_code in route.inside, outcome
            assert name == "login" or not outcome[2].startswith(reverse("admin:login")), outcome
        elif who in STAFF:
            assert response.status_code == 403, outcome
        else:
            assert (response.status_code, outcome[2].partition("?")[0]) in (
                (302, reverse("admin:login")),
                (302, reverse("admin:index")),
            ), outcome


@pytest.mark.parametrize("name", ROUTES)
def test_nothing_is_done_for_those_who_are_not_let_in(rows, clients, name):
    def state():
        return [list(model.objects.order_by("pk").values()) for model in STATE]

    route = ROUTES[name]
    before = state()
    for who, client in clients.items():
        if who not in route.post:
            client.post(path(name, route, rows), {**route.data, "reason": "x", "slug": "x", "title": "x", "name": "x"})
            assert state() == before, who


def test_every_action_of_a_list_has_a_row(clients, rf):
    request = rf.get("/")
    request.user = clients[SUPERUSER].user

    found = {
        (model._meta.model_name, action)
        for model, model_admin in admin.site._registry.items()
        if hasattr(model_admin, "get_actions")
        for action in model_admin.get_actions(request)
    }

    assert found == set(ACTIONS)


@pytest.mark.parametrize("key", ACTIONS, ids=str)
def test_an_action_is_done_by_those_whom_the_table_names_and_leaves_a_trace(rows, clients, key):
    model_name, action = key
    row = next(row for row in rows.values() if row._meta.model_name == model_name)
    if action == "restore":
        Signature.objects.filter(pk=row.pk).invalidate("a test")
    if action == "release":
        Signature.objects.filter(pk=row.pk).hold("a test")
    url = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_changelist")
    for who, client in clients.items():
        with transaction.atomic():
            before = type(row).objects.filter(pk=row.pk).values().first()
            client.post(url, {"action": action, "_selected_action": [row.pk], "post": "yes", "reason": "a test"})
            after = type(row).objects.filter(pk=row.pk).values().first()
            audited = StaffAction.objects.filter(username=who).count()
            transaction.set_rollback(True)
        done = who in ACTIONS[key]
        assert (after != before, audited) == (done, int(done)), who


def test_no_page_shows_an_address_or_a_digest(rows, clients):
    digest = bytes(rows["signature"].email_digest)
    secret = ["maria@", digest.hex(), digest.hex()[:12], repr(digest)[2:-1], bytes(rows["mail"].recipient).hex()[:12]]
    for name, route in ROUTES.items():
        for who in route.get & STAFF:
            if name not in ("logout", "login"):
                response = clients[who].get(path(name, route, rows), follow=True)
                page = b"".join(response).decode(errors="replace")
                assert [text for text in secret if text in page] == [], (who, name)
                if response["Content-Type"].startswith("text/html"):
                    assert "igest" not in page, (who, name)


def test_the_log_of_django_stays_empty(rows, clients):
    client = clients[SUPERUSER]
    client.post(reverse("admin:petition_source_add"), {"slug": "new", "title": "New"})
    client.post(reverse("admin:petition_source_change", args=["new"]), {"title": "Newer"})
    client.post(reverse("admin:petition_source_delete", args=["new"]), {"post": "yes"})

    assert [(entry.action, entry.about, entry.detail) for entry in StaffAction.objects.order_by("id")] == [
        ("added", "source new", "slug, title"),
        ("changed", "source new", "title"),
        ("deleted", "source new", ""),
    ]
    assert not LogEntry.objects.exists()


def test_what_has_no_page_cannot_be_edited_by_anyone():
    """Tallies, marks, salts, the keys of second factors, groups and the entries of the audit log, one by one."""
    shown = {model._meta.label for model in admin.site._registry}

    assert shown == {
        "auth.User",
        "campaign.Figure",
        "campaign.Page",
        "campaign.Partner",
        "campaign.Testimony",
        "petition.LanguageApproval",
        "petition.CannedReason",
        "petition.Counts",
        "petition.CountsToken",
        "campaign.Report",
        "campaign.Update",
        "petition.OutgoingMail",
        "petition.PaperSheets",
        "petition.HeldSignature",
        "petition.InvalidationCampaign",
        "petition.ListedDomain",
        "petition.ListedNetwork",
        "petition.Petition",
        "petition.ProposedListing",
        "petition.Retention",
        "petition.Review",
        "petition.Sample",
        "petition.Signature",
        "petition.Lookup",
        "petition.Signals",
        "petition.Source",
        "petition.StaffAction",
        "petition.Subscription",
        "petition.Switches",
    }
