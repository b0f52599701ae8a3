"""Forgetting: once an hour has ended, PostgreSQL holds nothing more of what was deleted, nor in which order rows came.

A deleted row stays in its table until something else is written over it, and in the write-ahead log until that is
thrown away. And each row tells by its place and by the number of the transaction that wrote it (ctid and xmin) when it
was written, much finer than to the hour. So the worker, when an hour has ended,

1. writes the signatures that were touched in ended hours anew, in random order and in few transactions;
2. does so with the small tables, all of which are then stored anew without what was deleted from them;
3. throws the write-ahead log away.

Each part can be done again, and is, if it was interrupted.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pgtrigger
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.utils import timezone
from psycopg2.errors import InsufficientPrivilege, LockNotAvailable

from petition import clock
from petition.models import ForgottenHour
from petition.models.signature import this_hour

logger = logging.getLogger(__name__)

# One process at a time. Any number will do, as long as nothing else uses it.
LOCK = 7_401_850_421
# Nobody can sign or press while a batch is written: some 50 ms.
BATCH = 2_000
# So long may this wait for others, who then wait behind it.
LOCK_TIMEOUT = "250ms"
# Those before are needed no more: see `_unordered`.
KEPT_HOURS = 3

# Written by pieces, since it may be large; by DELETE and INSERT, since PostgreSQL writes an UPDATE to the same page.
SIGNATURES = "petition_signature"
SIGNATURE_TIMES = ("created_at", "confirmed_at", "held_at", "released_at", "invalidated_at")
SHUFFLE = """
    WITH gone AS (DELETE FROM petition_signature WHERE id = ANY(%s) RETURNING *)
    INSERT INTO petition_signature SELECT * FROM gone ORDER BY random()
"""
IGNORED = [f"petition.Signature:{name}" for name in ("ledger_insert", "ledger_delete", "forget_words")]

# The small tables, in the order of whose keys they are stored anew: those are random. Where rows tell their hour, those
# of ended hours also get one transaction.
SMALL = {
    "petition_link": ("token_digest", "created_at"),
    "petition_shownwords": ("signature_id", "asked_at"),
    "petition_addressmark": ("id", ""),
    "petition_outgoingmail": ("id", ""),
    "petition_outboxkey": ("id", ""),
    "petition_lookup": ("id", ""),
    "petition_withdrawn": ("id", ""),
    "petition_mailtally": ("id", ""),
    "petition_invalidationcampaign": ("id", ""),
    "petition_tallychange": ("id", ""),
    "petition_reviewclaim": ("signature_id", ""),
    "petition_subscription": ("id", ""),
    "petition_subscriptionrequest": ("token_digest", ""),
}
# Those that tell no more than a week or a day, in these columns: all rows since RECENT_DAYS share one transaction, and
# so do those of each week before. Else the hour of it would tell more.
COARSE = {"petition_subscription": "week", "petition_subscriptionrequest": "day"}
RECENT_DAYS = 14

is_told = False


class LaterError(Exception):
    """Somebody is in the way, perhaps another process that forgets; what is left is done at the next turn."""


def forget_ended_hour() -> bool:
    """Forget what the last hour left, unless that is done; return whether anything was.

    Not for use in a transaction. Raises WrongClockError.
    """
    now = this_hour()
    if ForgottenHour.objects.filter(hour=now - timedelta(hours=1), finished_at__isnull=False).exists():
        return False
    try:
        forget(now)
    except LaterError:
        logger.info("Forgetting goes on later: something was in use")
        return False
    return True


def forget(end: datetime) -> int:
    """Forget the order of what was touched before this hour began, and all that was deleted; return how many signatures
    were written anew. Raises LaterError and WrongClockError.
    """
    clock.require_right()
    with _alone():
        return _forget(end)


def _forget(end: datetime) -> int:
    hour = _begin(end - timedelta(hours=1))
    ids = _unordered(hour, SIGNATURES, "id", SIGNATURE_TIMES, end)
    for first in range(0, len(ids), BATCH):
        _shuffle(hour, ids[first : first + BATCH])
    for table, (key, time) in SMALL.items():
        if time:
            _give_one_transaction(hour, table, key, time, end)
        if table in COARSE:
            _give_recent_one_transaction(table, key, COARSE[table], end)
        _store_anew(table)
    with _patience():
        _execute(f"VACUUM {SIGNATURES}")
    throw_log_away()
    hour.finished_at = timezone.now()
    hour.save(update_fields=["finished_at"])
    kept = ForgottenHour.objects.order_by("-hour").values_list("hour", flat=True)[:KEPT_HOURS]
    ForgottenHour.objects.exclude(hour__in=list(kept)).delete()
    return len(ids)


def _begin(hour: datetime) -> ForgottenHour:
    first = _number("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return ForgottenHour.objects.get_or_create(hour=hour, defaults={"first_transaction": first})[0]


def _unordered(hour: ForgottenHour, table: str, key: str, times: Sequence[str], end: datetime) -> list[Any]:
    """The keys, in random order, of the rows that others have written since the hour before the last, and that say
    nothing of the hour that has begun: those wait until it has ended, too.
    """
    kept = ForgottenHour.objects.filter(hour__lte=hour.hour).order_by("-hour")
    # From the run before the last one on: what the last one had to leave was written before it began.
    since = kept[2].first_transaction if len(kept) > 2 else 0
    own = [str(number % 2**32) for each in kept for number in each.own_transactions]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key} FROM {table}"  # noqa: S608
            " WHERE age(xmin) <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint - %s + 1"
            f" AND xmin::text <> ALL(%s) AND greatest({', '.join(times)}) < %s ORDER BY random()",
            [since, own, end],
        )
        return [row for (row,) in cursor.fetchall()]


def _shuffle(hour: ForgottenHour, ids: list[int]) -> None:
    """Write these signatures anew, in random order. The ledger hears nothing of it, and a reader sees no gap."""
    with transaction.atomic(), _patience():
        # Whoever would change one of them meanwhile would find it deleted: so they wait, and look when it is there.
        _execute(f"LOCK TABLE {SIGNATURES} IN EXCLUSIVE MODE")
        with pgtrigger.ignore(*IGNORED), connection.cursor() as cursor:
            cursor.execute(SHUFFLE, [ids])
        _note_transaction(hour)


def _give_one_transaction(hour: ForgottenHour, table: str, key: str, time: str, end: datetime) -> None:
    with transaction.atomic(), _patience(), connection.cursor() as cursor:
        keys = _unordered(hour, table, key, [time], end)
        if keys:
            cursor.execute(f"UPDATE {table} SET {key} = {key} WHERE {key} = ANY(%s)", [keys])  # noqa: S608
            _note_transaction(hour)


def _give_recent_one_transaction(table: str, key: str, time: str, end: datetime) -> None:
    since = (end - timedelta(days=RECENT_DAYS)).date()
    with transaction.atomic(), _patience(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {key} = {key} WHERE {time} > %s", [since])  # noqa: S608


def _note_transaction(hour: ForgottenHour) -> None:
    hour.own_transactions.append(_number("SELECT pg_current_xact_id()::text::bigint"))
    hour.save(update_fields=["own_transactions"])


def _store_anew(table: str) -> None:
    """Copy what is in the table to new files, sorted by its key, and delete the old files."""
    with _patience():
        _execute(f"CLUSTER {table} USING {table}_pkey")


def throw_log_away() -> bool:
    """Go on in a new file of the write-ahead log, and have the older ones deleted. False if PostgreSQL forbids us."""
    global is_told
    try:
        _execute("SELECT pg_switch_wal()")
        _execute("CHECKPOINT")
    except ProgrammingError as error:
        if not isinstance(error.__cause__, InsufficientPrivilege):
            raise
        if not is_told:
            logger.warning("The write-ahead log keeps what was deleted: this role may not end it (petition.W003)")
        is_told = True
        return False
    return True


@contextmanager
def _alone() -> Iterator[None]:
    if not _number("SELECT pg_try_advisory_lock(%s)::int", [LOCK]):
        raise LaterError
    try:
        yield
    finally:
        _execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@contextmanager
def _patience() -> Iterator[None]:
    """Within it, wait only a moment for others. Raises LaterError."""
    is_local = connection.in_atomic_block
    try:
        _execute(f"SET {'LOCAL' if is_local else 'SESSION'} lock_timeout = '{LOCK_TIMEOUT}'")
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise LaterError from error
        raise
    finally:
        if not is_local:
            _execute("RESET lock_timeout")


def _execute(sql: str, values: Sequence[Any] = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _number(sql: str, values: Sequence[Any] = ()) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.fetchone()[0])
