"""All that a filter finds: one press, with how many asked before, and nothing that came in between."""

import pytest
from django.urls import reverse

from petition import live_settings
from petition.admin import bulk_actions
from petition.admin.bulk_actions import packed, unpacked
from petition.models import Signature, StaffAction, Switches
from petition.models.signature import this_hour
from petition.moderation import similar

LIST = reverse("admin:petition_signature_changelist")
HELD = reverse("admin:petition_heldsignature_changelist")
CAMPAIGN = reverse("admin:petition_invalidationcampaign_add")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _groups_of_any_size(monkeypatch):
    """That staff see groups from 20 on alone is for `test_groups.py`."""
    monkeypatch.setattr(similar, "SMALLEST", 0)


def choose_all(client, url, action, **data):
    """Press *Go* with nothing ticked but the choice of all."""
    return client.post(url, {"action": action, "select_across": "on", "index": "0", **data})


def answer(client, url, asked, **data):
    """Send the form of the question back, with a reason."""
    repeated = dict(asked.context["repeated"])
    return client.post(url, {**repeated, "reason": "Robots", **data}, follow=True).content.decode()


def test_the_choice_stands_on_the_page_and_needs_no_script(moderator, make_signature):
    make_signature(confirmed=True, held_at=this_hour())

    for url in (LIST, HELD):
        page = moderator.get(url).content.decode()
        assert '<input type="checkbox" name="select_across">' in page
        assert "all that the filter finds" in page


def test_all_that_a_filter_finds_is_held_whatever_page_is_shown(moderator, make_signature):
    rows = {make_signature(confirmed=True, country="IS").pk for _ in range(60)}
    make_signature(confirmed=True, country="DE")
    page = moderator.get(LIST, {"country": "IS"})
    url = LIST + page.context["cl"].older_url()

    asked = choose_all(moderator, url, "hold")
    assert "60 signatures are selected." in asked.content.decode()
    assert not Signature.objects.held().exists()
    answer(moderator, url, asked)

    assert set(Signature.objects.held().values_list("pk", flat=True)) == rows
    entry = StaffAction.objects.get(action="held")
    assert (entry.count, entry.reason) == (60, "Robots")


def test_what_comes_between_the_question_and_the_answer_is_left(moderator, make_signature):
    rows = {make_signature(confirmed=True, held_at=this_hour()).pk for _ in range(3)}
    asked = choose_all(moderator, HELD, "release")
    late = make_signature(confirmed=True, held_at=this_hour())

    answer(moderator, HELD, asked)

    assert set(Signature.objects.counted().values_list("pk", flat=True)) == rows
    assert Signature.objects.awaiting_release().get() == late


def test_above_some_thousand_it_becomes_a_campaign(moderator, make_signature, monkeypatch):
    monkeypatch.setattr(bulk_actions, "LIMIT", 3)
    one, *_ = (make_signature(confirmed=True, country="IS", network_digest=b"abc") for _ in range(4))

    response = choose_all(moderator, f"{LIST}?country=IS&by=network&of={one.pk}&state=counted", "hold")

    assert response["Location"].startswith(f"{CAMPAIGN}?")
    for part in ("country=IS", f"network_like={one.pk}", "state=counted", "effect=hold"):
        assert part in response["Location"]
    assert not Signature.objects.held().exists()


def test_so_much_that_it_takes_two_is_changed_by_nobody_alone(moderator, make_signature, monkeypatch):
    for _ in range(3):
        make_signature(confirmed=True, country="IS")
    url = f"{LIST}?country=IS"
    asked = choose_all(moderator, url, "invalidate")
    monkeypatch.setattr("petition.moderation.invalidation.ALWAYS_ALONE", 2)

    page = answer(moderator, url, asked)

    assert "it takes two people" in page
    assert Signature.objects.counted().count() == 3
    again = choose_all(moderator, url, "invalidate")
    assert again["Location"] == f"{CAMPAIGN}?country=IS&effect=invalidate", "before a reason is written"
    Switches.objects.update_or_create(id=1, defaults={"campaign_share": 100})
    live_settings._state = None
    answer(moderator, url, choose_all(moderator, url, "invalidate"))
    assert Signature.objects.invalidated().count() == 3


@pytest.mark.parametrize(
    ("query", "criteria"),
    [
        ("country=IS", "country=IS"),
        ("language=ru&state=held", "language=ru&state=held"),
        ("since=2026-11-27T12:00", "signed_since=2026-11-27T12%3A00"),
        ("state=held", None),
        ("state=invalidated&country=IS", None),
        ("", None),
    ],
)
def test_a_filter_leads_to_a_campaign_that_finds_the_same(moderator, query, criteria):
    page = moderator.get(f"{LIST}?{query}").content.decode().replace("&amp;", "&")

    assert (f'href="{CAMPAIGN}?{criteria}"' in page) if criteria else (f"{CAMPAIGN}?" not in page)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "=", "A" * 15])
def test_numbers_that_cannot_be_read_are_none(text):
    assert unpacked(text) == []


def test_numbers_are_packed_and_unpacked():
    numbers = [1, 2**63 - 1, 4711]

    assert unpacked(packed(numbers)) == numbers
