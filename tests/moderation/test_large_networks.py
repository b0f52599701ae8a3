"""A network that confirms far more than networks do stands out beside any number of others; radio and campus do not."""

import sys
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection, transaction

from petition.models import Signature
from petition.models.signature import this_hour
from petition.moderation import anomalies
from petition.moderation.anomalies import SPANS
from tests.support import crowds
from tests.support.crowds import HOUR, Crowd, digest, sign

pytestmark = pytest.mark.django_db
# Ten an hour on the days before.
DAYS, QUIET = 30, 24 * 30 * 10


class Hour(Crowd):
    """Honest signers of one hour, of all countries, behind the gateways of its day."""

    def __init__(self, at, seed=1):
        self.at = at
        super().__init__(0, seed=seed)

    def hour_of(self, peak):
        return self.at

    def signers(self, number):
        return [self.signer() for _ in range(number)]


@pytest.fixture
def clock(monkeypatch):
    """Sets the hour of the day that it is, UTC: that of yesterday, so that nothing is signed in the future."""

    def set_to(hour):
        now = this_hour().replace(hour=hour) - 24 * HOUR
        for module in (anomalies, crowds, sys.modules[__name__]):
            monkeypatch.setattr(module, "this_hour", lambda: now)
        return now

    return set_to


def one_address(at, number=500, network="attacker", **values):
    """Confirmed ones of one address, with names, countries and mail providers as usual."""
    rows = Hour(at, seed=f"{network} {at}").signers(number)
    return [(*row[:2], digest(network), *row[3:9], row[8]) for row in rows]


def keys(*networks):
    return {"\\x" + digest(network)[:8].hex() for network in networks}


@pytest.fixture
def planted(petition):
    """What is found in each tab with these rows, which are gone afterwards."""

    def find(rows, spans=tuple(SPANS)):
        with transaction.atomic():
            sign(petition, rows)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE petition_signature")
            found = {name: anomalies.find(SPANS[name]).anomalies for name in spans}
            transaction.set_rollback(True)
        return found

    return find


ALL = [0, 5, 10, 20, 30, 40, 60, 460, 4_000]


@pytest.mark.parametrize(
    ("hour", "ago", "others"), [(12, 1, ALL), (23, 0, [5, 40, 4_000]), (1, 1, [5, 40, 4_000])], ids=["noon", "23", "01"]
)
def test_five_hundred_of_one_address_are_first_beside_any_number_of_others(petition, clock, planted, hour, ago, others):
    now = clock(hour)
    at = now - ago * HOUR
    sign(petition, [row for row in Crowd(QUIET, days=DAYS).rows if row[8] != at])

    for number in others:
        for span, found in planted(one_address(at) + Hour(at, seed="others").signers(number)).items():
            assert [anomaly.value for anomaly in found[:1]] == list(keys("attacker")), (number, span, found[:3])
            assert found[0].cell.confirmed == 500
            said = anomalies.reason(found[0])
            assert said.startswith("One network: 500 confirmed in an hour, of "), said
            assert f"; the largest usually have {found[0].usual:,}." in said
            assert found[0].usual < 100
            assert (found[0].since, found[0].until) == (at, at + HOUR)


def test_an_address_whose_name_changes_at_midnight_is_found_on_both_sides(petition, clock, planted):
    now = clock(0)
    sign(petition, Crowd(QUIET, days=DAYS).rows)

    rows = one_address(now - HOUR, 250, "before midnight") + one_address(now, 250, "after midnight")
    rows += Hour(now - HOUR, seed="others").signers(200) + Hour(now, seed="more").signers(200)
    for found in planted(rows).values():
        assert {anomaly.value for anomaly in found[:2]} == keys("before midnight", "after midnight"), found[:3]


def radio(at, number=700):
    """Germans who hear of it in one hour: many networks, one country and one link."""
    crowd, rows = Hour(at, seed="radio"), []
    while len(rows) < number:
        row = crowd.signer()
        if row[5] == "DE":
            rows.append((*row[:7], "radio", *row[8:]))
    return rows


def test_a_radio_programme_fills_no_narrow_group_and_stands_below_an_attack(petition, clock, planted):
    at = clock(20) - HOUR
    sign(petition, Crowd(QUIET, days=DAYS).rows)

    for span, found in planted(radio(at)).items():
        assert {anomaly.kind for anomaly in found} <= {"country", "language", "source"}, (span, found)
    for found in planted(radio(at) + one_address(at, 300)).values():
        assert found[0].value in keys("attacker")
        assert any((anomaly.kind, anomaly.value) == ("source", "radio") for anomaly in found)
        order = [anomaly.is_wide for anomaly in found]
        assert order == sorted(order)


def campus(at, number):
    """A lecture hall: one network, half of it with mailboxes of the campus."""
    crowd = Hour(at, seed=f"campus {at}")
    return [
        crowd.row(
            at, "campus.example" if n % 2 else crowd.domain("DE", ["gmx.example"]), f"hall {at.date()}", "DE", "de"
        )
        for n in range(number)
    ]


def test_a_campus_that_is_as_large_as_on_other_days_is_not_listed(petition, clock, planted):
    now = clock(15)
    lectures = [row for day in range(1, 29) for row in campus(now - day * 24 * HOUR - HOUR, 80)]
    sign(petition, Crowd(QUIET, days=DAYS).rows + lectures)

    for span, found in planted(campus(now - HOUR, 110)).items():
        assert [anomaly for anomaly in found if anomaly.kind == "network"] == [], span
    found = planted(campus(now - HOUR, 110) + one_address(now - HOUR, 300), ["day"])["day"]
    assert found[0].value in keys("attacker")


def test_a_press_day_is_no_anomaly_of_the_telephone_companies(petition, clock, planted):
    now = clock(22)
    sign(petition, Crowd(QUIET, days=DAYS).rows)
    press = [row for ago in range(12) for row in Hour(now - ago * HOUR, seed=f"press {ago}").signers(1_000)]

    for span, found in planted(press).items():
        assert [anomaly for anomaly in found if anomaly.kind in ("network", "domain")] == [], span


def test_what_is_usual_in_a_small_petition_does_not_hang_on_random_numbers(petition, clock, planted, monkeypatch):
    """Where a day has few signatures, a part of them would tell little of its largest networks."""
    now, odd = clock(20), count(1, 2)
    monkeypatch.setattr(crowds, "random_id", lambda: next(odd))
    sign(petition, Crowd(QUIET, days=DAYS).rows)

    for span, found in planted(radio(now - HOUR)).items():
        assert [anomaly for anomaly in found if anomaly.kind == "network"] == [], span


def test_what_was_invalidated_or_held_is_not_usual_the_next_day(petition, clock, planted):
    """Yesterday's fakes do not hide those of today."""
    now = clock(14)
    yesterday = now - 24 * HOUR
    sign(petition, Crowd(QUIET, days=DAYS).rows)
    sign(petition, [row for hour in range(12) for row in one_address(yesterday - hour * HOUR, 300, "of yesterday")])
    Signature.objects.filter(network_digest=digest("of yesterday")).invalidate("fakes")

    found = planted(one_address(now, 200) + Hour(now, seed="others").signers(400), ["hour", "day"])

    assert [of_span[0].value for of_span in found.values()] == [*keys("attacker")] * 2


@pytest.mark.parametrize(("number", "is_listed"), [(49, False), (50, True)])
def test_fewer_than_fifty_in_an_hour_are_not_looked_at(petition, clock, planted, number, is_listed):
    """With names, countries and providers as usual, in an hour in which others sign."""
    now = clock(12)
    sign(petition, Crowd(QUIET, days=DAYS).rows)

    found = planted(one_address(now, number) + Hour(now, seed="others").signers(30), ["hour"])["hour"]

    assert (keys("attacker") <= {anomaly.value for anomaly in found if anomaly.peak}) is is_listed


def test_others_who_are_only_pending_hide_nobody(petition, clock, planted):
    now = clock(12)
    sign(petition, Crowd(QUIET, days=DAYS).rows)
    forms = [(*row[:9], None) for row in Hour(now, seed="others").signers(6_000)]

    assert planted(one_address(now) + forms, ["hour"])["hour"][0].value in keys("attacker")


def test_what_no_longer_counts_sinks_and_takes_along_what_it_explains(petition, clock):
    now = clock(21)
    at = now - 3 * HOUR
    sign(petition, Crowd(QUIET, days=DAYS).rows)
    fakes = [(*row[:5], "IS", "en", "", *row[8:]) for row in one_address(at)]
    sign(petition, fakes + one_address(at, 150, "smaller"))

    found = anomalies.find(SPANS["day"]).anomalies
    iceland = next(anomaly for anomaly in found if (anomaly.kind, anomaly.value) == ("country", "IS"))
    assert [(part.kind, count) for part, count in iceland.explained] == [("network", 500)]
    assert found.index(iceland) > found.index(next(a for a in found if a.value in keys("smaller")))
    assert not any(anomaly.is_over for anomaly in found)

    Signature.objects.filter(network_digest=digest("attacker")).invalidate("fakes")
    found = anomalies.find(SPANS["day"]).anomalies
    assert found[0].value in keys("smaller")
    over = [(anomaly.kind, anomaly.value) for anomaly in found if anomaly.is_over]
    assert over == [("network", *keys("attacker")), ("country", "IS")]


def test_it_lasts_no_longer_than_a_day_of_a_network(petition, clock):
    """The digest of a network stands for another one on another day: those with the same are not one."""
    now = clock(12)
    sign(petition, Crowd(QUIET, days=DAYS).rows)
    same = [row for day in range(20) for row in one_address(now - timedelta(days=day), 20, "the same digest")]
    sign(petition, same)

    found = anomalies.find(SPANS["month"]).anomalies

    assert [anomaly for anomaly in found if anomaly.peak] == []
