"""What is done about an anomaly: a mark with a reason, a campaign, a proposal that an administrator confirms."""

import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from petition import confirmation, identity, live_settings, retention
from petition.models import AnomalyMark, ListedDomain, ProposedListing, SeenDomain, Signature, StaffAction
from petition.models.signature import this_hour
from petition.moderation import settling
from petition.moderation.anomalies import Anomaly
from petition.moderation.anomaly_groups import Cell
from tests.support.crowds import HOUR, Crowd, sign

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:petition_signals_changelist")
SETTLE = reverse("admin:petition_signals_settle")
PROPOSE = reverse("admin:petition_signals_propose")
PROPOSALS = reverse("admin:petition_proposedlisting_changelist")
# While it goes on: a network can be proposed on its day alone.
AGO = 0 * HOUR


@pytest.fixture
def attacked(petition):
    """Two hundred of one network, with mailboxes of one domain that is known by name, and a radio programme."""
    at = this_hour() - AGO
    crowd = Crowd(3_000, days=5)
    network, domain = identity.network_digest("192.0.2.7"), identity.domain_digest("x@throwaway.example")
    fakes = [
        (row[0], domain, network, *row[3:]) for row in (crowd.row(at, "x", "x", confirmed=True) for _ in range(200))
    ]
    radio = [crowd.row(at, crowd.domain("DE", []), f"proxy {n}", "DE", "de", source="radio") for n in range(300)]
    sign(petition, crowd.rows + fakes + radio)
    SeenDomain.objects.create(digest=domain, name="throwaway.example", shared_on=at.date())


@pytest.fixture
def administrator(make_staff):
    client = Client()
    client.force_login(make_staff("administrator", username="adam"))
    return client


def entry(client, kind, value=""):
    entries = client.get(PAGE).context["entries"]
    return next(e for e in entries if e.anomaly.kind == kind and (not value or e.anomaly.value == value))


def text(response):
    return re.sub(r"\s+", " ", html.unescape(response.content.decode()))


# Marks.


def test_a_mark_with_a_reason_settles_an_anomaly_until_it_is_taken_away(moderator, attacked):
    radio = entry(moderator, "source", "radio")
    assert not radio.is_settled

    page = moderator.post(SETTLE, {"group": radio.token, "reason": "Radio at noon, asked the partner"}, follow=True)

    assert entry(moderator, "source", "radio").is_settled
    assert "Radio at noon, asked the partner" in text(page)
    assert re.search(r"vera looked at it, [\d-]+ [\d:]+ UTC", text(page))
    done = StaffAction.objects.get(action="signal_settled")
    assert (done.username, done.detail, done.reason) == ("vera", "source radio", "Radio at noon, asked the partner")

    mark = AnomalyMark.objects.get()
    moderator.post(reverse("admin:petition_signals_reopen", args=[mark.pk]))
    assert not entry(moderator, "source", "radio").is_settled
    assert StaffAction.objects.filter(action="signal_reopened", detail="source radio").exists()


def test_a_mark_needs_a_reason_and_a_group_that_the_page_has_shown(moderator, attacked):
    radio = entry(moderator, "source", "radio")

    asked = moderator.post(SETTLE, {"group": radio.token, "reason": "a@b.example"})
    assert "An address may not be kept" in text(asked)
    assert moderator.post(SETTLE, {"group": radio.token + "x", "reason": "A choir"}).status_code == 400
    assert moderator.get(SETTLE).status_code == 405

    assert not AnomalyMark.objects.exists()


def test_a_mark_holds_neither_a_name_nor_a_domain_nor_a_network(moderator, attacked):
    for kind in ("network", "domain"):
        moderator.post(SETTLE, {"group": entry(moderator, kind).token, "reason": "Our own test"})

    for mark in AnomalyMark.objects.all():
        assert re.fullmatch(r"[A-Z2-7]{6}", mark.name)
    assert entry(moderator, "network").is_settled
    assert entry(moderator, "domain").is_settled


def test_what_is_settled_waits_for_nobody():
    mark().save()

    assert settling.unsettled([anomaly(), anomaly(751), anomaly(kind="country")]) == 2


def anomaly(count=500, since=0, hours=1, kind="source"):
    start = this_hour().replace(hour=12) + since * HOUR
    return Anomaly(kind, "radio", Cell(count), expected=3, since=start, until=start + hours * HOUR)


def mark():
    start = this_hour().replace(hour=12)
    return AnomalyMark(kind="source", name="radio", since=start, until=start + HOUR, count=500, username="vera")


@pytest.mark.parametrize(
    ("found", "is_settled"),
    [
        (anomaly(), True),
        (anomaly(since=-12, hours=24), True),
        (anomaly(750, hours=8), True),
        (anomaly(751, hours=8), False),
        (anomaly(100, since=25), False),
        (anomaly(100, since=-13), False),
    ],
    ids=["the same", "its whole day, in the last tab", "it goes on", "it has grown", "the next day", "the day before"],
)
def test_a_mark_is_about_the_group_that_was_looked_at(found, is_settled):
    assert settling.settles(mark(), found) is is_settled


def test_a_mark_is_on_no_other_group():
    other = AnomalyMark(kind="country", name="radio", since=this_hour(), until=this_hour(), count=500)

    assert settling.marks_of(anomaly(), [mark(), other])[0].kind == "source"
    assert settling.marks_of(anomaly(kind="language"), [mark(), other]) == []


def test_marks_and_proposals_go_with_what_they_are_about(petition):
    now = this_hour()
    for days in (31, 1):
        made = now - timedelta(days=days)
        values = {"since": made, "until": made, "count": 9, "username": "vera", "reason": "A choir"}
        AnomalyMark.objects.create(kind="source", name="radio", made_at=made, **values)
        ProposedListing.objects.create(name=f"x{days}.example", count=9, username="vera", proposed_at=made)
    for days in (10, 1):
        values = {"network_digest": b"abc", "day": (now - timedelta(days=days)).date(), "count": 9}
        ProposedListing.objects.create(name="ABCDEF", username="vera", proposed_at=now, **values)

    purged = retention.purge()

    assert (purged["marks of anomalies"], purged["proposals for the lists"]) == (1, 2)
    assert AnomalyMark.objects.get().made_at == now - timedelta(days=1)
    assert ProposedListing.objects.count() == 2


# What else one press does.


def test_a_campaign_begins_with_what_the_anomaly_knows(moderator, attacked):
    network, domain, radio = (entry(moderator, kind) for kind in ("network", "domain", "source"))

    at = this_hour() - AGO
    times = {"signed_since": [f"{at:%Y-%m-%dT%H:%M}"], "signed_until": [f"{at + HOUR:%Y-%m-%dT%H:%M}"]}
    assert parse_qs(urlsplit(network.campaign_url).query) == {
        "network_like": [str(network.anomaly.cell.example)],
        **times,
    }
    assert parse_qs(urlsplit(domain.campaign_url).query) == {"domain": ["throwaway.example"], **times}
    assert parse_qs(urlsplit(radio.campaign_url).query) == {"source": ["radio"], **times}


def test_a_domain_without_a_name_stands_in_no_url_and_on_no_list(moderator, attacked):
    SeenDomain.objects.all().delete()
    found = entry(moderator, "domain")

    assert not found.can_be_listed
    assert "domain_like=" in found.campaign_url, "a campaign goes by one of its signatures"
    moderator.post(PROPOSE, {"group": found.token})
    assert not ProposedListing.objects.exists()


def test_a_large_provider_is_not_proposed(moderator, attacked):
    SeenDomain.objects.update(name="gmail.com")
    found = entry(moderator, "domain")

    assert not found.can_be_listed
    moderator.post(PROPOSE, {"group": found.token})
    assert not ProposedListing.objects.exists()


def test_a_domain_that_is_never_held_is_not_proposed(moderator, attacked):
    ListedDomain.objects.create(domain="*.example", verdict="allow")
    live_settings._state = None
    found = entry(moderator, "domain")

    assert not found.can_be_listed
    assert "This mail domain is on the list: what comes from it is never held." in text(moderator.get(PAGE))
    moderator.post(PROPOSE, {"group": found.token})
    assert not ProposedListing.objects.exists()


# Proposals.


def test_a_moderator_proposes_a_domain_and_an_administrator_lists_it(moderator, administrator, attacked):
    moderator.post(PROPOSE, {"group": entry(moderator, "domain").token})
    assert "vera has proposed to list it" in text(moderator.get(PAGE))
    assert not ListedDomain.objects.exists()
    moderator.post(PROPOSE, {"group": entry(moderator, "domain").token})
    proposal = ProposedListing.objects.waiting().get()

    page = text(administrator.get(PROPOSALS))
    assert "throwaway.example" in page
    assert "vera" in page
    administrator.post(reverse("admin:petition_proposedlisting_confirm", args=[proposal.pk]))

    listed = ListedDomain.objects.get()
    assert (listed.domain, listed.verdict) == ("throwaway.example", "block")
    live_settings._state = None
    assert live_settings.reason_to_hold_domain("new@throwaway.example") == "blocked mail domain"
    assert "This mail domain is on the list: what comes from it is held." in text(moderator.get(PAGE))
    assert not entry(moderator, "domain").can_be_listed
    assert not ProposedListing.objects.exists()
    actions = StaffAction.objects.filter(action__startswith="listing").order_by("id")
    assert [(entry.username, entry.action, entry.detail) for entry in actions] == [
        ("vera", "listing_proposed", "mail domain"),
        ("adam", "listing_confirmed", "proposed by vera"),
    ]
    assert "throwaway" not in "".join(str(values) for values in StaffAction.objects.values_list())


def test_a_network_is_held_for_its_day_once_an_administrator_confirms(
    moderator, administrator, attacked, make_signature
):
    moderator.post(PROPOSE, {"group": entry(moderator, "network").token})
    proposal = ProposedListing.objects.get()
    at = this_hour() - AGO
    digest = identity.network_digest("192.0.2.7")
    assert (bytes(proposal.network_digest), proposal.day, proposal.count) == (digest, at.date(), 200)

    def held(**values):
        signature = make_signature(**{"created_at": at, "network_digest": digest, **values})
        confirmation.confirm(signature)
        return Signature.objects.get(pk=signature.pk).held_reason

    assert held() == ""
    administrator.post(reverse("admin:petition_proposedlisting_confirm", args=[proposal.pk]))
    live_settings._state = None

    assert held() == "blocked network"
    assert held(created_at=at - timedelta(days=1)) == "", "another network, on another day"
    assert held(network_digest=b"xyz") == ""
    assert "What is signed from this network on its day is held." in text(moderator.get(PAGE))

    administrator.post(reverse("admin:petition_proposedlisting_refuse", args=[proposal.pk]))
    live_settings._state = None
    assert held() == ""


def test_a_network_whose_day_has_ended_is_not_proposed(moderator, petition):
    yesterday = this_hour().replace(hour=12) - 24 * HOUR
    crowd = Crowd(3_000, days=5)
    network = identity.network_digest("192.0.2.7")
    rows = [crowd.row(yesterday, "x", "x", confirmed=True) for _ in range(200)]
    sign(petition, crowd.rows + [(*row[:2], network, *row[3:]) for row in rows])
    entries = moderator.get(PAGE, {"span": "month"}).context["entries"]
    found = next(entry for entry in entries if entry.anomaly.kind == "network")

    assert not found.can_be_listed
    page = moderator.post(PROPOSE, {"group": found.token}, follow=True)

    assert "has no name any more" in text(page)
    assert not ProposedListing.objects.exists()


def test_an_administrator_refuses(moderator, administrator, attacked):
    moderator.post(PROPOSE, {"group": entry(moderator, "domain").token})
    proposal = ProposedListing.objects.get()

    administrator.post(reverse("admin:petition_proposedlisting_refuse", args=[proposal.pk]))
    administrator.post(reverse("admin:petition_proposedlisting_confirm", args=[proposal.pk]))

    assert not ProposedListing.objects.exists()
    assert not ListedDomain.objects.exists()
    assert StaffAction.objects.filter(action="listing_refused", username="adam").count() == 1


def test_an_entry_of_the_list_is_left_as_it_is(moderator, administrator, attacked):
    moderator.post(PROPOSE, {"group": entry(moderator, "domain").token})
    ListedDomain.objects.create(domain="throwaway.example", verdict="allow")

    pk = ProposedListing.objects.get().pk
    page = administrator.post(reverse("admin:petition_proposedlisting_confirm", args=[pk]), follow=True)

    assert ListedDomain.objects.get().verdict == "allow"
    assert "was on the list already" in text(page)


def test_an_administrator_sees_what_stands_out_and_has_no_button_of_a_moderator(administrator, attacked):
    page = text(administrator.get(PAGE))

    assert administrator.get(PAGE).context["entries"]
    for button in ("Settle, since", "List this", "Make a campaign", "Show these"):
        assert button not in page
