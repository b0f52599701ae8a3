"""The quiet rule: when the public number moves, and which cells anybody may read.

Whoever reads an exact number before and after can tell that one person has confirmed, and when. So the number moves in
steps of COUNT_STEP and more. When the next one comes, and what it leaves unpublished, is decided at random: somebody
who adds signatures of her own, and watches each, does not see whether there was one more. Once a week what is left is
published, and a day after confirming has ended the exact number for good.

Where signatures came from, and what became of them, is told for ended weeks alone, rounded to tens, up or down at
random. A released cell is never revised: what changes in a past week afterwards is told with the week in which it is
made known. Everything that anybody can ask is a sum of released cells, so that many questions say no more than one.
"""

import hmac
import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from petition.counts.tally import FOLDED_AND_UNFOLDED
from petition.models import PublishedCell, PublishedCount, PublishedWeek

# One publisher at a time, as with the folder.
PUBLISHER_LOCK = 7_401_850_418
NEVER = date(1970, 1, 5)  # a Monday: what there is when a petition is first looked at is published at once
WEEK = timedelta(weeks=1)
FINAL_HOURS = 24
ROUNDED_TO = 10
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
# What is known by now of the days before `monday`, without what was released before. What belongs to a week whose cells
# are out falls into the last one.
CELLS = """
    SELECT week, country, language, source, measure, sum(amount)::bigint FROM (
        SELECT CASE WHEN day >= %(released)s THEN date_trunc('week', day)::date ELSE %(last)s END AS week,
            country, language, source, measure, amount
        FROM (
            SELECT day, country, language, source, measure, amount
            FROM petition_daytally WHERE petition_id = %(petition)s
            UNION ALL
            SELECT (hour AT TIME ZONE 'UTC')::date, country, language, source, measure, amount
            FROM petition_tallychange WHERE petition_id = %(petition)s
        ) AS known WHERE day < %(monday)s
        UNION ALL
        SELECT %(last)s, country, language, source, measure, -amount
        FROM petition_publishedcell WHERE petition_id = %(petition)s
    ) AS changes
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
"""

Cell = tuple[date, str, str, str, str, int]


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
    """Publish all that is folded in the hours in which it was counted. For made-up signatures alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PUBLISHER_LOCK])
        row = PublishedCount.objects.filter(pk=petition_id).first() or _new(petition_id)
        cursor.execute(AS_COUNTED, [petition_id])
        cursor.execute("SELECT sum(counted) FROM petition_publishedhour WHERE petition_id = %s", [petition_id])
        row.counted = cursor.fetchone()[0] or 0
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


def _release(row: PublishedCount, monday: date) -> None:
    """Publish the cells of the weeks that have ended since the last time."""
    secret, totals = bytes(row.secret), Counter[tuple[date, str]]()

    def cells() -> Iterator[PublishedCell]:
        for week, country, language, source, measure, amount in _cells(row, monday):
            totals[week, measure] += amount
            # Without the measure: what one person adds to several of them is rounded alike, and seen once.
            shown = rounded(amount, secret, f"{week}|{country}|{language}|{source}")
            yield PublishedCell(
                petition_id=row.petition_id,
                week=week,
                country=country,
                language=language,
                source=source,
                measure=measure,
                amount=amount,
                shown=shown,
            )

    made = cells()
    while batch := list(islice(made, BATCH)):
        PublishedCell.objects.bulk_create(batch)
    PublishedWeek.objects.bulk_create(
        PublishedWeek(
            petition_id=row.petition_id,
            week=week,
            measure=measure,
            amount=amount,
            shown=rounded(amount, secret, f"{week}"),
        )
        for (week, measure), amount in sorted(totals.items())
        if amount
    )


def _cells(row: PublishedCount, monday: date) -> Iterator[Cell]:
    values: dict[str, int | date] = {
        "petition": row.petition_id,
        "released": row.week,
        "last": monday - WEEK,
        "monday": monday,
    }
    with connection.chunked_cursor() as cursor:
        cursor.execute(CELLS, values)
        while batch := cursor.fetchmany(BATCH):
            yield from batch
