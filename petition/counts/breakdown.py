"""Counts broken down as somebody asks, with small cells merged, so that no number is about a handful of people.

What that protects from, and what it cannot, stands in docs/organisers.md.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Self
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.translation import gettext as _

Cell = str | date  # a datetime, which is a date too, is the beginning of its hour
Row = tuple[tuple[Cell, ...], int]

SMALL = 10
OTHER, TOTAL = "other", "total"

ORIGINS = ("country", "language", "source")
# In this order columns stand, and cells are merged: days before countries before languages. It is not for the reader to
# choose, since two orders would merge the same cells in two ways, and their difference could be small.
GROUPINGS = ("day", "hour", *ORIGINS, "measure")

FETCH_ROWS = 2_000
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::00)?Z?)?", re.ASCII)


@dataclass(frozen=True)
class Question:
    """`by` is in the order of GROUPINGS; from `since` until before `before`, where None is no limit."""

    petition: int
    by: tuple[str, ...]
    since: datetime | None = None
    before: datetime | None = None
    exact: bool = False

    @classmethod
    def ask(cls, petition: int, by: Collection[str], since: str = "", until: str = "", *, exact: bool = False) -> Self:
        """Read what a person typed. Raises ValidationError with what to do about each of the three."""
        wrong: dict[str, str] = {}
        if unknown := [name for name in by if name not in GROUPINGS]:
            wrong["by"] = _("Counts can be grouped by %(known)s, not by “%(unknown)s”.") % {
                "known": ", ".join(GROUPINGS),
                "unknown": ", ".join(unknown),
            }
        elif not by:
            wrong["by"] = _("Choose at least one of: %(known)s.") % {"known": ", ".join(GROUPINGS)}
        elif "hour" in by and set(by) & set(ORIGINS):
            wrong["by"] = _(
                "Countries, languages and sources are counted by day, not by hour: choose one or the other."
            )
        moments: dict[str, tuple[datetime, datetime]] = {}
        for name, text in (("since", since.strip()), ("until", until.strip())):
            if not text:
                continue
            if (found := _moment(text)) is None:
                wrong[name] = _(
                    "“%(text)s” is no day. Write it like 2026-03-31, or 2026-03-31T14 for one of its hours."
                ) % {"text": text}
            elif "T" in text and set(by) & set(ORIGINS):
                wrong[name] = _("Countries, languages and sources are counted by day: leave out the hour.")
            else:
                moments[name] = found
        first = moments["since"][0] if "since" in moments else None
        before = moments["until"][1] if "until" in moments else None
        if first and before and first >= before:
            wrong["until"] = _("The end comes before the beginning.")
        if wrong:
            raise ValidationError(wrong)
        return cls(petition, tuple(name for name in GROUPINGS if name in by), first, before, exact)

    def query(self) -> str:
        """What was asked, as in the address of its page."""
        values = {"by": ",".join(self.by)}
        if self.since:
            values["since"] = _typed(self.since)
        if self.before:
            last = self.before - timedelta(hours=1)
            values["until"] = f"{last:%Y-%m-%d}" if self.before.hour == 0 else _typed(last)
        if self.exact:
            values["exact"] = "on"
        return urlencode(values, safe=",")


def _moment(text: str) -> tuple[datetime, datetime] | None:
    """Where a day or an hour begins, and where the next one does; None if the text is neither."""
    match = MOMENT.fullmatch(text)
    if match is None:
        return None
    day, hour = match.groups()
    try:
        begins = datetime.fromisoformat(day).replace(hour=int(hour or 0), tzinfo=UTC)
        return begins, begins + (timedelta(hours=1) if hour else timedelta(days=1))
    except (ValueError, OverflowError):
        return None


def _typed(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d}" if hour.hour == 0 else f"{hour:%Y-%m-%dT%H}"


def is_day(text: str) -> bool:
    return "T" not in text and _moment(text) is not None


def rows(question: Question) -> Iterator[Row]:
    """Cells and amounts, in order; to be read inside `tally.snapshot()`, however many they are."""
    if question.exact:
        levels, has_measure = _levels(question), "measure" in question.by
        for cells, measure, amount in _read(question, levels):
            yield (*cells, measure) if has_measure else cells, amount
    else:
        yield from _merged(question)


def merge(cells: Mapping[tuple[Cell, ...], int]) -> Iterator[Row]:
    """Merge what is small, column by column. The sum of all cells must be at least SMALL; so is every one then."""
    heads: Counter[Cell] = Counter()
    parts: dict[Cell, Counter[tuple[Cell, ...]]] = defaultdict(Counter)
    for key, amount in cells.items():
        if not key:
            yield key, amount
            return
        heads[key[0]] += amount
    shown = large_enough(heads)
    for (head, *rest), amount in cells.items():
        parts[head if head in shown else OTHER][tuple(rest)] += amount
    for head in sorted(shown, key=str):
        yield from (((head, *rest), amount) for rest, amount in merge(parts[head]))
    if OTHER in parts:
        yield from (((OTHER, *rest), amount) for rest, amount in merge(parts[OTHER]))


def large_enough(amounts: Mapping[Cell, int]) -> set[Cell]:
    """Those to show. The others, together, are at least SMALL, or else there is nothing to show.

    Where the small ones do not make SMALL together, the next larger ones join them: otherwise a total would give away
    what they are.
    """
    shown, hidden, is_any_hidden = set(), 0, False
    for cell, amount in sorted(amounts.items(), key=lambda item: (item[1], str(item[0]))):
        if amount < SMALL or (is_any_hidden and hidden < SMALL):
            hidden, is_any_hidden = hidden + amount, True
        else:
            shown.add(cell)
    return shown


def _merged(question: Question) -> Iterator[Row]:
    """`merge` for any number of rows, each measure by itself: it holds one value of the first column at a time."""
    levels = _levels(question)

    def row(cells: Iterable[Cell], measure: str, amount: int) -> Row:
        return (*cells, measure) if "measure" in question.by else tuple(cells), amount

    if not levels:
        yield from (row((), measure, amount) for _cells, measure, amount in _read(question, ()))
        return
    if question.by == levels[:1] and levels[0] in ORIGINS:
        # These are few, and one look at them costs half as much as two.
        table = {cells: amount for cells, _measure, amount in _read(question, levels)}
        total = sum(table.values())
        yield from merge(table) if total >= SMALL else [((TOTAL,), total)] if total else []
        return
    joining = _joining(question, levels[0])
    others: dict[str, Counter[tuple[Cell, ...]]] = defaultdict(Counter)
    for head, part in groupby(_read(question, levels), key=lambda cell: cell[0][0]):
        for measure, cells in groupby(part, key=lambda cell: cell[1]):
            rest = {cell[1:]: amount for cell, _measure, amount in cells}
            if sum(rest.values()) >= SMALL and head not in joining[measure]:
                yield from (row((head, *tail), measure, amount) for tail, amount in merge(rest))
            else:
                others[measure].update(rest)
    for measure, other in sorted(others.items()):
        amount = other.total()
        if amount >= SMALL:
            yield from (row((OTHER, *tail), measure, amount) for tail, amount in merge(other))
        elif amount:
            yield row([TOTAL] * len(levels), measure, amount)


def _joining(question: Question, level: str) -> dict[str, set[Cell]]:
    """What `large_enough` hides of the first column although it is not small, for each measure."""
    found: dict[str, set[Cell]] = defaultdict(set)
    smallest_first = _read(question, (level,), order="2, 3, 1")
    for measure, cells in groupby(smallest_first, key=lambda cell: cell[1]):
        hidden, is_any_hidden = 0, False
        for (head,), _measure, amount in cells:
            if amount >= SMALL:
                if not is_any_hidden or hidden >= SMALL:
                    break
                found[measure].add(head)
            hidden, is_any_hidden = hidden + amount, True
    return found


HOURS = """
    SELECT petition_id, hour, measure, amount FROM petition_hourtally
    UNION ALL SELECT petition_id, hour, measure, amount FROM petition_tallychange
"""
DAYS = """
    SELECT petition_id, day, country, language, source, measure, amount FROM petition_daytally
    UNION ALL SELECT petition_id, (hour AT TIME ZONE 'UTC')::date, country, language, source, measure, amount
    FROM petition_tallychange
"""


def _levels(question: Question) -> tuple[str, ...]:
    return tuple(name for name in question.by if name != "measure")


def _read(question: Question, levels: tuple[str, ...], order: str = "") -> Iterator[tuple[tuple[Cell, ...], str, int]]:
    """Cells of these columns, measure and amount, straight from the tallies, folded plus unfolded, in one statement.

    Sorted by the first column, then the measure, then the others. A cursor of the server keeps memory flat.
    """
    by_day = bool(set(question.by) & set(ORIGINS))
    moment = "day" if by_day else "hour"
    expressions = {"day": "day" if by_day else "(hour AT TIME ZONE 'UTC')::date", "hour": "hour"} | {
        name: f'{name} COLLATE "C"' for name in (*ORIGINS, "measure")
    }
    columns = [expressions[name] for name in (*levels[:1], "measure", *levels[1:])]
    conditions = ["petition_id = %(petition)s"]
    if "measure" not in question.by:
        conditions.append("measure = 'counted'")
    if question.since:
        conditions.append(f"{moment} >= %(since)s")
    if question.before:
        conditions.append(f"{moment} < %(before)s")
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    statement = f"""
        SELECT {", ".join(columns)}, sum(amount)::bigint FROM ({DAYS if by_day else HOURS}) AS cells
        WHERE {" AND ".join(conditions)}
        GROUP BY {places} HAVING sum(amount) <> 0 ORDER BY {order or places}
    """  # noqa: S608, every part of it stands in this module
    values = {"petition": question.petition, "since": question.since, "before": question.before}
    if by_day:
        values |= {name: value.date() for name in ("since", "before") if (value := getattr(question, name))}
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while batch := cursor.fetchmany(FETCH_ROWS):
            for *cells, amount in batch:
                measure = cells.pop(1 if levels else 0)
                yield tuple(cells), measure, amount
