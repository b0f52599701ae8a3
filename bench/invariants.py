"""Invariants of the count: the rows, the tallies and the ledger of one snapshot agree, cell by cell."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Count

from petition.counts import tally
from petition.models import Measure, Petition, Signature

LEDGER = "SELECT petition_id, hour, country, language, source, measure, amount FROM petition_tallychange"
HOURS = "SELECT petition_id, hour, measure, amount FROM petition_hourtally"
DAYS = "SELECT petition_id, day, country, language, source, measure, amount FROM petition_daytally"
ALL = """
    SELECT count(*), count(*) FILTER (WHERE confirmed_at IS NOT NULL)
        - count(DISTINCT (petition_id, email_digest)) FILTER (WHERE confirmed_at IS NOT NULL)
    FROM petition_signature
"""

Cell = tuple[int, datetime, str, str, str, str]
"""Petition, hour, country, language, source, measure."""
HourKey = tuple[int, datetime, str]
DayKey = tuple[int, date, str, str, str, str]
Key = TypeVar("Key", bound=tuple[Any, ...])


class Series:
    """Measures by hour, and by UTC day, country, language and source. An amount of 0 is none."""

    def __init__(self) -> None:
        self.hours: Counter[HourKey] = Counter()
        self.days: Counter[DayKey] = Counter()

    def add(self, cell: Cell, amount: int) -> None:
        petition_id, hour, country, language, source, measure = cell
        self.hours[petition_id, hour, measure] += amount
        self.days[petition_id, hour.astimezone(UTC).date(), country, language, source, measure] += amount

    def hours_of(self, measure: str) -> Counter[HourKey]:
        return _of(self.hours, measure)

    def days_of(self, measure: str) -> Counter[DayKey]:
        return _of(self.days, measure)

    def total(self, measure: str, petition_id: int | None = None) -> int:
        """Of one petition or of all; by hour and by day it comes to the same, or `mistakes` says so."""
        return sum(
            amount
            for (petition, _hour, name), amount in self.hours.items()
            if name == measure and petition_id in (None, petition)
        )


def _of(amounts: Counter[Key], measure: str) -> Counter[Key]:
    return Counter({key: amount for key, amount in amounts.items() if amount and key[-1] == measure})


def kept() -> Series:
    """The sums of tallies and ledger."""
    series = Series()
    for pk, hour, measure, amount in _rows(HOURS):
        series.hours[pk, hour, measure] += amount
    for pk, day, country, language, source, measure, amount in _rows(DAYS):
        series.days[pk, day, country, language, source, measure] += amount
    for pk, hour, country, language, source, measure, amount in _rows(LEDGER):
        series.add((pk, hour, country, language, source, measure), amount)
    return series


def of_rows() -> Series:
    """The measure `counted`, by the rule of the QuerySet.

    The ledger that this is compared with is written by triggers, which say the rule in SQL of their own.
    """
    series = Series()
    cells = Signature.objects.counted().values_list("petition_id", "confirmed_at", "country", "language", "source")
    for pk, hour, country, language, source, amount in cells.annotate(amount=Count("pk")).order_by():
        series.add((pk, hour, country, language, source, Measure.COUNTED), amount)
    return series


def mistakes(true: Series | None = None) -> list[str]:
    """Disagreements, in words; empty if the count is exact. To be asked in one snapshot, if others write.

    `true` is what every series must be, as far as the caller knows; the rows themselves say it of what is counted.
    """
    found, rows, series = [], of_rows(), kept()
    for pk, slug, before in Petition.objects.values_list("pk", "slug", "collected_before"):
        shown, number = tally.exact(slug), rows.total(Measure.COUNTED, pk)
        if shown is None or (shown.total, shown.confirmed_here) != (before + number, number):
            found.append(f"{number} rows count, after {before}, but what is counted is {shown}")
    for measure in Measure.values:
        hours, days = Counter[tuple[int, date]](), Counter[tuple[int, date]]()
        for (pk, hour, _measure), amount in series.hours_of(measure).items():
            hours[pk, hour.astimezone(UTC).date()] += amount
        for (pk, day, *_cell), amount in series.days_of(measure).items():
            days[pk, day] += amount
        found += _differences(f"{measure}, hours against days", hours, days)
    for measure, expected in [(Measure.COUNTED, rows), *((measure, true) for measure in Measure.values if true)]:
        found += _differences(f"{measure} by hours", series.hours_of(measure), expected.hours_of(measure))
        found += _differences(f"{measure} by days", series.days_of(measure), expected.days_of(measure))
    gone = series.total(Measure.WITHDRAWN) + series.total(Measure.LAPSED)
    left, twice = next(_rows(ALL))
    if series.total(Measure.SIGNED) != left + gone:
        found.append(f"{series.total(Measure.SIGNED)} signed and {gone} went, but {left} are left")
    if twice:
        found.append(f"{twice} confirmed signatures share their address with another")
    return found


def _differences(what: str, kept: Counter[Key], expected: Counter[Key]) -> list[str]:
    wrong = sorted(key for key in kept.keys() | expected.keys() if kept[key] != expected[key])
    return [f"{what}: {len(wrong)} cells, {wrong[0]} is {kept[wrong[0]]}, not {expected[wrong[0]]}"] if wrong else []


def _rows(statement: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return iter(cursor.fetchall())
