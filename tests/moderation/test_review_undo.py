"""Taking an approval back, and the list of what was decided. What was hidden is erased, and said to be."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from petition.models import ShownWords, StaffAction
from petition.models.signature import this_hour
from petition.moderation import review
from petition.staff import audit

DESK = reverse("admin:petition_review_changelist")
DECISIONS = reverse("admin:petition_review_decisions")

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(make_signature):
    def make(number=1, **overrides):
        return [make_signature(**{"confirmed": True, "words": "Be strong"} | overrides) for _ in range(number)]

    return make


def press(client, button, *signatures, **data):
    seen = [f"{shown.pk}:{review.fingerprint(shown)}" for shown in ShownWords.objects.filter(pk__in=keys(signatures))]
    return client.post(DESK, {"seen": seen, button: signatures[0].pk, "selected": keys(signatures), **data})


def keys(signatures):
    return [signature.pk for signature in signatures]


def undo(client, entry=None, url=DESK):
    return client.post(url, {"undo": (entry or StaffAction.objects.latest_first().first()).pk}, follow=True)


def approved():
    return set(ShownWords.objects.filter(approved_at__isnull=False).values_list("pk", flat=True))


def test_one_press_takes_back_what_one_press_approved(moderator, waiting):
    signatures = waiting(22)
    press(moderator, "approve_selected", *signatures)
    assert "Your last decision approved 22." in moderator.get(DESK).content.decode()

    page = undo(moderator)

    assert approved() == set()
    assert "22 wait again." in page.content.decode()
    assert {entry.pk for entry in page.context["entries"]} == set(keys(signatures))
    assert 'name="undo"' not in page.content.decode()
    entry = StaffAction.objects.latest_first().first()
    assert (entry.username, entry.action, entry.count) == ("vera", "approval_undone", 22)
    assert sorted(entry.signatures) == sorted(keys(signatures))


def test_a_single_approval_is_taken_back_and_its_card_has_the_focus(moderator, waiting):
    _before, taken = sorted(waiting(2), key=lambda signature: signature.pk)
    press(moderator, "approve", taken)

    page = undo(moderator)

    assert approved() == set()
    assert page.context["next_entry"].pk == taken.pk


def test_only_what_stands_as_it_was_decided_is_taken_back(moderator, waiting, make_staff):
    stands, hidden, changed, again = signatures = waiting(4)
    press(moderator, "approve_selected", *signatures)
    entry = StaffAction.objects.get()
    boris = Client()
    boris.force_login(make_staff("moderator", username="boris"))
    press(boris, "hide", hidden, selected=[])
    ShownWords.objects.filter(pk__in=[changed.pk, again.pk]).update(words="Other words")
    press(boris, "approve", again, selected=[])

    page = undo(moderator, entry).content.decode()

    assert "1 waits again." in page
    assert "3 do not stand as they were decided, and were left as they are." in page
    assert approved() == {again.pk}
    assert set(ShownWords.objects.values_list("pk", flat=True)) == set(keys([stands, changed, again]))


def test_a_second_undo_changes_nothing(moderator, waiting):
    (signature,) = waiting()
    press(moderator, "approve", signature)
    entry = StaffAction.objects.get()
    undo(moderator, entry)
    press(moderator, "approve", signature)

    undo(moderator, entry)

    assert approved() == {signature.pk}


def test_what_was_hidden_is_said_to_be_gone_before_and_after(moderator, waiting):
    (signature,) = waiting()
    assert "What is hidden is erased at once, and nobody can bring it" in moderator.get(DESK).content.decode()
    press(moderator, "hide", signature)

    page = moderator.get(DESK).content.decode()

    assert "Your last decision hid 1. It is erased and cannot be brought back" in page
    assert 'name="undo"' not in page
    undo(moderator)
    assert not ShownWords.objects.exists()


def test_what_was_approved_beside_what_was_hidden_is_taken_back(moderator, waiting):
    signatures = waiting(3)
    press(moderator, "hide_selected_approve_rest", *signatures, selected=keys(signatures[:1]))
    assert approved() == set(keys(signatures[1:]))

    undo(moderator)

    assert approved() == set()
    assert ShownWords.objects.count() == 2


@pytest.mark.parametrize(("hours", "is_undone"), [(23, True), (25, False)])
def test_an_approval_can_be_taken_back_for_a_day(moderator, waiting, hours, is_undone):
    (signature,) = waiting(approved_at=this_hour())
    # The log lets nobody change an entry, so this one is written with its time.
    hour = timezone.now() - timedelta(hours=hours)
    entry = StaffAction.objects.create(action="approved", about=f"signature {signature.pk}", count=1, done_at=hour)

    undo(moderator, entry)

    assert (approved() == set()) is is_undone


@pytest.mark.parametrize("entry", ["", "x", "0", "9" * 30, "999999"])
def test_a_broken_form_takes_nothing_back(moderator, waiting, entry):
    press(moderator, "approve", *waiting())

    assert moderator.post(DESK, {"undo": entry}).status_code == 302

    assert len(approved()) == 1
    assert StaffAction.objects.count() == 1


def test_an_entry_about_something_else_takes_nothing_back(moderator, waiting):
    (signature,) = waiting(approved_at=this_hour())
    audit.record(None, "held", about=signature, count=1)

    undo(moderator)

    assert approved() == {signature.pk}


# The list.


def test_moderators_read_what_was_decided_by_whom(moderator, waiting, make_staff):
    kept, hidden = waiting(2)
    press(moderator, "approve", kept)
    boris = Client()
    boris.force_login(make_staff("moderator", username="boris"))
    press(boris, "hide", hidden)
    audit.record(None, "logged_in", about="not for moderators")

    def told(**query):
        entries = moderator.get(DECISIONS, query).context["entries"]
        return [(entry.username, entry.action, entry.left) for entry in entries]

    everything = [("boris", "hidden", []), ("vera", "approved", [kept.pk])]
    assert told() == everything
    assert told(whose="own") == everything[1:]
    assert told(action="hidden") == everything[:1]
    assert told(action="logged_in") == everything
    assert told(day=timezone.now().date().isoformat()) == everything
    assert told(day="2020-01-01") == []
    assert told(day="nonsense") == everything


def test_what_a_colleague_approved_is_taken_back_from_the_list(moderator, waiting, make_staff):
    (signature,) = waiting()
    boris = Client()
    boris.force_login(make_staff("moderator", username="boris"))
    press(boris, "approve", signature)
    assert 'name="undo"' in moderator.get(DECISIONS).content.decode()

    page = undo(moderator, url=DECISIONS).content.decode()

    assert approved() == set()
    assert 'name="undo"' not in page
    assert "approval taken back" in page


def test_the_list_is_read_by_an_index_however_long_the_log_is(petition):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO petition_staffaction (done_at, username, action, petition, about, detail, reason)"
            " SELECT now() - n * interval '1 minute', 'vera', CASE WHEN n % 50 = 0 THEN 'approved' ELSE 'changed' END,"
            " '', '', '', '' FROM generate_series(1, 20000) n"
        )
        cursor.execute("ANALYZE petition_staffaction")

    plan = StaffAction.objects.of_review().filter(done_at__gte=timezone.now() - timedelta(days=1)).latest_first()[:51]

    assert "Seq Scan" not in plan.explain()
