"""Signatures on paper: entered by one account, counted after a second look by another, withdrawn and never deleted."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone, translation

from petition.counts import letter, momentum, tally
from petition.models import PaperSheets, Petition, StaffAction
from tests.conftest import make_petition, make_sheets
from tests.support.accounts import ADMINISTRATOR, ORGANISER, log_in, make_users

pytestmark = pytest.mark.django_db

LIST = reverse("admin:petition_papersheets_changelist")
ADD = reverse("admin:petition_papersheets_add")
TYPED = {
    "collected_on": "2026-11-01",
    "place": "Berlin",
    "amount": "240",
    "counted_by": "Amnesty Berlin, two volunteers",
    "kept_at": "The safe, folder 3",
}


@pytest.fixture
def clients(petition):
    return log_in(make_users())


@pytest.fixture
def sheets(petition, clients):
    return make_sheets(petition, entered_by=clients[ORGANISER].user)


def page_of(sheets, name="change"):
    return reverse(f"admin:petition_papersheets_{name}", args=[sheets.pk])


def words(response):
    return " ".join(re.sub("<[^>]+>", " ", response.content.decode()).split())


def count(sheets):
    PaperSheets.objects.filter(pk=sheets.pk).update(checked_at=timezone.now())


# From the desk of one to the eyes of another.


def test_who_enters_a_bundle_sees_it_and_that_somebody_else_must_look(clients, petition):
    page = clients[ORGANISER].post(ADD, {**TYPED, "petition": petition.pk}, follow=True)

    sheets = PaperSheets.objects.get()
    assert page.redirect_chain[-1][0] == reverse("admin:petition_papersheets_change", args=[sheets.pk])
    assert "Another account has to look at it before it counts." in page.content.decode()


def test_what_an_organiser_enters_waits_for_a_second_look(clients, petition):
    clients[ORGANISER].post(ADD, {**TYPED, "petition": petition.pk})

    sheets = PaperSheets.objects.get()
    assert (sheets.amount, sheets.entered_by, sheets.is_waiting) == (240, clients[ORGANISER].user, True)
    assert tally.current("chechnya").total == 150_000
    assert "Waiting for a second look 240" in words(clients[ADMINISTRATOR].get(LIST))
    entry = StaffAction.objects.get()
    assert (entry.action, entry.about) == ("added", f"papersheets {sheets.pk}")
    assert "amount: – → 240" in entry.detail


def test_it_counts_once_another_account_has_looked(clients, sheets):
    clients[ADMINISTRATOR].post(page_of(sheets, "check"))

    assert (tally.current("chechnya").total, tally.current("chechnya").on_paper) == (150_240, 240)
    entry = StaffAction.objects.get()
    assert (entry.username, entry.action, entry.count) == (ADMINISTRATOR, "paper_counted", 240)
    assert "Counted on paper 240" in words(clients[ORGANISER].get(LIST))


def test_nobody_gives_the_second_look_to_what_she_entered_herself(clients, sheets):
    said = words(clients[ORGANISER].post(page_of(sheets, "check"), follow=True))

    assert "Nothing has changed" in said
    assert "Another account has to look at it" in said
    assert not StaffAction.objects.exists()
    assert tally.current("chechnya").total == 150_000


def test_a_get_counts_nothing_and_withdraws_nothing(clients, sheets):
    for name in ("check", "withdraw"):
        assert clients[ADMINISTRATOR].get(page_of(sheets, name)).status_code == 405

    assert PaperSheets.objects.get().is_waiting


def test_a_mistake_is_withdrawn_with_a_reason_and_its_row_stays(clients, sheets):
    count(sheets)

    assert "required" in words(clients[ORGANISER].post(page_of(sheets, "withdraw"), {"reason": ""}))
    assert tally.current("chechnya").total == 150_240

    clients[ORGANISER].post(page_of(sheets, "withdraw"), {"reason": "Folder 3 was counted twice"})

    assert (tally.current("chechnya").total, PaperSheets.objects.get().is_counted) == (150_000, False)
    entry = StaffAction.objects.get()
    assert (entry.action, entry.count, entry.reason) == ("paper_withdrawn", 240, "Folder 3 was counted twice")
    assert "withdrawn" in words(clients[ORGANISER].get(LIST))


def test_what_is_withdrawn_does_not_come_back(clients, sheets):
    PaperSheets.objects.all().withdraw()

    assert "somebody was faster" in words(clients[ADMINISTRATOR].post(page_of(sheets, "check"), follow=True))
    assert not PaperSheets.objects.get().checked_at


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("amount", "0", "greater than or equal to 1"),
        ("amount", "-5", "greater than or equal to"),
        ("kept_at", "anna@example.org", "Write no address"),
        ("collected_on", "2999-01-01", "still to come"),
    ],
)
def test_what_is_typed_wrongly_is_said(clients, petition, field, typed, said):
    assert said in words(clients[ORGANISER].post(ADD, {**TYPED, "petition": petition.pk, field: typed}))
    assert not PaperSheets.objects.exists()


# The table only grows.


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 1_000_000},
        {"place": "Grozny"},
        {"kept_at": "Elsewhere"},
        {"counted_by": "Nobody"},
        {"checked_at": None},
        {"checked_at": datetime(2026, 11, 1, tzinfo=UTC)},
        {"collected_on": "2026-10-01"},
    ],
    ids=str,
)
def test_the_database_refuses_to_change_what_was_entered(sheets, change):
    count(sheets)

    with pytest.raises(DatabaseError, match="do not change"), transaction.atomic():
        PaperSheets.objects.update(**change)
    with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
        PaperSheets.objects.all().delete()


def test_the_database_refuses_a_second_look_by_the_same_account(sheets):
    with pytest.raises(DatabaseError, match="nobody_checks_her_own_sheets"), transaction.atomic():
        PaperSheets.objects.update(checked_by=sheets.entered_by, checked_at=timezone.now())


def test_an_account_that_is_deleted_leaves_its_sheets(clients, sheets):
    PaperSheets.objects.filter(pk=sheets.pk).check_by(clients[ADMINISTRATOR].user.pk)

    clients[ORGANISER].user.delete()
    clients[ADMINISTRATOR].user.delete()

    left = PaperSheets.objects.get()
    assert (left.entered_by, left.checked_by, left.is_counted) == (None, None, True)


# Where it is shown.


def test_the_total_is_the_exact_sum_of_its_three_parts(client, sheets, make_signature):
    other = make_petition(slug="other", collected_before=7)
    for number in (30, 3):
        count(make_sheets(sheets.petition, amount=number))
    make_sheets(sheets.petition, amount=5_000)
    count(make_sheets(other, amount=1))
    make_signature(confirmed=True)

    told = client.get("/petitions/chechnya/count.json").json()

    assert (told["total"], told["collected_before"], told["confirmed_here"]) == (150_034, 150_033, 1)
    assert set(told) == {"petition", "total", "collected_before", "confirmed_here", "goal", "as_of"}
    assert tally.exact("chechnya").total == 150_034
    assert tally.current("other").total == 8


def test_the_next_goal_is_above_what_paper_brings(sheets):
    count(make_sheets(sheets.petition, amount=25_000))

    assert tally.current("chechnya").goal == 200_000


@pytest.mark.parametrize("path", ["/en/", "/en/petitions/chechnya/embed/"])
def test_pages_tell_paper_apart_and_call_the_sum_what_it_is(client, sheets, path):
    count(sheets)

    said = words(client.get(path))

    assert "more than 150,240 signatures" in said
    assert "240 collected on paper" in said or "More than 150,000 collected before, 240 on paper, 0 confirmed" in said


@pytest.mark.parametrize("path", ["/en/", "/en/petitions/chechnya/embed/"])
def test_paper_alone_is_an_exact_number(client, sheets, path):
    Petition.objects.update(collected_before=0)
    count(sheets)

    said = words(client.get(path))

    assert "240 signatures" in said
    assert "240 collected on paper" in said
    assert "ore than 240" not in said
    assert not tally.current("chechnya").is_lower_bound


def test_the_letter_has_it(sheets):
    count(sheets)
    composed = letter.compose(Petition.find(), "en")

    assert (composed.total, composed.before_opening, composed.on_paper) == (150_240, 150_000, 240)


def test_the_picture_of_the_day_has_what_was_there_as_the_day_began(sheets):
    today = timezone.now().replace(hour=0, minute=30)
    with time_machine.travel(today - timedelta(days=1)):
        count(sheets)
    with time_machine.travel(today):
        count(make_sheets(sheets.petition, amount=1_000))
        PaperSheets.objects.filter(pk=sheets.pk).withdraw()

        assert momentum.at_midnight(sheets.petition) == 150_240


def test_the_page_of_counts_has_three_parts_and_says_what_the_letter_lacks(clients, sheets, settings):
    settings.CONTROLLER = ""
    count(sheets)

    said = words(clients[ORGANISER].get(reverse("admin:petition_counts_page", args=["chechnya"])))

    assert "Signatures in all more than 150,240" in said
    assert "150,000 and more collected before 240 on paper 0 confirmed here" in said
    assert "The letter names no addressee" in said
    assert "The letter names no sender" in said
    with translation.override("en"):
        Petition.objects.get().translations.update(addressee="The Prosecutor")
    settings.CONTROLLER = "Us"
    assert "The letter names" not in words(
        clients[ORGANISER].get(reverse("admin:petition_counts_page", args=["chechnya"]))
    )
