"""The quiet rule: when the public number moves, and which cells anybody may read.

Whoever reads an exact number before and after can tell that one person has confirmed, and when. So the number moves in
steps of COUNT_STEP and more. When the next one comes, and what it leaves unpublished, is decided at random: somebody
who adds signatures of her own, and watches each, does not see whether there was one more. Once a week what is left is
published, and a day after confirming has ended the exact number for good.

Where signatures came from, and what became of them, is told for ended weeks alone, rounded to tens, up or down at
random. A released cell is never revised: what changes in a past week afterwards is told with the week in which it is
made known. Everything that anybody can ask is a sum of released cells, so that many questions say no more than one.

The total of a week is public, too. Where few cells have to add up to it, it would say more about one of them than its
rounding leaves: then the cells of that week wait, and are told as one with those of the next.
"""

import hmac
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Max
from django.utils import timezone

from petition.counts.tally import FOLDED_AND_UNFOLDED
from petition.models import Measure, PublishedCell, PublishedCount, PublishedWeek

# One publisher at a time, as with the folder.
PUBLISHER_LOCK = 7_401_850_418
NEVER = date(1970, 1, 5)  # a Monday: what there is when a petition is first looked at is published at once
WEEK = timedelta(weeks=1)
FINAL_HOURS = 24
ROUNDED_TO = 10
MOST_OFF = ROUNDED_TO - 1
BATCH = 2_000

STATES = f"""
    SELECT p.id, p.closed_at, {FOLDED_AND_UNFOLDED} FROM petition_petition p
"""  # noqa: S608
MOVE_HOUR = """
    INSERT INTO petition_publishedhour AS t (petition_id, hour, counted) VALUES (%s, %s, %s)
    ON CONFLICT (petition_id, hour) DO UPDATE SET counted = t.counted + EXCLUDED.counted
"""
AS_COUNTED = """
    INSERT INTO petition_publishedhour (petition_id, hour, counted)
    SELECT petition_id, hour, amount FROM petition_hourtally WHERE petition_id = %s AND measure = 'counted'
    ON CONFLICT (petition_id, hour) DO UPDATE SET counted = EXCLUDED.counted
"""


def _known(columns: str, table: str) -> str:
    """What is known by now of the days before `monday`, without what this table was given before.

    What belongs to a week that has been looked at before falls into the last one.
    """
    return f"""
    SELECT week, {columns}, sum(amount)::bigint FROM (
        SELECT CASE WHEN day >= %(looked_at)s THEN date_trunc('week', day)::date ELSE %(last)s END AS week,
            {columns}, amount
        FROM (
            SELECT day, {columns}, amount
            FROM petition_daytally WHERE petition_id = %(petition)s
            UNION ALL
            SELECT (hour AT TIME ZONE 'UTC')::date, {columns}, amount
            FROM petition_tallychange WHERE petition_id = %(petition)s
        ) AS known WHERE day < %(monday)s
        UNION ALL
        SELECT %(last)s, {columns}, -amount FROM {table} WHERE petition_id = %(petition)s
    ) AS changes
    GROUP BY week, {columns} HAVING sum(amount) <> 0
"""  # noqa: S608


CELLS = _known("country, language, source, measure", "petition_publishedcell")
WEEKS = _known("measure", "petition_publishedweek")


def publish() -> int:
    """Move what is due of each petition's number; return how many moved. 0 too while another process does it."""
    moved = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [PUBLISHER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        rows = PublishedCount.objects.in_bulk()
        cursor.execute(STATES)
        for petition_id, closed_at, counted in cursor.fetchall():
            row = rows.get(petition_id) or _new(petition_id)
            moved += _check(row, closed_at, int(counted))
    return moved


def publish_as_counted(petition_id: int) -> None:
    """Publish all that is folded in the hours in which it was counted. For made-up signatures alone.

    Their weeks are told with the next `publish`, unless some have been told before.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUBLISHER_LOCK])
        row = PublishedCount.objects.filter(pk=petition_id).first() or _new(petition_id)
        cursor.execute(AS_COUNTED, [petition_id])
        cursor.execute("SELECT sum(counted) FROM petition_publishedhour WHERE petition_id = %s", [petition_id])
        row.counted = cursor.fetchone()[0] or 0
        if not PublishedWeek.objects.filter(petition=petition_id).exists():
            row.week = NEVER
        row.save()


def step(difference: int, lag: int) -> int:
    """By how much the number moves now that it is so far from the exact one: 0, or COUNT_STEP at least."""
    if abs(difference) < int(settings.COUNT_STEP) + lag:
        return 0
    return difference - lag if difference > 0 else difference + lag


def new_lag() -> int:
    most = int(settings.COUNT_STEP)
    return secrets.randbelow(most + 1) if most > 1 else 0


def rounded(amount: int, secret: bytes, cell: str) -> int:
    """A multiple of ten that differs by less than ten, and by nothing on average; for this cell always the same."""
    tens, rest = divmod(amount, ROUNDED_TO)
    drawn = int.from_bytes(hmac.digest(secret, cell.encode(), "sha256")[:8], "big") % ROUNDED_TO
    return ROUNDED_TO * (tens + (drawn < rest))


def monday_before(moment: datetime) -> date:
    """The Monday on which the week of this moment began, UTC."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def _new(petition_id: int) -> PublishedCount:
    return PublishedCount.objects.create(
        petition_id=petition_id,
        lag=new_lag(),
        secret=secrets.token_bytes(32),
        checked_at=timezone.now(),
        week=NEVER,
    )


def _check(row: PublishedCount, closed_at: datetime | None, exact: int) -> bool:
    now = row.checked_at = timezone.now()
    monday = monday_before(now)
    difference = exact - row.counted
    moved_by = step(difference, row.lag)
    if row.final_at is None and closed_at and now >= _final_moment(closed_at):
        # Once: otherwise whoever may close petitions could ask for the exact number as often as she likes.
        row.final_at, moved_by = now, difference
    if row.week < monday:
        _release(row, monday)
        row.week, moved_by = monday, difference
    if moved_by:
        row.counted, row.lag = row.counted + moved_by, new_lag()
        with connection.cursor() as cursor:
            hour = now.replace(minute=0, second=0, microsecond=0)
            cursor.execute(MOVE_HOUR, [row.petition_id, hour, moved_by])
    row.save()
    return bool(moved_by)


def _final_moment(closed_at: datetime) -> datetime:
    return closed_at + timedelta(hours=settings.GRACE_HOURS + FINAL_HOURS)


@dataclass
class Sum:
    """Over the cells of a measure in a week: of what they hold, of what is shown, and how many are not shown as 0."""

    amount: int = 0
    shown: int = 0
    cells: int = 0

    def is_as_wide_as_its_cells(self) -> bool:
        """Whether the exact sum, which everybody can calculate, leaves each cell all that its rounding leaves."""
        return abs(self.amount - self.shown) <= MOST_OFF * (self.cells - 2)

    def bounded(self, shown: int) -> int:
        """A rounded sum, moved so far towards that of the cells that it says no more about one of them."""
        most = MOST_OFF * max(self.cells - 1, 0)
        return min(max(shown, self.shown - most), self.shown + most) if self.cells else shown


def _release(row: PublishedCount, monday: date) -> None:
    """Publish the weeks that have ended since the last time, and their cells if the total does not give one away."""
    secret = bytes(row.secret)
    values = {"petition": row.petition_id, "looked_at": row.week, "last": monday - WEEK, "monday": monday}
    waited_since = PublishedCell.objects.filter(petition=row.petition_id).aggregate(last=Max("week"))["last"] or NEVER
    sums: defaultdict[tuple[date, str], Sum] = defaultdict(Sum)
    with transaction.atomic():
        made = _cells(row.petition_id, secret, values, sums)
        while batch := list(islice(made, BATCH)):
            PublishedCell.objects.bulk_create(batch)
        is_trial = int(settings.COUNT_STEP) == 1
        counted = [total for (_week, measure), total in sums.items() if measure == Measure.COUNTED]
        if not is_trial and not all(total.is_as_wide_as_its_cells() for total in counted):
            transaction.set_rollback(True)
            sums.clear()
    waiting: dict[str, int] = dict(
        PublishedWeek.objects.filter(petition=row.petition_id, week__gt=waited_since)
        .values_list("measure")
        .annotate(shown=models.Sum("shown"))
    )
    weeks = []
    for week, measure, amount in _rows(WEEKS, values):
        shown = rounded(amount, secret, f"{week}")
        if (week, measure) in sums:
            # The weeks whose cells waited for those of this one were told before.
            told = waiting.get(measure, 0) if week == values["last"] else 0
            shown = sums[week, measure].bounded(told + shown) - told
        weeks.append(PublishedWeek(petition_id=row.petition_id, week=week, measure=measure, amount=amount, shown=shown))
    PublishedWeek.objects.bulk_create(weeks)


def _cells(
    petition_id: int, secret: bytes, values: dict[str, Any], sums: defaultdict[tuple[date, str], Sum]
) -> Iterator[PublishedCell]:
    """The cells that are due, while `sums` adds them up."""
    told: dict[tuple[str, str, str], int] | None = None
    for week, country, language, source, measure, amount in _rows(CELLS, values):
        # Without the measure: what one person adds to several of them is rounded alike, and seen once.
        shown = rounded(amount, secret, f"{week}|{country}|{language}|{source}")
        if shown < 0 and measure == Measure.COUNTED:
            # Nobody is shown to withdraw where nobody was shown: below nothing, that would say who they are.
            told = _told(petition_id) if told is None else told
            cell = (country, language, source)
            shown = max(shown, -told.get(cell, 0))
            told[cell] = told.get(cell, 0) + shown
        total = sums[week, measure]
        total.amount, total.shown, total.cells = total.amount + amount, total.shown + shown, total.cells + bool(shown)
        yield PublishedCell(
            petition_id=petition_id,
            week=week,
            country=country,
            language=language,
            source=source,
            measure=measure,
            amount=amount,
            shown=shown,
        )


def _told(petition_id: int) -> dict[tuple[str, str, str], int]:
    """What is shown of each origin by now, of those that count."""
    cells = PublishedCell.objects.filter(petition=petition_id, measure=Measure.COUNTED)
    rows = cells.values_list("country", "language", "source").annotate(shown=models.Sum("shown"))
    return {(country, language, source): shown for country, language, source, shown in rows}


def _rows(statement: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while batch := cursor.fetchmany(BATCH):
            yield from batch
