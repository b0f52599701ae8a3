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
from django.db.models import Sum
from django.utils.translation import gettext as _

from petition.models import Measure, PublishedCell
from petition.postgres import replica

Cell = str | date  # a datetime, which is a date too, is the beginning of its hour
Row = tuple[tuple[Cell, ...], int]
Limits = dict[str, date | str | int | None]

ORIGINS = ("country", "language", "source")
WEEKLY = (*ORIGINS, "measure")
# In this order columns stand.
GROUPINGS = ("week", "day", "hour", *WEEKLY)

FETCH_ROWS = 2_000
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::00)?Z?)?", re.ASCII)


@dataclass(frozen=True)
class Question:
    """`by` is in the order of GROUPINGS; from `since` until before `before`, where None is no limit.

    A week is asked for if it lies between these as a whole. `source` limits all of it to what came by one link, which
    is told by week alone; None is no limit.
    """

    petition: int
    by: tuple[str, ...]
    since: datetime | None = None
    before: datetime | None = None
    source: str | None = None

    @classmethod
    def ask(
        cls, petition: int, by: Collection[str], since: str = "", until: str = "", source: str | None = None
    ) -> Self:
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
        elif {"day", "hour"} & set(by) and source is not None:
            wrong["by"] = _("What came by one link is told by week, not by day or hour: choose “week”.")
        is_weekly = source is not None or not set(by).isdisjoint(WEEKLY)
        moments: dict[str, tuple[datetime, datetime]] = {}
        for name, text in (("since", since.strip()), ("until", until.strip())):
            if not text:
                continue
            if (found := _moment(text)) is None:
                wrong[name] = _(
                    "“%(text)s” is no day. Write it like 2026-03-31, or 2026-03-31T14 for one of its hours."
                ) % {"text": text}
            elif "T" in text and is_weekly:
                wrong[name] = _("Countries, languages, sources and events are told by week: leave out the hour.")
            else:
                moments[name] = found
        first = moments["since"][0] if "since" in moments else None
        before = moments["until"][1] if "until" in moments else None
        if first and before and first >= before:
            wrong["until"] = _("The end comes before the beginning.")
        if wrong:
            raise ValidationError(wrong)
        return cls(petition, tuple(name for name in GROUPINGS if name in by), first, before, source)

    @property
    def is_weekly(self) -> bool:
        """Whether it is about where signatures came from, or what became of them, which is told by week."""
        return self.source is not None or not set(self.by).isdisjoint(WEEKLY)

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


SERIES = {
    "week": "date_trunc('week', hour, 'UTC')::date",
    "day": "(hour AT TIME ZONE 'UTC')::date",
    "hour": "hour",
}


def rows(question: Question) -> Iterator[Row]:
    """Cells and amounts, in order; to be read inside `tally.snapshot()`, however many they are.

    A cursor of the server keeps memory flat.
    """
    chosen = _chosen(question)
    places = ", ".join(str(place) for place in range(1, len(chosen.columns) + 1))
    statement = f"""
        SELECT {", ".join(chosen.columns)}, sum({chosen.amount})::bigint FROM {chosen.table}
        WHERE {" AND ".join(chosen.conditions)}
        GROUP BY {places} HAVING sum({chosen.amount}) <> 0 ORDER BY {places}
    """  # noqa: S608
    with connections[replica.using()].chunked_cursor() as cursor:
        cursor.execute(statement, chosen.limits)
        while batch := cursor.fetchmany(FETCH_ROWS):
            for *cells, amount in batch:
                yield tuple(cells), amount


def number_of_rows(question: Question, most: int) -> int:
    """How many rows there are at most; one more than `most` if there are more than that. Sorts nothing."""
    chosen = _chosen(question)
    statement = f"""
        SELECT count(*) FROM (
            SELECT DISTINCT {", ".join(chosen.columns)} FROM {chosen.table}
            WHERE {" AND ".join(chosen.conditions)} LIMIT %(most)s
        ) AS found
    """  # noqa: S608
    with replica.cursor() as cursor:
        cursor.execute(statement, chosen.limits | {"most": most + 1})
        return int(cursor.fetchone()[0])


def by_source() -> dict[str, int]:
    """How many counted signatures each partner's link brought, of all petitions: sums of released cells, in tens."""
    cells = PublishedCell.objects.using(replica.using()).filter(measure=Measure.COUNTED).exclude(source="")
    return dict(cells.values_list("source").annotate(shown=Sum("shown")))


@dataclass(frozen=True)
class Chosen:
    """What of which table answers a question, in SQL."""

    table: str
    amount: str
    columns: list[str]
    conditions: list[str]
    limits: Limits


def _chosen(question: Question) -> Chosen:
    chosen = _weekly(question) if question.is_weekly else _series(question)
    chosen.conditions.insert(0, "petition_id = %(petition)s")
    chosen.limits["petition"] = question.petition
    return chosen


def _series(question: Question) -> Chosen:
    conditions = ["hour >= %(since)s"] if question.since else []
    conditions += ["hour < %(before)s"] if question.before else []
    return Chosen(
        "petition_publishedhour",
        "counted",
        [SERIES[name] for name in question.by],
        conditions,
        {"since": question.since, "before": question.before},
    )


def _weekly(question: Question) -> Chosen:
    conditions = [] if "measure" in question.by else ["measure = 'counted'"]
    conditions += ["week >= %(since)s"] if question.since else []
    conditions += ["week + 7 <= %(before)s"] if question.before else []
    conditions += ["source = %(source)s"] if question.source is not None else []
    is_of_cells = question.source is not None or not set(question.by).isdisjoint(ORIGINS)
    return Chosen(
        "petition_publishedcell" if is_of_cells else "petition_publishedweek",
        "shown",
        [name if name == "week" else f'{name} COLLATE "C"' for name in question.by],
        conditions,
        {
            "since": question.since and question.since.date(),
            "before": question.before and question.before.date(),
            "source": question.source,
        },
    )
