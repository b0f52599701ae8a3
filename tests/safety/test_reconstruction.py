"""The reconstruction attack: an organiser asks for all there is, every day for weeks, and calculates single cells.

She knows how numbers are made: each cell that is shown differs by less than ten from what it holds, all else is a sum
of those, the total of each Monday is exact, events add up to what counts, and nobody withdraws who has not signed. A
cell is found if what she can calculate leaves it less than its own rounding does.
"""

import json
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.urls import reverse

from petition.counts import funnel, letter, publication, tally
from petition.counts.publication import Sum
from petition.models import CountsToken, PublishedCell, PublishedCount, PublishedWeek, TallyChange

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
MOST_OFF = 9
COUNTRIES, LANGUAGES, TAGS = ("DE", "ES", "FR", "RU", ""), ("en", "ru"), ("", "amnesty")
ORIGINS = [(country, language, tag) for country in COUNTRIES for language in LANGUAGES for tag in TAGS]
FINEST = "week,country,language,source,measure"
GROUPINGS = (
    "country", "language", "source", "measure", "week,country", "week,language", "week,source", "week,measure",
    "country,language,source", "country,measure", FINEST,
)  # fmt: skip
# What counts is what these add up to.
SIGNS = {
    "counted": -1, "confirmed": 1, "held": -1, "released": 1, "invalidated": -1, "restored": 1, "withdrawn": -1,
    "held_gone": 1, "invalid_gone": 1,
}  # fmt: skip
NEVER_FALL = (*SIGNS, "signed", "lapsed")


@pytest.fixture
def clock():
    with time_machine.travel(MONDAY, tick=False) as clock:
        yield clock


@pytest.fixture
def quiet(clock, settings, petition, publish):
    settings.COUNT_STEP, settings.DASHBOARD_RATE = "10", "100000/m"
    publish()
    PublishedCount.objects.update(secret=bytes(32))
    return petition


def add(petition, hour, origin, **measures):
    country, language, source = origin
    TallyChange.objects.bulk_create(
        TallyChange(
            petition=petition, hour=hour, country=country, language=language, source=source, measure=measure, amount=n
        )
        for measure, n in measures.items()
        if n
    )


def live(petition, hour, chance, usual):
    """A day. Small cells, as of places where few sign, with one that is large in most weeks."""
    for place, origin in enumerate(ORIGINS):
        confirmed = chance.randint(20, 60) if place == 0 and usual > 1 else chance.randint(0, usual) // (1 + place % 4)
        withdrawn, held, lapsed = (chance.random() < 0.1 for _ in range(3))
        # Who withdraws signed once; of those who are held nobody is released here.
        withdrawn = withdrawn and confirmed > 1
        held = held and confirmed > 2
        add(
            petition,
            hour,
            origin,
            signed=confirmed + lapsed,
            confirmed=confirmed,
            lapsed=lapsed,
            held=held,
            withdrawn=withdrawn,
            counted=confirmed - held - withdrawn,
        )


class Organiser:
    """`told` are all answers of a day by their questions; `totals` are the exact ones of Mondays."""

    def __init__(self, client, make_staff, petition):
        self.client, self.petition, self.account = client, petition, make_staff("organiser")
        self.tokens = {tag: self.make_token(tag) for tag in (None, "amnesty")}
        self.told, self.totals, self.weeks = {}, {MONDAY.date(): 0}, {}

    def make_token(self, tag):
        token = CountsToken(name=f"A dashboard of {tag}", source_id=tag)
        token.make()
        token.save()
        return token.shown_once

    def ask_everything(self, today, chance):
        """Ranges that end today, and others; by page, file, token, letter, open data and count.json."""
        self.told = {}
        self.hear(("total",), self.client.get("/petitions/chechnya/count.json").json()["confirmed_here"])
        if today.weekday() == 0:
            self.totals[today] = self.told["total",]
        since, until = MONDAY.date() + timedelta(days=chance.randrange(30)), today - timedelta(days=chance.randrange(9))
        for by in GROUPINGS:
            for limits in (f"&until={today}", f"&since={min(since, until)}&until={until}"):
                self.read(by, limits, None)
            if today.weekday() in (0, 1):
                self.read(by, "", "amnesty")
        self.read(FINEST, "", None)
        for name, answer in self.open_data().items():
            self.hear(("open data", name), answer)
        self.client.force_login(self.account)
        page = reverse("admin:petition_counts_page", args=["chechnya"])
        file = self.client.get(f"{page}download.json?by={FINEST}")
        assert json.loads(b"".join(file.streaming_content))["rows"] == self.told[FINEST, "", None]
        self.hear(("letter",), letter.compose(self.petition, "en").countries)
        now = json.loads(b"".join(self.client.get(f"{page}download.json").streaming_content))["now"]
        self.hear(("standing",), now)

    def read(self, by, limits, tag):
        token = self.tokens[tag]
        answer = self.client.get(
            f"/petitions/chechnya/counts.json?by={by}{limits}", headers={"authorization": f"Bearer {token}"}
        )
        self.hear((by, limits, tag), json.loads(b"".join(answer.streaming_content))["rows"])

    def open_data(self):
        described = self.client.get("/petitions/chechnya/open-data/v1/datapackage.json").json()
        files = [each["path"] for each in described["resources"]]
        return {path: self.client.get(f"/petitions/chechnya/open-data/v1/{path}").content for path in files}

    def hear(self, question, answer):
        self.told[question] = answer

    def cells(self):
        """What is shown of each finest cell."""
        return {
            (row["week"], (row["country"], row["language"], row["source"]), row["measure"]): row["amount"]
            for row in self.told[FINEST, "", None]
        }

    def is_sum_of_cells(self, question, rows):
        """Whether these rows of an answer are sums of the finest cells, so that they say no more than those."""
        by, limits, tag = question
        asked = dict(part.split("=") for part in limits.strip("&").split("&") if part)
        sums = defaultdict(int)
        # Of what became of signatures, by no origin, there is a number of its own for each week.
        is_of_weeks = tag is None and by in ("measure", "week,measure")
        numbers = (
            {(week, None, measure): n for (week, measure), n in self.weeks.items()} if is_of_weeks else self.cells()
        )
        for (week, origin, measure), shown in numbers.items():
            values = dict(zip(("country", "language", "source"), origin or ("", "", ""), strict=True))
            values |= {"week": week, "measure": measure}
            last = f"{date.fromisoformat(week) + timedelta(days=6)}"
            is_asked = asked.get("since", "") <= week and last <= asked.get("until", "9")
            if is_asked and (measure == "counted" or "measure" in by) and tag in (None, values["source"]):
                sums[tuple(values[name] for name in by.split(","))] += shown
        found = {tuple(row[name] for name in by.split(",")): row["amount"] for row in rows}
        return found == {key: amount for key, amount in sums.items() if amount}


def narrowed(shown, weeks, totals):
    """Between which numbers each cell lies, from all that is known."""
    labels = sorted({week for week, _origin, _measure in shown})
    cells = [(week, origin, measure) for week in labels for origin in ORIGINS for measure in NEVER_FALL]
    known = {}
    for week, origin, measure in cells:
        value = shown.get((week, origin, measure), 0)
        before = sum(shown.get((other, origin, measure), 0) for other in labels if other < week)
        # Where as many are shown to withdraw as were shown, it can be more.
        least = -(10**6) if measure == "counted" and value == -before else value - MOST_OFF
        known[week, origin, measure] = (least if measure == "counted" else max(least, 0), value + MOST_OFF)
    rules = []
    begins = MONDAY.date()
    for week in labels:
        ends = date.fromisoformat(week) + timedelta(days=7)
        for measure in NEVER_FALL:
            parts = [(1, (week, origin, measure)) for origin in ORIGINS]
            rules.append((parts, *from_weeks(parts, shown, weeks, begins, ends)))
        exact = totals[ends] - totals[begins]
        rules.append(([(1, (week, origin, "counted")) for origin in ORIGINS], exact, exact))
        for origin in ORIGINS:
            rules.append(([(sign, (week, origin, measure)) for measure, sign in SIGNS.items()], 0, 0))
            so_far = [(1, (other, origin, "counted")) for other in labels if other <= week]
            rules.append((so_far, 0, 10**6))
        begins = ends
    moved = True
    while moved:
        moved = False
        for parts, low, high in rules:
            ranges = [tuple(sorted((sign * known[cell][0], sign * known[cell][1]))) for sign, cell in parts]
            lows, highs = sum(least for least, _most in ranges), sum(most for _least, most in ranges)
            for (sign, cell), (least, most) in zip(parts, ranges, strict=True):
                bounds = sorted((sign * max(least, low - highs + most), sign * min(most, high - lows + least)))
                if tuple(bounds) != known[cell]:
                    known[cell], moved = tuple(bounds), True
    return known


def from_weeks(parts, shown, weeks, begins, ends):
    """Between what a measure lies in all, by the numbers of the weeks that these cells are about."""
    measure = parts[0][1][2]
    told = [value for (week, name), value in weeks.items() if name == measure and f"{begins}" <= week < f"{ends}"]
    values = [shown[cell] for _sign, cell in parts if shown.get(cell)]
    most = MOST_OFF * ((ends - begins).days // 7)
    # A number that stands as far from the sum of cells as it may, may have been moved there.
    is_low = bool(values) and sum(told) == sum(values) - 9 * (len(values) - 1)
    is_high = bool(values) and sum(told) == sum(values) + 9 * (len(values) - 1)
    return -(10**6) if is_low else sum(told) - most, 10**6 if is_high else sum(told) + most


def found(shown, weeks, totals):
    """The cells that are told and lie closer than their rounding leaves. Those never told are nobody's."""
    known = narrowed(shown, weeks, totals)
    return [
        cell for cell, value in shown.items() if known[cell][0] > value - MOST_OFF or known[cell][1] < value + MOST_OFF
    ]


def published_weeks():
    return {(f"{row.week}", row.measure): row.shown for row in PublishedWeek.objects.all()}


def published_cells():
    rows = PublishedCell.objects.exclude(shown=0)
    return {(f"{row.week}", (row.country, row.language, row.source), row.measure): row.shown for row in rows}


def test_all_answers_of_30_days_and_more_leave_each_cell_what_its_rounding_leaves(
    quiet, client, make_staff, publish, clock
):
    chance = random.Random(3)
    organiser = Organiser(client, make_staff, quiet)
    for day in range(1, 32):
        now = MONDAY + timedelta(days=day)
        live(quiet, now - timedelta(hours=12), chance, usual=(6, 1, 3, 1, 8)[(day - 1) // 7 % 5])
        clock.move_to(now)
        publish()
        organiser.ask_everything(now.date(), chance)
        organiser.weeks = published_weeks()
        for question, rows in organiser.told.items():
            if len(question) == 3:
                assert organiser.is_sum_of_cells(question, rows), question
    assert organiser.cells() == published_cells()
    assert len(organiser.cells()) > 30

    assert found(organiser.cells(), organiser.weeks, organiser.totals) == []
    true = {
        (f"{row.week}", (row.country, row.language, row.source), row.measure): row.amount
        for row in PublishedCell.objects.all()
    }
    known = narrowed(organiser.cells(), organiser.weeks, organiser.totals)
    assert all(known[cell][0] <= amount <= known[cell][1] for cell, amount in true.items())


def weeks_of(petition, publish, clock, chance, secret, number=6):
    """What is published of some weeks in which few sign, and the exact totals of their Mondays."""
    PublishedCount.objects.update(secret=secret)
    totals = {MONDAY.date(): 0}
    for week in range(number):
        hour = MONDAY + timedelta(weeks=week, hours=12)
        for origin in chance.sample(ORIGINS, chance.randint(1, 8)):
            confirmed = chance.randint(1, 30)
            late = week > 1 and chance.random() < 0.2
            add(petition, hour, origin, signed=confirmed, confirmed=confirmed, counted=confirmed)
            if late:
                withdrawn = min(confirmed, 7)
                add(petition, hour - timedelta(weeks=1), origin, counted=-withdrawn)
                add(petition, hour, origin, withdrawn=withdrawn)
        clock.move_to(MONDAY + timedelta(weeks=week + 1))
        publish()
        totals[datetime.now(UTC).date()] = tally.current("chechnya").confirmed_here
    return published_cells(), published_weeks(), totals


def attacks(petition, publish, clock, trials=12):
    """How many cells are told in as many small campaigns, and how many of them are found."""
    told = all_found = 0
    for trial in range(trials):
        with transaction.atomic():
            clock.move_to(MONDAY)
            cells, weeks, totals = weeks_of(petition, publish, clock, random.Random(trial), bytes([trial] * 32))
            told += len(cells)
            all_found += len(found(cells, weeks, totals)) if cells else 0
            transaction.set_rollback(True)
    return told, all_found


def test_where_few_sign_no_cell_is_found_either(quiet, publish, clock):
    told, all_found = attacks(quiet, publish, clock)

    assert told > 100
    assert all_found == 0


def test_the_same_attack_finds_cells_where_none_waits_for_the_next_week(quiet, publish, clock, monkeypatch):
    monkeypatch.setattr(Sum, "is_as_wide_as_its_cells", lambda total: True)
    monkeypatch.setattr(Sum, "bounded", lambda total, shown: shown)
    _told, all_found = attacks(quiet, publish, clock)

    assert all_found >= 5


def test_the_same_attack_finds_every_cell_where_weeks_are_told_exactly(quiet, publish, clock, monkeypatch):
    monkeypatch.setattr(publication, "rounded", lambda amount, secret, cell: amount)
    monkeypatch.setattr(f"{__name__}.MOST_OFF", 0)
    cells, weeks, totals = weeks_of(quiet, publish, clock, random.Random(1), bytes(32))

    known = narrowed(cells, weeks, totals)
    assert all(known[cell] == (amount, amount) for cell, amount in cells.items())


# The funnel.


def found_of_one_total(shown, total):
    """The cells that lie closer than their rounding leaves, once their exact sum is known."""
    told = {name: value for name, value in shown.items() if value}
    highest = {name: total - sum(value - MOST_OFF for other, value in told.items() if other != name) for name in told}
    return [name for name, value in told.items() if highest[name] < value + MOST_OFF]


@pytest.mark.parametrize("providers", [1, 2, 3, 5])
def test_no_provider_of_a_week_is_found_by_its_exact_total(settings, providers):
    settings.COUNT_STEP = "10"
    told = 0
    for trial in range(200):
        chance = random.Random(f"{providers} {trial}")
        amounts = [chance.randint(1, 60) for _ in range(providers)]
        cells = {f"provider {number}": (amount, amount, amount) for number, amount in enumerate(amounts)}
        shown = funnel._shown(cells, bytes([trial] * 32), "provider") or {}
        told += len(shown)

        assert found_of_one_total({name: numbers[2] for name, numbers in shown.items()}, sum(amounts)) == [], amounts
    assert (told > 0) == (providers > 1)


@pytest.fixture
def week_of_hours(quiet, publish, clock):
    """A week that is watched by the hour: how many confirmed in each, and how the number moved."""
    chance, confirmed, moved, before = random.Random(5), {}, {}, 0
    for number in range(7 * 24):
        hour = MONDAY + timedelta(hours=number)
        confirmed[hour] = amount = chance.randint(0, 30)
        add(quiet, hour, ORIGINS[0], signed=amount, mailed=amount, confirmed=amount, counted=amount)
        clock.move_to(hour + timedelta(minutes=59))
        publish()
        standing = tally.current("chechnya").confirmed_here
        moved[hour], before = standing - before, standing
    clock.move_to(MONDAY + timedelta(weeks=1))
    publish()
    funnel.release()
    return confirmed, moved


def found_hours(told, moved):
    """The hours that lie closer than their rounding leaves, by where the number stood before and after.

    As long as nobody withdraws, it stands at the exact one or at most 19 below it.
    """
    low = high = standing = 0
    found = []
    for hour, value in told.items():
        standing += moved[hour]
        least, most = max(value - MOST_OFF, standing - high), min(value + MOST_OFF, standing + 19 - low)
        if (least, most) != (value - MOST_OFF, value + MOST_OFF):
            found.append(hour)
        low, high = max(low + least, standing), min(high + most, standing + 19)
    return found


def test_hours_say_no_more_about_who_confirmed_than_the_number_that_everybody_watched(quiet, week_of_hours):
    _confirmed, moved = week_of_hours

    days = {hour.date() for hour in moved}
    told = {step.name: step.confirmed for day in days for step in funnel.by_hour(quiet.pk, day) if step.confirmed}
    assert told == {f"{hour:%Y-%m-%dT%H}": amount for hour, amount in moved.items() if amount}


def test_the_same_attack_finds_hours_that_are_rounded_beside_the_number(week_of_hours):
    confirmed, moved = week_of_hours
    told = {hour: publication.rounded(amount, bytes(32), f"{hour}") for hour, amount in confirmed.items()}

    assert found_hours(told, moved)
