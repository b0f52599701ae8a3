"""Two moderators get different cards: what one has before her the others do not get, for ten minutes."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, connections
from django.db.models import F
from django.test import Client
from django.urls import reverse

from petition import forgetting, retention
from petition.models import ReviewClaim, StaffAction
from petition.models.signature import this_hour

DESK = reverse("admin:petition_review_changelist")
REMARK = "Colleagues have these before them, and nothing else waits here."

pytestmark = pytest.mark.django_db


@pytest.fixture
def page_of_two(monkeypatch):
    monkeypatch.setattr("petition.admin.review.PER_PAGE", 2)


@pytest.fixture
def waiting(make_signature):
    """The numbers of signatures whose words wait, the oldest first."""

    def make(number):
        rows = (
            make_signature(confirmed_at=this_hour() - timedelta(hours=number - hours), words="Be strong")
            for hours in range(number)
        )
        return [row.pk for row in rows]

    return make


@pytest.fixture
def vera(make_staff):
    return browser_of(make_staff("moderator", username="vera"))


@pytest.fixture
def boris(make_staff):
    return browser_of(make_staff("moderator", username="boris"))


def browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def cards(client, query=""):
    # From the page itself: of several threads, Django mixes up the contexts.
    return list(map(int, re.findall(r'name="seen" value="(\d+):', client.get(DESK + query).content.decode())))


def test_a_card_of_one_is_not_shown_to_the_other(page_of_two, waiting, vera, boris):
    numbers = waiting(4)

    assert (cards(vera), cards(boris)) == (numbers[:2], numbers[2:])
    # Whoever comes back finds what she had.
    assert (cards(vera), cards(boris)) == (numbers[:2], numbers[2:])


def test_of_many_who_come_at_once_each_gets_her_own(waiting, make_staff, transactional_db, petition):
    numbers = waiting(100)
    users = [make_staff("moderator") for _ in range(4)]
    together = Barrier(4)

    def look(user):
        client = browser_of(user)
        try:
            together.wait()
            return cards(client)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, users))

    assert [len(page) for page in found] == [25] * 4
    assert sorted(number for page in found for number in page) == sorted(numbers)


def test_shared_cards_are_shown_with_a_remark_if_nothing_else_is_left(page_of_two, waiting, vera, boris):
    numbers = waiting(2)
    assert cards(vera) == numbers
    assert REMARK not in vera.get(DESK).content.decode()

    assert cards(boris) == numbers
    assert REMARK in boris.get(DESK).content.decode()
    # She who was first still has them to herself.
    assert REMARK not in vera.get(DESK).content.decode()


@pytest.mark.parametrize(("minutes", "is_free"), [(9, False), (10, True)])
def test_a_claim_lasts_ten_minutes_by_the_clock_of_the_database(page_of_two, waiting, vera, boris, minutes, is_free):
    numbers = waiting(4)
    cards(vera)

    ReviewClaim.objects.update(until=F("until") - timedelta(minutes=minutes))

    assert cards(boris) == (numbers[:2] if is_free else numbers[2:])


@pytest.mark.parametrize("leave", ["button", "logout", "next page"])
def test_who_leaves_gives_them_back(page_of_two, waiting, vera, boris, leave):
    numbers = waiting(4)
    page = vera.get(DESK)

    if leave == "button":
        assert vera.post(DESK, {"leave": "1"})["Location"] == reverse("admin:index")
    elif leave == "logout":
        vera.post(reverse("admin:logout"))
    else:
        assert cards(vera, page.context["next_page"]) == numbers[2:]

    assert cards(boris) == numbers[:2]


def test_behind_a_place_nothing_is_shared(page_of_two, waiting, vera, boris):
    waiting(4)
    first = vera.get(DESK)
    cards(boris)

    last = vera.get(DESK + first.context["next_page"])

    assert list(last.context["entries"]) == []
    assert "Back to the oldest" in last.content.decode()


def test_a_claim_leaves_no_trace(waiting, vera):
    waiting(1)
    cards(vera)

    assert not StaffAction.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'petition_reviewclaim'")
        assert cursor.fetchone() == ("u",), "it is in the write-ahead log"
    assert "petition_reviewclaim" in forgetting.SMALL

    ReviewClaim.objects.update(until=F("until") - timedelta(minutes=10))
    assert retention.purge()["cards of moderators"] == 1
    assert not ReviewClaim.objects.exists()
