"""The public number: reading it, folding the ledger into it, and proving it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from django.db import connection, connections, transaction
from django.utils import timezone

from petition.postgres import replica

# One folder at a time. Any number will do, as long as nothing else uses it.
FOLDER_LOCK = 7_401_850_417
OLD = timedelta(minutes=1)

STEPS = (100, 125, 150, 175, 200, 250, 300, 400, 500, 750)  # hundredths of a power of ten


@dataclass(frozen=True)
class Count:
    """`as_of` is when it was last checked; `goal` is always above the total unless an organiser chose it.

    `collected_before` is all that was not confirmed here, and `on_paper` the part of it that stands on sheets of paper.
    """

    slug: str
    collected_before: int
    confirmed_here: int
    goal: int
    as_of: datetime
    on_paper: int = 0

    @property
    def total(self) -> int:
        return self.collected_before + self.confirmed_here

    @property
    def before_opening(self) -> int:
        """What was collected before this site opened: a round number, of which it is only known that it was more."""
        return self.collected_before - self.on_paper

    @property
    def is_lower_bound(self) -> bool:
        """Whether a part of the total is only known to be more than it says, and so the total."""
        return self.before_opening > 0

    @property
    def is_old(self) -> bool:
        """Whether it is read from a replica that has lost its primary, or no worker publishes: then pages say so."""
        return timezone.now() - self.as_of > OLD


# Exact and at once: who counts sheets says nothing about who confirms here. There are some hundred rows at most.
ON_PAPER = """
    (SELECT coalesce(sum(amount), 0) FROM petition_papersheets s
        WHERE s.petition_id = p.id AND s.checked_at IS NOT NULL AND s.withdrawn_at IS NULL)::bigint
"""
CURRENT = f"""
    SELECT p.slug, p.collected_before, {ON_PAPER}, p.goal, coalesce(c.checked_at, now()), coalesce(c.counted, 0)
    FROM petition_petition p LEFT JOIN petition_publishedcount c ON c.petition_id = p.id WHERE p.slug = %s
"""  # noqa: S608
FOLDED_AND_UNFOLDED = """
    coalesce((SELECT counted FROM petition_totaltally t WHERE t.petition_id = p.id), 0)
    + coalesce((SELECT sum(amount) FROM petition_tallychange c
                WHERE c.petition_id = p.id AND c.measure = 'counted'), 0)
"""
EXACT = f"""
    SELECT slug, collected_before, {ON_PAPER}, goal, now(), {FOLDED_AND_UNFOLDED}
    FROM petition_petition p WHERE slug = %s
"""  # noqa: S608


def current(slug: str) -> Count | None:
    """The published count, for everybody; None if there is no such petition. Costs one row."""
    return _read(CURRENT, slug)


def exact(slug: str) -> Count | None:
    """The count at this moment, folded plus unfolded in one snapshot. For no page, staff, file or log.

    Whoever sees it twice can tell whether one person confirmed in between.
    """
    return _read(EXACT, slug)


def _read(statement: str, slug: str) -> Count | None:
    with replica.cursor() as cursor:
        cursor.execute(statement, [slug])
        row = cursor.fetchone()
    if row is None:
        return None
    slug, before_opening, on_paper, goal, as_of, counted = row
    collected_before, counted = before_opening + on_paper, int(counted)
    return Count(slug, collected_before, counted, goal or next_goal(collected_before + counted), as_of, on_paper)


def next_goal(total: int) -> int:
    """The next round number above the total, at least 100."""
    goals: Iterator[int] = (step * 10**power for power in count() for step in STEPS)
    return next(goal for goal in goals if goal > total)


# What there is now, out of the events that led to it. `recount` proves it against the rows.
NOW = """
    coalesce(sum(CASE measure WHEN 'signed' THEN amount
        WHEN 'confirmed' THEN -amount WHEN 'lapsed' THEN -amount END), 0)::bigint AS waiting,
    coalesce(sum(CASE measure WHEN 'held' THEN amount
        WHEN 'released' THEN -amount WHEN 'held_gone' THEN -amount END), 0)::bigint AS held,
    coalesce(sum(CASE measure WHEN 'invalidated' THEN amount
        WHEN 'restored' THEN -amount WHEN 'invalid_gone' THEN -amount END), 0)::bigint AS invalidated
"""
STANDING = f"""
    SELECT {NOW},
        coalesce(sum(amount) FILTER (WHERE measure = 'withdrawn'), 0)::bigint,
        coalesce(sum(amount) FILTER (WHERE measure = 'confirmed'), 0)::bigint,
        coalesce(sum(amount) FILTER (WHERE measure = 'lapsed'), 0)::bigint,
        (SELECT coalesce(sum(counted), 0) FROM petition_publishedhour
            WHERE petition_id = %(petition)s AND hour >= date_trunc('day', now(), 'UTC'))::bigint
    FROM (SELECT measure, shown AS amount FROM petition_publishedweek WHERE petition_id = %(petition)s) AS released
"""  # noqa: S608


@dataclass(frozen=True)
class Standing:
    """Where the signatures of a petition were when the last week ended, each number rounded to tens, week by week.

    The last four are since its start; `today` is by how much the published number moved since midnight UTC. One that is
    held and invalidated at once is in both numbers.
    """

    waiting: int
    held: int
    invalidated: int
    withdrawn: int
    confirmed: int
    lapsed: int
    today: int

    @property
    def confirmation_rate(self) -> float | None:
        """The part that was confirmed, of those that no longer wait; None if there are none."""
        decided = self.confirmed + self.lapsed
        return self.confirmed / decided if decided > 0 else None


def standing(petition_id: int) -> Standing:
    """What is released of them. What was rounded week by week can add up to less than nothing, which is nothing."""
    with replica.cursor() as cursor:
        cursor.execute(STANDING, {"petition": petition_id})
        numbers = dict(zip(Standing.__dataclass_fields__, cursor.fetchone(), strict=True))
    return Standing(**{name: number if name == "today" else max(number, 0) for name, number in numbers.items()})


@contextmanager
def snapshot() -> Iterator[None]:
    """Within it all numbers are of one moment, so that they add up. Inside a transaction it changes nothing."""
    database = replica.using()
    outermost = not connections[database].in_atomic_block
    with transaction.atomic(using=database):
        if outermost:
            with replica.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


FOLD = """
    WITH moved AS (
        -- A range, not a list: that is one pass over the ledger however wrong its statistics are.
        DELETE FROM petition_tallychange
        WHERE id <= (SELECT max(id) FROM (SELECT id FROM petition_tallychange ORDER BY id LIMIT %s) AS first)
        RETURNING petition_id, hour, country, language, source, measure, amount
    ), hours AS (
        INSERT INTO petition_hourtally AS t (petition_id, hour, measure, amount)
        SELECT petition_id, hour, measure, sum(amount) FROM moved GROUP BY 1, 2, 3
        ON CONFLICT (petition_id, hour, measure) DO UPDATE SET amount = t.amount + EXCLUDED.amount
    ), days AS (
        INSERT INTO petition_daytally AS t (petition_id, day, country, language, source, measure, amount)
        SELECT petition_id, (hour AT TIME ZONE 'UTC')::date, country, language, source, measure, sum(amount)
        FROM moved GROUP BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (petition_id, day, country, language, source, measure)
        DO UPDATE SET amount = t.amount + EXCLUDED.amount
    ), totals AS (
        INSERT INTO petition_totaltally AS t (petition_id, counted)
        SELECT petition_id, sum(amount) FROM moved WHERE measure = 'counted' GROUP BY 1
        ON CONFLICT (petition_id) DO UPDATE SET counted = t.counted + EXCLUDED.counted
    )
    SELECT count(*) FROM moved
"""
FOLD_ROWS = 20_000


def fold() -> int:
    """Move up to 20,000 ledger rows into the tallies; return how many. 0 too while another process folds."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [FOLDER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(FOLD, [FOLD_ROWS])
        return int(cursor.fetchone()[0])


# What the rows of Signature say, against what the ledger and its tallies say, each in the shape of its table. The
# differences are found in one statement, hence one snapshot; what is signed meanwhile writes its own ledger.
RECOUNT = """
    WITH counted AS (
        SELECT petition_id, confirmed_at AS hour, (confirmed_at AT TIME ZONE 'UTC')::date AS day, country, language,
            source, count(*) AS amount
        FROM petition_signature
        WHERE confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL
        GROUP BY 1, 2, 3, 4, 5, 6
    ), unfolded AS (
        SELECT petition_id, hour, (hour AT TIME ZONE 'UTC')::date AS day, country, language, source,
            -sum(amount) AS amount
        FROM petition_tallychange WHERE measure = 'counted'
        GROUP BY 1, 2, 3, 4, 5, 6
    ), owed AS (
        SELECT * FROM counted UNION ALL SELECT * FROM unfolded
    ), hours AS (
        INSERT INTO petition_hourtally AS t (petition_id, hour, measure, amount)
        SELECT petition_id, hour, 'counted', sum(amount) FROM (
            SELECT petition_id, hour, amount FROM owed
            UNION ALL SELECT petition_id, hour, -amount FROM petition_hourtally WHERE measure = 'counted'
        ) AS difference GROUP BY 1, 2 HAVING sum(amount) <> 0
        ON CONFLICT (petition_id, hour, measure) DO UPDATE SET amount = t.amount + EXCLUDED.amount
        RETURNING 1
    ), days AS (
        INSERT INTO petition_daytally AS t (petition_id, day, country, language, source, measure, amount)
        SELECT petition_id, day, country, language, source, 'counted', sum(amount) FROM (
            SELECT petition_id, day, country, language, source, amount FROM owed
            UNION ALL SELECT petition_id, day, country, language, source, -amount
            FROM petition_daytally WHERE measure = 'counted'
        ) AS difference GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0
        ON CONFLICT (petition_id, day, country, language, source, measure)
        DO UPDATE SET amount = t.amount + EXCLUDED.amount
        RETURNING 1
    ), differences AS (
        SELECT petition_id, sum(amount) AS amount FROM (
            SELECT petition_id, amount FROM owed
            UNION ALL SELECT petition_id, -counted FROM petition_totaltally
        ) AS difference GROUP BY 1 HAVING sum(amount) <> 0
    ), totals AS (
        INSERT INTO petition_totaltally AS t (petition_id, counted) SELECT petition_id, amount FROM differences
        ON CONFLICT (petition_id) DO UPDATE SET counted = t.counted + EXCLUDED.counted
    )
    SELECT (SELECT coalesce(sum(amount), 0) FROM counted), (SELECT coalesce(sum(amount), 0) FROM differences),
        (SELECT count(*) FROM hours), (SELECT count(*) FROM days)
"""

# An event that the ledger never heard of cannot be dated, so its correction falls in this hour, and in no country.
RECOUNT_STANDING = f"""
    WITH told AS (
        SELECT petition_id, {NOW}, coalesce(sum(CASE measure WHEN 'signed' THEN amount
            WHEN 'withdrawn' THEN -amount WHEN 'lapsed' THEN -amount END), 0)::bigint AS there
        FROM (
            SELECT petition_id, measure, amount FROM petition_hourtally
            UNION ALL SELECT petition_id, measure, amount FROM petition_tallychange
        ) AS changes GROUP BY 1
    ), found AS (
        SELECT petition_id, count(*) AS there, count(*) FILTER (WHERE confirmed_at IS NULL) AS waiting,
            count(held_at) AS held, count(invalidated_at) AS invalidated
        FROM petition_signature GROUP BY 1
    ), wrong AS (
        SELECT petition_id, coalesce(told.there, 0) - coalesce(found.there, 0) AS there,
            coalesce(told.waiting, 0) - coalesce(found.waiting, 0) AS waiting,
            coalesce(told.held, 0) - coalesce(found.held, 0) AS held,
            coalesce(told.invalidated, 0) - coalesce(found.invalidated, 0) AS invalidated
        FROM told FULL JOIN found USING (petition_id)
    )
    INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
    SELECT petition_id, date_trunc('hour', now(), 'UTC'), '', '', '', c.measure, c.amount
    FROM wrong, LATERAL (VALUES
        -- What went unheard has lapsed; what waits or no longer waits beyond that was confirmed, or was not after all.
        ('lapsed', there), ('confirmed', waiting - there), ('held_gone', held), ('invalid_gone', invalidated)
    ) AS c (measure, amount)
    WHERE c.amount <> 0
    RETURNING 1
"""  # noqa: S608


@dataclass(frozen=True)
class Recount:
    """`difference` is what was added to the totals; `hours` and `days` how many cells were wrong.

    `standing` is how many of the numbers of waiting, held and invalidated ones were.
    """

    counted: int
    difference: int
    hours: int
    days: int
    standing: int


def recount() -> Recount:
    """Compare the tallies with the signatures, add what is missing, say what was found. Reads every signature twice."""
    with transaction.atomic(), connection.cursor() as cursor:
        # The folder waits meanwhile: both would update the same tallies in another order.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FOLDER_LOCK])
        cursor.execute(RECOUNT)
        counted, difference, hours, days = (int(number) for number in cursor.fetchone())
        cursor.execute(RECOUNT_STANDING)
        return Recount(counted, difference, hours, days, standing=cursor.rowcount)
