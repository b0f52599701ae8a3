"""Pages of names that an account reads are counted: one entry for an hour, and another one above a bound."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from petition import live_settings
from petition.models import NamesRead, StaffAction, Switches
from petition.models.signature import this_hour
from petition.staff import names_read

LIST = reverse("admin:petition_signature_changelist")

pytestmark = pytest.mark.django_db


@pytest.fixture
def bound():
    def bound(names):
        Switches.objects.update_or_create(id=1, defaults={"names_per_hour": names})
        live_settings._state = None

    return bound


def test_an_hour_of_reading_is_one_entry(moderator, make_signature):
    row = make_signature(confirmed=True, name="Anna", held_at=this_hour())
    make_signature(confirmed=True, name="Boris")
    make_signature(confirmed=True)
    pages = [
        LIST,
        reverse("admin:petition_heldsignature_changelist"),
        reverse("admin:petition_review_changelist"),
        reverse("admin:petition_signature_change", args=[row.pk]),
        reverse("admin:petition_review_change", args=[row.pk]),
    ]
    for page in pages:
        assert moderator.get(page).status_code == 200
    assert not StaffAction.objects.filter(action="names_read").exists()
    NamesRead.objects.update(hour=this_hour() - timedelta(hours=1))

    call_command("worker", "--once")
    call_command("worker", "--once")

    entry = StaffAction.objects.get(action="names_read")
    # Two in the list, one in each other page; the desk has only what counts.
    assert (entry.username, entry.count) == ("vera", 6)
    assert entry.detail.startswith("5 pages in the hour from ")
    assert not NamesRead.objects.exists()


def test_a_page_without_a_name_is_not_counted(moderator, make_signature):
    make_signature(confirmed=True)

    moderator.get(LIST)

    assert not NamesRead.objects.exists()


def test_above_the_bound_administrators_are_told_once_an_hour(moderator, make_staff, make_signature, bound):
    bound(3)
    administrator = Client()
    administrator.force_login(make_staff("administrator", username="anna"))
    for number in range(2):
        make_signature(confirmed=True, name=f"Anna {number}")

    moderator.get(LIST)
    assert "More names read than usual" not in administrator.get(reverse("admin:index")).content.decode()
    for _ in range(3):
        moderator.get(LIST)

    page = administrator.get(reverse("admin:index")).content.decode()
    assert "More names read than usual" in page
    assert "vera" in page
    assert "More names read than usual" not in moderator.get(reverse("admin:index")).content.decode()
    entry = StaffAction.objects.get(action="many_names_read")
    assert (entry.username, entry.count) == ("vera", 4)


def test_an_account_that_is_gone_is_still_recorded():
    NamesRead.objects.create(user_id=4711, hour=this_hour() - timedelta(hours=1), pages=2, names=80)

    names_read.record_ended_hours()

    entry = StaffAction.objects.get()
    assert (entry.user_id, entry.count) == (4711, 80)
