"""Held signatures wait with their reason until a moderator releases or invalidates them, one or thousands at once."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from petition.counts import tally
from petition.models import Signature, StaffAction
from petition.models.signature import this_hour

HELD = reverse("admin:petition_heldsignature_changelist")
SIGNATURES = reverse("admin:petition_signature_changelist")
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(make_signature):
    def make(reason="busy network", hours=1, **overrides):
        return make_signature(held_at=this_hour() - hours * HOUR, held_reason=reason, confirmed=True, **overrides)

    return make


def act(client, action, *signatures, url=HELD, **data):
    data = {"action": action, "_selected_action": [signature.pk for signature in signatures], **data}
    return client.post(url, data, follow=True).content.decode()


def test_the_longest_held_stands_first_with_its_reason_and_since_when(moderator, held):
    late, early = held(hours=2, name="Boris"), held("blocked network", hours=5, name="Anna")

    page = moderator.get(HELD)

    assert [row.pk for row in page.context["cl"].result_list] == [early.pk, late.pk]
    content = page.content.decode()
    assert "listed network" in content
    assert "Anna" in content


def test_what_is_decided_is_not_listed(moderator, held, make_signature):
    held(invalidated_at=this_hour())
    make_signature(confirmed=True)

    assert "0 in all" in moderator.get(HELD).content.decode()


@pytest.mark.parametrize(
    ("why", "reasons"),
    [
        ("0", ["busy network"]),
        ("3", ["returned after an invalidated signature was withdrawn"]),
        ("hand", ["Looks odd"]),
        ("", ["busy network", "returned after an invalidated signature was withdrawn", "Looks odd"]),
        ("9" * 30, ["busy network", "returned after an invalidated signature was withdrawn", "Looks odd"]),
    ],
)
def test_the_list_is_filtered_by_reason(moderator, held, why, reasons):
    for number, reason in enumerate(["busy network", "returned after an invalidated signature was withdrawn"]):
        held(reason, hours=9 - number)
    held("Looks odd")

    rows = moderator.get(HELD, {"why": why}).context["cl"].result_list

    assert [row.held_reason for row in rows] == reasons


@pytest.mark.parametrize(("action", "counted"), [("release", 1), ("invalidate", 0)])
def test_deciding_asks_for_a_reason_first(moderator, held, action, counted):
    signature = held()

    asked = act(moderator, action, signature)
    assert "1 signature is selected." in asked
    assert 'name="reason"' in asked
    for refused in ("", "anna@example.org wrote to us"):
        act(moderator, action, signature, reason=refused)
    assert Signature.objects.awaiting_release().count() == 1
    assert not StaffAction.objects.exists()

    done = act(moderator, action, signature, reason="A library")

    assert "1 signature was" in done
    assert tally.current("chechnya").confirmed_here == counted
    entry = StaffAction.objects.get()
    assert (entry.username, entry.about, entry.petition) == ("vera", f"signature {signature.pk}", "chechnya")
    assert (entry.action, entry.count, entry.reason) == (
        {"release": "released", "invalidate": "invalidated"}[action],
        1,
        "A library",
    )


def test_everything_that_a_filter_finds_is_decided_in_one_go(moderator, held):
    for _ in range(5):
        first = held()
    held("blocked network")

    asked = act(moderator, "release", first, url=f"{HELD}?why=0", select_across="1")
    assert "5 signatures are selected." in asked
    act(moderator, "release", first, url=f"{HELD}?why=0", select_across="1", reason="A library")

    assert Signature.objects.awaiting_release().get().held_reason == "blocked network"
    assert StaffAction.objects.get().count == 5


def test_one_press_is_bounded_and_says_what_is_left(moderator, held, monkeypatch):
    monkeypatch.setattr("petition.admin.bulk_actions.LIMIT", 3)
    rows = [held(hours=number) for number in (5, 4, 3, 2)]

    asked = act(moderator, "release", rows[0], select_across="1")
    assert "3 signatures are selected." in asked
    assert "There are more." in asked
    act(moderator, "release", rows[0], select_across="1", reason="A library")

    assert Signature.objects.awaiting_release().get() == rows[3]


def test_thousands_are_released_with_few_statements(moderator, petition):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO petition_signature (petition_id, email_digest, language, consent_version, created_at,"
            " confirmed_at, held_at, held_reason) SELECT %s, sha256(n::text::bytea), 'en', 1, hour, hour,"
            " hour, 'busy network' FROM generate_series(1, 6000) n, date_trunc('hour', now()) hour",
            [petition.pk],
        )
    first = Signature.objects.first()

    with CaptureQueriesContext(connection) as queries:
        act(moderator, "release", first, select_across="1", reason="A stadium")

    assert tally.current("chechnya").confirmed_here == 5_000
    assert len(queries) < 60


def test_what_somebody_else_decided_meanwhile_is_left(moderator, held, make_signature):
    signature, other = held(), held()
    asked_for = [signature, other]
    Signature.objects.filter(pk=other.pk).release()
    # The list no longer has it, so the form of a moment ago finds one.
    act(moderator, "invalidate", *asked_for, reason="Robots")

    assert Signature.objects.invalidated().get() == signature
    counted = make_signature(confirmed=True)
    page = act(moderator, "restore", counted, url=SIGNATURES, reason="A mistake")
    assert "1 was in another state, and was left as it is." in page


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("hold", {}, "held_at"),
        ("invalidate", {}, "invalidated_at"),
        ("restore", {"invalidated_at": this_hour()}, None),
    ],
)
def test_single_signatures_are_decided_in_their_list(moderator, make_signature, action, before, after):
    signature = make_signature(confirmed=True, **before)

    act(moderator, action, signature, url=SIGNATURES, reason="x" * 300)

    signature.refresh_from_db()
    assert bool(signature.held_at) is (after == "held_at")
    assert bool(signature.invalidated_at) is (after == "invalidated_at")
    assert tally.current("chechnya").confirmed_here == (after is None)
    assert StaffAction.objects.get().reason == "x" * 300


def test_the_page_of_a_signature_leads_to_the_decision_on_its_words(moderator, make_signature):
    shown = make_signature(confirmed=True, words="Be strong")
    url = reverse("admin:petition_signature_change", args=[shown.pk])

    assert reverse("admin:petition_review_change", args=[shown.pk]) in moderator.get(url).content.decode()
