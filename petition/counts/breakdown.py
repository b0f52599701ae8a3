"""Counts broken down as somebody asks, of what is published alone (`petition.counts.publication`).

Hours and days are how the public number moved. Where signatures came from, and what became of them, is told for ended
weeks, in cells that are rounded to tens.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import connections
from django.utils.translation import gettext as _

from petition.postgres import replica

Cell = str | date  # a datetime, which is a date too, is the beginning of its hour
Row = tuple[tuple[Cell, ...], int]
Limits = dict[str, date | None]

ORIGINS = ("country", "language", "source")
WEEKLY = (*ORIGINS, "measure")
# In this order columns stand.
GROUPINGS = ("week", "day", "hour", *WEEKLY)

FETCH_ROWS = 2_000
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::00)?Z?)?", re.ASCII)


@dataclass(frozen=True)
class Question:
    """`by` is in the order of GROUPINGS; from `since` until before `before`, where None is no limit.

    A week is asked for if it lies between these as a whole.
    """

    petition: int
    by: tuple[str, ...]
    since: datetime | None = None
    before: datetime | None = None

    @classmethod
    def ask(cls, petition: int, by: Collection[str], since: str = "", until: str = "") -> Self:
        """Read what a person typed. Raises ValidationError with what to do about each of the three."""
        wrong: dict[str, str] = {}
        if unknown := [name for name in by if name not in GROUPINGS]:
            wrong["by"] = _("Counts can be grouped by %(known)s, not by “%(unknown)s”.") % {
                "known": ", ".join(GROUPINGS),
                "unknown": ", ".join(unknown),
            }
        elif not by:
            wrong["by"] = _("Choose at least one of: %(known)s.") % {"known": ", ".join(GROUPINGS)}
        elif {"day", "hour"} & set(by) and set(by) & set(WEEKLY):
            wrong["by"] = _(
                "Countries, languages, sources and events are told by week, not by day or hour: choose one or other."
            )
        moments: dict[str, tuple[datetime, datetime]] = {}
        for name, text in (("since", since.strip()), ("until", until.strip())):
            if not text:
                continue
            if (found := _moment(text)) is None:
                wrong[name] = _(
                    "“%(text)s” is no day. Write it like 2026-03-31, or 2026-03-31T14 for one of its hours."
                ) % {"text": text}
            elif "T" in text and set(by) & set(WEEKLY):
                wrong[name] = _("Countries, languages, sources and events are told by week: leave out the hour.")
            else:
                moments[name] = found
        first = moments["since"][0] if "since" in moments else None
        before = moments["until"][1] if "until" in moments else None
        if first and before and first >= before:
            wrong["until"] = _("The end comes before the beginning.")
        if wrong:
            raise ValidationError(wrong)
        return cls(petition, tuple(name for name in GROUPINGS if name in by), first, before)

    def query(self) -> str:
        """What was asked, as in the address of its page."""
        values = {"by": ",".join(self.by)}
        if self.since:
            values["since"] = _typed(self.since)
        if self.before:
            last = self.before - timedelta(hours=1)
            values["until"] = f"{last:%Y-%m-%d}" if self.before.hour == 0 else _typed(last)
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


SERIES = {
    "week": "date_trunc('week', hour, 'UTC')::date",
    "day": "(hour AT TIME ZONE 'UTC')::date",
    "hour": "hour",
}


def rows(question: Question) -> Iterator[Row]:
    """Cells and amounts, in order; to be read inside `tally.snapshot()`, however many they are.

    A cursor of the server keeps memory flat.
    """
    statement, limits = _weekly(question) if set(question.by) & set(WEEKLY) else _series(question)
    with connections[replica.using()].chunked_cursor() as cursor:
        cursor.execute(statement, limits | {"petition": question.petition})
        while batch := cursor.fetchmany(FETCH_ROWS):
            for *cells, amount in batch:
                yield tuple(cells), amount


def _series(question: Question) -> tuple[str, Limits]:
    columns = [SERIES[name] for name in question.by]
    conditions = ["hour >= %(since)s"] if question.since else []
    conditions += ["hour < %(before)s"] if question.before else []
    limits: Limits = {"since": question.since, "before": question.before}
    return _statement("petition_publishedhour", "counted", columns, conditions), limits


def _weekly(question: Question) -> tuple[str, Limits]:
    columns = [name if name == "week" else f'{name} COLLATE "C"' for name in question.by]
    conditions = [] if "measure" in question.by else ["measure = 'counted'"]
    conditions += ["week >= %(since)s"] if question.since else []
    conditions += ["week + 7 <= %(before)s"] if question.before else []
    limits: Limits = {
        "since": question.since and question.since.date(),
        "before": question.before and question.before.date(),
    }
    table = "petition_publishedcell" if set(question.by) & set(ORIGINS) else "petition_publishedweek"
    return _statement(table, "shown", columns, conditions), limits


def _statement(table: str, amount: str, columns: list[str], conditions: list[str]) -> str:
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    return f"""
        SELECT {", ".join(columns)}, sum({amount})::bigint FROM {table}
        WHERE {" AND ".join(["petition_id = %(petition)s", *conditions])}
        GROUP BY {places} HAVING sum({amount}) <> 0 ORDER BY {places}
    """  # noqa: S608, every part of it stands in this module
