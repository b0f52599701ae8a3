"""Held signatures stand together by network and hour: a school is told from a program, and each is decided at once."""

import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from petition.counts import tally
from petition.models import Signature, StaffAction
from petition.models.signature import this_hour
from petition.moderation import held_groups, similar

HELD = reverse("admin:petition_heldsignature_changelist")
HOUR = timedelta(hours=1)
SCHOOL, PROGRAM, HOUSEHOLD = b"sch", b"pro", b"hou"

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed(make_signature):
    """So many of a network in an hour, the last of them held."""

    def make(network, number, held=0, ago=1, domains=1, countries=("DE",), reason="busy network", **overrides):
        at = this_hour() - ago * HOUR
        return [
            make_signature(
                created_at=at,
                confirmed_at=at,
                network_digest=network,
                domain_digest=bytes([n % domains]) * 32,
                country=countries[n % len(countries)],
                **({"held_at": at, "held_reason": reason} if n >= number - held else {}),
                **overrides,
            )
            for n in range(number)
        ]

    return make


def url(step, signature):
    return reverse(f"admin:petition_heldsignature_{step}", args=[signature.pk])


def text(response):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_each_network_and_hour_has_a_row_that_says_how_mixed_it_is(moderator, signed):
    signed(SCHOOL, 60, held=25, ago=3, domains=24, countries=("DE", "FR", "", "PL"))
    signed(PROGRAM, 40, held=30, ago=2)

    page = moderator.get(HELD)

    school, program = page.context["groups"]
    assert (school.group.held, school.group.mix.counted, school.mix) == (25, 35, "24 mail domains, 3 countries")
    assert (program.group.held, program.mix) == (30, "1 mail domain, 1 country")
    assert school.group.name != program.group.name
    assert f"Network {school.group.name}, signed {this_hour() - 3 * HOUR:%Y-%m-%d %H:%M} UTC" in text(page)
    assert "fewer than 20" in text(page), "ten of the program count"


def test_the_short_name_is_that_of_the_anomaly(signed):
    signed(SCHOOL, 25, held=25)

    (group,), _more = held_groups.find()
    assert group.name == similar.handle("network", "\\x736368")


def test_one_network_has_a_row_for_each_of_its_hours(moderator, signed):
    signed(SCHOOL, 20, held=20, ago=2)
    signed(SCHOOL, 20, held=20, ago=1)

    assert [entry.group.held for entry in moderator.get(HELD).context["groups"]] == [20, 20]


def test_a_household_is_no_group_and_stands_with_others_by_its_reason(moderator, signed):
    signed(HOUSEHOLD, 3, held=3, ago=5)
    signed(SCHOOL, 19, held=19, ago=5)
    signed(PROGRAM, 20, held=20, ago=5)
    signed(HOUSEHOLD, 2, held=2, ago=5, reason="blocked mail domain")
    signed(HOUSEHOLD, 1, held=1, ago=4, reason="Looks odd")

    groups = moderator.get(HELD).context["groups"]

    assert sorted((entry.group.reason or entry.group.name, entry.group.held) for entry in groups) == sorted(
        [
            ("busy network", 22),
            ("blocked mail domain", 2),
            ("Looks odd", 1),
            (held_groups.short_name(PROGRAM), 20),
        ]
    )


def test_show_leads_to_the_signatures_of_the_network_and_hour(moderator, signed):
    rows = signed(SCHOOL, 30, held=20, ago=2)
    signed(SCHOOL, 20, ago=1)
    small = signed(HOUSEHOLD, 2, held=2, ago=3)

    network, reason = moderator.get(HELD).context["groups"]

    listed = moderator.get(network.url).context["cl"].result_list
    assert {row.pk for row in listed} == {row.pk for row in rows}
    listed = moderator.get(reason.url).context["cl"].result_list
    assert {row.pk for row in listed} == {row.pk for row in small}


def test_release_all_asks_once_with_how_many_and_lets_that_group_count(moderator, signed):
    rows = signed(SCHOOL, 30, held=25, ago=2)
    signed(PROGRAM, 20, held=20, ago=2)
    signed(SCHOOL, 20, held=20, ago=1)

    asked = moderator.get(url("release_network", rows[-1]))
    assert "25 held signatures will count." in text(asked)
    assert Signature.objects.awaiting_release().count() == 65
    moderator.post(url("release_network", rows[-1]), {"reason": "A school, they wrote to us"})

    assert Signature.objects.awaiting_release().count() == 40
    assert not Signature.objects.filter(pk__in=[row.pk for row in rows]).held().exists()
    assert tally.current("chechnya").confirmed_here == 30
    entry = StaffAction.objects.get()
    name, hour = held_groups.short_name(SCHOOL), this_hour() - 2 * HOUR
    assert (entry.username, entry.action, entry.count, entry.reason) == (
        "vera",
        "released",
        25,
        "A school, they wrote to us",
    )
    assert entry.about == f"network {name}, signed {hour:%Y-%m-%d %H:%M}"


def test_hold_the_rest_holds_what_counts_of_the_same_network_and_hour(moderator, signed):
    rows = signed(PROGRAM, 50, held=20, ago=2)
    others = signed(PROGRAM, 20, ago=1) + signed(SCHOOL, 20, ago=2)
    Signature.objects.filter(pk=rows[0].pk).invalidate("a test")

    assert "29 signatures that count will be held." in text(moderator.get(url("hold_network", rows[-1])))
    moderator.post(url("hold_network", rows[-1]), {"reason": "One program"})

    held = Signature.objects.awaiting_release().filter(pk__in=[row.pk for row in rows])
    assert held.count() == 49
    assert Signature.objects.counted().filter(pk__in=[row.pk for row in others]).count() == 40
    entry = StaffAction.objects.get()
    assert (entry.action, entry.count, entry.reason) == ("held", 29, "One program")


def test_a_rest_that_takes_two_people_begins_a_campaign_before_a_reason_is_written(moderator, signed, monkeypatch):
    rows = signed(PROGRAM, 30, held=25)
    monkeypatch.setattr("petition.moderation.invalidation.ALWAYS_ALONE", 2)

    response = moderator.get(reverse("admin:petition_heldsignature_hold_network", args=[rows[-1].pk]), follow=True)

    assert "it takes two people" in response.content.decode()
    query = parse_qs(urlsplit(response.redirect_chain[-1][0]).query)
    assert set(query) == {"network_like", "signed_since", "signed_until"}


def test_those_without_a_network_are_released_by_their_reason_and_hour(moderator, signed):
    small = signed(HOUSEHOLD, 3, held=3, ago=2)
    signed(PROGRAM, 20, held=20, ago=2)
    signed(HOUSEHOLD, 1, held=1, ago=1)

    assert "3 held signatures will count." in text(moderator.get(url("release_reason", small[0])))
    moderator.post(url("release_reason", small[0]), {"reason": "Families"})

    assert Signature.objects.awaiting_release().count() == 21
    assert StaffAction.objects.get().about == f"held since {this_hour() - 2 * HOUR:%Y-%m-%d %H:%M}"


def test_without_a_reason_nothing_is_done(moderator, signed):
    rows = signed(PROGRAM, 20, held=20)

    page = moderator.post(url("release_network", rows[0]), {"reason": "a@b.example"})

    assert "An address may not be kept" in text(page)
    assert Signature.objects.awaiting_release().count() == 20
    assert not StaffAction.objects.exists()


def test_a_group_that_somebody_has_decided_on_is_said_to_wait_no_more(moderator, signed):
    rows = signed(PROGRAM, 20, held=20)
    Signature.objects.all().release()

    page = moderator.post(url("release_network", rows[0]), {"reason": "A school"}, follow=True)

    assert "somebody else was faster" in text(page)
    assert not StaffAction.objects.exists()


def test_a_household_is_not_asked_for_as_a_network(moderator, signed):
    """By the number of one at home: are there others?"""
    rows = signed(HOUSEHOLD, 5, held=2)

    for step in ("release_network", "hold_network"):
        assert "does not wait any more" in text(moderator.get(url(step, rows[-1]), follow=True))


def test_more_than_one_press_may_change_is_said(moderator, signed, monkeypatch):
    monkeypatch.setattr("petition.admin.held.LIMIT", 15)
    rows = signed(PROGRAM, 25, held=25)

    assert "15 held signatures will count. There are more." in text(moderator.get(url("release_network", rows[0])))
    page = moderator.post(url("release_network", min(rows, key=lambda row: row.pk)), {"reason": "x"}, follow=True)

    assert "There are more. Do it again for the rest." in text(page)
    assert Signature.objects.awaiting_release().count() == 10


def test_a_campaign_begins_with_the_network_and_the_hour(moderator, signed):
    signed(PROGRAM, 20, held=20, ago=2)

    (entry,) = moderator.get(HELD).context["groups"]

    at = this_hour() - 2 * HOUR
    assert parse_qs(urlsplit(entry.campaign_url).query) == {
        "network_like": [str(entry.group.example)],
        "signed_since": [f"{at:%Y-%m-%dT%H:%M}"],
        "signed_until": [f"{at + HOUR:%Y-%m-%dT%H:%M}"],
        "effect": ["invalidate"],
    }


def test_a_campaign_about_a_network_that_is_held_in_part_begins_with_holding_the_rest(moderator, signed):
    signed(PROGRAM, 50, held=20)

    (entry,) = moderator.get(HELD).context["groups"]

    assert "effect" not in parse_qs(urlsplit(entry.campaign_url).query)


def test_a_list_with_a_filter_has_no_groups(moderator, signed):
    signed(PROGRAM, 20, held=20)

    assert "groups" not in moderator.get(HELD, {"why": "0"}).context


def test_the_page_costs_few_statements_however_many_groups_there_are(moderator, signed):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            moderator.get(HELD)
        return len(queries)

    signed(PROGRAM, 20, held=20)
    few = cost()
    for ago in range(2, 8):
        signed(SCHOOL, 20, held=20, ago=ago)

    assert cost() == few
