"""Campaigns that hold, that take what signatures share with one, and that change so much that it takes two people."""

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from petition import live_settings
from petition.counts import tally
from petition.models import InvalidationCampaign, Signature, StaffAction, Switches
from petition.models.signature import this_hour
from petition.moderation import invalidation, similar
from tests.moderation.test_invalidation import ADD, apply, form, make_campaign, make_many, of, press, run, undo, url
from tests.support import server

__all__ = ["make_campaign", "make_many"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _groups_of_any_size(monkeypatch):
    """That staff see groups from 20 on alone is for `test_groups.py`."""
    monkeypatch.setattr(similar, "SMALLEST", 0)


@pytest.fixture
def share():
    """Let one person take out so many per cent of the count."""

    def share(percent):
        row = Switches.objects.get_or_create(id=1)[0]
        row.campaign_share = percent
        row.save()
        live_settings._state = None

    return share


@pytest.fixture
def administrator(make_staff):
    client = Client()
    client.force_login(make_staff("administrator", username="anna"))
    return client


# Holding.


def test_a_campaign_holds_what_counts_and_undoing_releases_exactly_that(make_campaign, make_signature):
    rows = [make_signature(confirmed=True, country="DE") for _ in range(3)]
    held = make_signature(confirmed=True, country="DE", held_at=this_hour(), held_reason="busy network")
    gone = make_signature(confirmed=True, country="DE", invalidated_at=this_hour())
    campaign = make_campaign(country="DE", effect="hold")

    apply(campaign)

    assert set(Signature.objects.filter(campaign=campaign)) == set(rows)
    assert set(Signature.objects.awaiting_release().values_list("held_reason", flat=True)) == {"Robots", "busy network"}
    assert tally.current("chechnya").confirmed_here == 0
    undo(campaign)
    assert set(Signature.objects.counted()) == set(rows)
    assert (campaign.changed, campaign.restored) == (3, 3)
    assert Signature.objects.get(pk=held.pk).held_reason == "busy network"
    assert Signature.objects.get(pk=gone.pk).invalidated_at
    assert tally.recount().difference == 0


@pytest.mark.parametrize(
    ("decide", "state"),
    [
        (lambda rows: rows.release(), "counted"),
        (lambda rows: rows.invalidate("by hand"), "invalidated"),
        (lambda rows: (rows.release(), rows.hold("by hand")), "held"),
    ],
    ids=["released", "invalidated", "held again"],
)
def test_what_somebody_decided_on_since_is_left_as_it_is(make_campaign, make_signature, decide, state):
    decided, other = (make_signature(confirmed=True, country="DE") for _ in range(2))
    campaign = make_campaign(country="DE", effect="hold")
    apply(campaign)

    decide(Signature.objects.filter(pk=decided.pk))
    undo(campaign)

    assert getattr(Signature.objects, state)().filter(pk=decided.pk).exists()
    assert Signature.objects.counted().filter(pk=other.pk).exists()
    assert (campaign.restored, campaign.left) == (1, 1)


def test_what_is_held_is_not_held_again(moderator, petition):
    page = moderator.post(ADD, form(petition, effect="hold", state="held", country="DE"))

    assert "What is held already is not held again." in page.content.decode()


# Like one of them.


@pytest.mark.parametrize(
    ("kind", "value", "alike", "other"),
    [
        ("network", {"network_digest": b"abc"}, {"network_digest": b"abc"}, {"network_digest": b"xyz"}),
        ("domain", {"domain_digest": bytes(32)}, {"domain_digest": bytes(32)}, {"domain_digest": b"1" * 32}),
        ("name", {"name": "Hans Wurst"}, {"name": " hans WURST "}, {"name": "Hans Wursti"}),
        ("shape", {"name": "Anna_1984"}, {"name": "olga_7"}, {"name": "olga.7"}),
        ("words", {"words": "Shame!"}, {"words": "SHAME!"}, {"words": "Shame"}),
    ],
)
def test_a_campaign_finds_what_is_like_a_signature_also_when_that_is_gone(
    moderator, petition, make_signature, kind, value, alike, other
):
    one, two = (make_signature(confirmed=True, **values) for values in (value, alike))
    make_signature(confirmed=True, **other)

    moderator.post(ADD, form(petition, effect="hold", **{f"{kind}_like": one.pk}))
    campaign = InvalidationCampaign.objects.get()
    Signature.objects.filter(pk=one.pk).delete()
    apply(campaign)

    assert list(Signature.objects.awaiting_release()) == [two]
    for secret in ("Wurst", "1984", "Shame"):
        assert secret not in repr(StaffAction.objects.values())
    of(campaign).update(created_at=timezone.now() - timedelta(days=31))
    InvalidationCampaign.objects.older_than_abuse_signals().fade()
    campaign.refresh_from_db()
    assert (campaign.same_name, campaign.shape, campaign.same_words, bytes(campaign.domain_digests)) == (
        "",
        "",
        "",
        b"",
    )
    assert campaign.network_digest is None


@pytest.mark.parametrize(("state", "effect"), [("held", "invalidate"), ("counted", "hold"), ("", "hold")])
def test_a_campaign_about_held_ones_begins_with_what_can_be_done_with_them(moderator, state, effect):
    page = moderator.get(reverse("admin:petition_invalidationcampaign_add"), {"country": "IS", "state": state})

    assert page.context["adminform"].form["effect"].value() == effect


def test_a_link_fills_the_form_in(moderator, make_signature):
    row = make_signature(confirmed=True, name="Anna_1984")

    page = moderator.get(
        ADD, {"shape_like": row.pk, "language": "ru", "country": "DE", "signed_since": "2026-11-27T12:00"}
    ).content.decode()

    assert f'value="{row.pk}"' in page
    assert '<option value="ru" selected>' in page
    assert '<option value="DE" selected>' in page
    assert 'value="2026-11-27 12:00"' in page
    assert re.search(r'<input[^>]*value="hold"[^>]*checked', page)


# Two people.


def test_what_is_much_of_the_count_waits_for_a_second_person(moderator, administrator, make_campaign, make_many):
    make_many(200)
    campaign = make_campaign()

    assert "waits for a second person" in press(moderator, campaign, "apply")
    assert run() == 0
    press(moderator, campaign, "approve")
    assert run() == 0
    assert "to approve" in administrator.get(reverse("admin:index")).content.decode()
    press(administrator, campaign, "approve")
    run()

    assert Signature.objects.invalidated().count() == 200
    assert list(StaffAction.objects.order_by("pk").values_list("username", "action", "count")) == [
        ("vera", "campaign_asked", None),
        ("anna", "campaign_approved", None),
        ("vera", "campaign_finished", 200),
    ]


@pytest.mark.parametrize(("percent", "waits"), [(100, False), (99, True)])
def test_the_share_is_a_live_setting(moderator, make_campaign, make_many, share, percent, waits):
    make_many(200)
    share(percent)
    campaign = make_campaign()

    press(moderator, campaign, "apply")

    assert InvalidationCampaign.objects.awaiting_approval().exists() is waits


def test_many_small_ones_of_one_person_are_a_large_one(moderator, make_campaign, make_many, make_signature):
    make_many(80)
    for _ in range(30):
        make_signature(confirmed=True, country="FR")
    first = make_campaign(country="DE")
    press(moderator, first, "apply")
    run()
    assert Signature.objects.invalidated().count() == 80

    second = make_campaign(country="FR")
    press(moderator, second, "apply")

    assert of(second).awaiting_approval().exists()


def test_the_database_keeps_that_it_takes_two(make_campaign):
    for values in (
        {"asked_by": 7, "approved_by": 7},
        {"asked_by": None, "approved_by": 7},
        {"is_large": True, "asked_by": 7, "applied_at": timezone.now()},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            of(make_campaign()).update(**values)


def test_administrators_see_stop_and_undo_but_make_and_apply_none(administrator, make_campaign, make_many, monkeypatch):
    monkeypatch.setattr(invalidation, "BATCH", 3)
    make_many(10)
    campaign = make_campaign()
    of(campaign).apply(None)
    invalidation.advance()

    assert administrator.get(ADD).status_code == 403
    assert administrator.post(url(make_campaign(), "apply")).status_code == 403
    press(administrator, campaign, "cancel")
    assert run() == 0
    press(administrator, campaign, "undo", reason="They were people")
    run()

    assert Signature.objects.counted().count() == 10


def test_an_administrator_sees_no_names_in_a_preview(administrator, moderator, make_campaign, make_signature):
    make_signature(confirmed=True, country="DE", name="Greta Thunfisch")
    campaign = make_campaign()

    assert "Greta" in moderator.get(url(campaign)).content.decode()
    assert "Greta" not in administrator.get(url(campaign)).content.decode()


# Stopping.


def test_why_it_was_stopped_is_asked_afterwards(moderator, make_campaign, make_many, monkeypatch):
    monkeypatch.setattr(invalidation, "BATCH", 3)
    make_many(10)
    campaign = make_campaign()
    of(campaign).apply(None)
    invalidation.advance()

    assert "It is stopped. Why?" in press(moderator, campaign, "cancel")
    page = press(moderator, campaign, "explain", reason="Caught a choir")

    assert "It is stopped. Why?" not in page
    assert "Caught a choir" in page
    told = StaffAction.objects.order_by("pk").values_list("action", "count", "reason")
    assert list(told) == [("campaign_cancelled", 3, ""), ("campaign_stop_explained", 3, "Caught a choir")]


@pytest.mark.django_db(transaction=True)
def test_a_worker_stops_within_a_small_step(tmp_path, make_campaign, make_many):
    make_many(40_000)
    campaign = make_campaign()
    of(campaign).apply(None)

    with server.worker(tmp_path / "worker.log"):
        server.wait_until(lambda: of(campaign).get().changed > 0)
        before = of(campaign).get().changed
        assert invalidation.stop(campaign.pk)
        at_stop = of(campaign).get().changed
        # Whoever goes on would have changed thousands meanwhile.
        server.wait_until(lambda: tally.exact("chechnya").confirmed_here == 40_000 - at_stop)

    after = of(campaign).get()
    assert after.changed == at_stop == Signature.objects.invalidated().count()
    # The step that was under way, and one that had begun between the look and the press.
    assert at_stop - before <= 2 * invalidation.BATCH


# Estimates.


def test_what_takes_long_to_count_is_estimated(moderator, make_campaign, make_many, monkeypatch):
    make_many(4_000)
    monkeypatch.setattr(invalidation, "EXACT_SECONDS", 0)
    monkeypatch.setattr(invalidation, "ESTIMATE_ROWS", 1_000)
    campaign = make_campaign()

    preview = invalidation.preview(campaign)

    assert not preview.is_exact
    assert 3_000 < preview.found < 5_000
    assert len(preview.sample) == invalidation.SAMPLE
    assert "An estimate, by some thousand signatures:" in moderator.get(url(campaign)).content.decode()


def test_an_estimate_says_nothing_of_fewer_than_twenty(moderator, make_campaign, make_signature, monkeypatch):
    monkeypatch.setattr(similar, "SMALLEST", 20)
    monkeypatch.setattr(invalidation, "EXACT_SECONDS", 0)
    campaign, pages = make_campaign(country="IS"), set()
    for number in (0, 1, 19):
        rows = [make_signature(confirmed=True, country="IS").pk for _ in range(number)]
        pages.add(re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", moderator.get(url(campaign)).content.decode()))
        Signature.objects.filter(pk__in=rows).delete()

    assert len(pages) == 1
    assert "fewer than 20 signatures, perhaps none" in pages.pop()
    for _ in range(20):
        make_signature(confirmed=True, country="IS")
    assert invalidation.preview(campaign).found >= 20
