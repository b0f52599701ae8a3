"""Whether the count is exact: the rows, the tallies and the ledger of one snapshot, compared cell by cell."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC

from django.db import connection, transaction

from petition.counts import tally
from petition.models import Measure, Petition

COUNTED = """
    SELECT petition_id, confirmed_at, country, language, source, 'counted', count(*) FROM petition_signature
    WHERE confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL
    GROUP BY 1, 2, 3, 4, 5
"""
LEDGER = "SELECT petition_id, hour, country, language, source, measure, amount FROM petition_tallychange"
HOURS = "SELECT petition_id, hour, measure, amount FROM petition_hourtally"
DAYS = "SELECT petition_id, day, country, language, source, measure, amount FROM petition_daytally"
ALL = """
    SELECT count(*), count(*) FILTER (WHERE confirmed_at IS NOT NULL)
        - count(DISTINCT (petition_id, email_digest)) FILTER (WHERE confirmed_at IS NOT NULL)
    FROM petition_signature
"""


class Series:
    """Measures by hour, and by UTC day, country, language and source. An amount of 0 is none."""

    def __init__(self) -> None:
        self.hours: Counter[tuple] = Counter()
        self.days: Counter[tuple] = Counter()

    def add(self, cell: Sequence, amount: int) -> None:
        """`cell` is petition, hour, country, language, source, measure."""
        petition_id, hour, country, language, source, measure = cell
        self.hours[petition_id, hour, measure] += amount
        self.days[petition_id, hour.astimezone(UTC).date(), country, language, source, measure] += amount

    def of(self, measure: str) -> dict[str, Counter[tuple]]:
        return {
            name: Counter({key: amount for key, amount in found.items() if amount and key[-1] == measure})
            for name, found in (("hours", self.hours), ("days", self.days))
        }

    def total(self, measure: str, petition_id: int | None = None) -> int:
        """Of one petition or of all; by hour and by day it comes to the same, or `mistakes` says so."""
        return sum(
            amount
            for (petition, _hour, name), amount in self.hours.items()
            if name == measure and petition_id in (None, petition)
        )


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Let every statement in this block see the same moment."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def kept() -> Series:
    """What the tallies and the ledger say together."""
    series = Series()
    for *key, amount in _rows(HOURS):
        series.hours[tuple(key)] += amount
    for *key, amount in _rows(DAYS):
        series.days[tuple(key)] += amount
    for *cell, amount in _rows(LEDGER):
        series.add(cell, amount)
    return series


def mistakes(true: Series | None = None) -> list[str]:
    """What does not agree, in words; empty if the count is exact. To be asked in one snapshot, if others write.

    `true` is what every series must be, as far as the caller knows; the rows themselves say it of what is counted.
    """
    of_rows, rows = Series(), Counter[int]()
    for *cell, amount in _rows(COUNTED):
        of_rows.add(cell, amount)
        rows[cell[0]] += amount
    found, series = [], kept()
    for pk, slug, before in Petition.objects.values_list("pk", "slug", "collected_before"):
        shown = tally.current(slug)
        if shown is None or (shown.total, shown.confirmed_here) != (before + rows[pk], rows[pk]):
            found.append(f"{rows[pk]} rows count, after {before}, but what is shown is {shown}")
    for measure in Measure.values:
        hours, days = Counter[tuple](), Counter[tuple]()
        for (pk, hour, _measure), amount in series.of(measure)["hours"].items():
            hours[pk, hour.astimezone(UTC).date()] += amount
        for (pk, day, *_cell), amount in series.of(measure)["days"].items():
            days[pk, day] += amount
        found += _differences(f"{measure}, hours against days", hours, days)
    for measure, expected in [(Measure.COUNTED, of_rows), *((measure, true) for measure in Measure.values if true)]:
        for name, amounts in series.of(measure).items():
            found += _differences(f"{measure} by {name}", amounts, expected.of(measure)[name])
    gone = series.total(Measure.WITHDRAWN) + series.total(Measure.LAPSED)
    left, twice = next(_rows(ALL))
    if series.total(Measure.SIGNED) != left + gone:
        found.append(f"{series.total(Measure.SIGNED)} signed and {gone} went, but {left} are left")
    if twice:
        found.append(f"{twice} confirmed signatures share their address with another")
    return found


def _differences(what: str, kept: Counter[tuple], expected: Counter[tuple]) -> list[str]:
    wrong = sorted(key for key in kept.keys() | expected.keys() if kept[key] != expected[key])
    return [f"{what}: {len(wrong)} cells, {wrong[0]} is {kept[wrong[0]]}, not {expected[wrong[0]]}"] if wrong else []


def _rows(statement: str) -> Iterator[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return iter(cursor.fetchall())
