"""The database: queue, backups, write-ahead log, standbys, sizes."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.core import checks
from django.db import connection
from django.utils import timezone

from petition import health
from petition.backup.state import State

from .findings import Finding, fail, ok, warn

MAY_MONITOR = "SELECT pg_has_role('pg_monitor', 'USAGE')"
GRANT_MONITOR = 'As the superuser: GRANT pg_monitor TO "petition";'
LOG_BYTES = 2_000_000_000
LAG_SECONDS, GONE_SECONDS = 10, 60
SLOT_BYTES = 1_000_000_000
LARGEST = 3
# What a vacuum leaves behind for long, while it is switched off or waits for an old transaction.
DEAD_ROWS = 100_000

PARTS = {
    "storage": "The disk is full, the server only reads, or somebody holds a lock on the signatures (pg_locks).",
    "limits": "PostgreSQL's counters, or Redis (CACHE_URL), cannot be reached.",
    "mail": "Look at the workers (systemctl status 'petition-worker@*'), then at the mail server.",
    "folder": "Look at the workers (systemctl status 'petition-worker@*').",
    "clock": "Run timedatectl set-ntp true.",
    "purge": "Look at the clock, then run purge --agree; docs/operations.md says why.",
}
REFUSED = (
    "The mail server refuses whatever we send: journalctl --unit 'petition-worker@*' names its code, docs/drills.md"
    " (Mail is down) what helps."
)
MIGRATE = "Run migrate; see Health in docs/operations.md."


def examine() -> Iterator[Finding]:
    """Of one whose tables are not there yet, that alone."""
    yield from parts()
    if not health.is_migrated():
        return
    yield from of_the_checks()
    yield from backups()
    yield from write_ahead_log()
    yield from standbys()
    yield from sizes()


def parts() -> Iterator[Finding]:
    """What /healthz says, told apart."""
    for part, said in health.look().items():
        if said == "ok":
            yield ok(part, said)
        else:
            judge = fail if said in health.FAULTS else warn
            yield judge(part, said, REFUSED if said == "refused" else PARTS.get(part, MIGRATE))


def of_the_checks() -> Iterator[Finding]:
    found = checks.run_checks(include_deployment_checks=not settings.LOCAL, databases=["default"])
    for message in found:
        if not message.is_silenced():
            judge = fail if message.level >= checks.ERROR else warn
            yield judge(f"check {message.id}", message.msg, message.hint or "")
    if not found:
        yield ok("checks", "no issues")


def backups() -> Iterator[Finding]:
    state = State.read()
    for subject, at, is_late, failed, how in (
        ("backup", state.backup_at, state.is_backup_late, state.backup_failed, "backup"),
        ("drill of a restore", state.drill_at, state.is_drill_late, state.drill_failed, "restore --drill"),
    ):
        said = f"{_age(at)}, and the last try failed" if failed else _age(at)
        advice = f"Run manage.py {how} and see what it says."
        if failed or is_late:
            yield (warn if settings.LOCAL else fail)(subject, said, advice)
        else:
            yield ok(subject, said)


def write_ahead_log() -> Iterator[Finding]:
    subject = "write-ahead log"
    if not _row(MAY_MONITOR)[0]:
        yield warn(subject, "its size is not for this role to see", GRANT_MONITOR)
    else:
        (size,) = _row("SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()")
        said = f"{size / 1e6:.0f} MB"
        advice = "Something keeps it: a slot, an archive_command that fails, wal_keep_size. It holds what was deleted."
        yield warn(subject, said, advice) if size > LOG_BYTES else ok(subject, said)
    (kept,) = _row(
        """
        SELECT count(*) FROM pg_replication_slots WHERE NOT active AND
            pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                restart_lsn) > %s
    """,
        [SLOT_BYTES],
    )
    if kept:
        advice = "SELECT slot_name FROM pg_replication_slots WHERE NOT active; and pg_drop_replication_slot() it."
        yield fail(
            "replication slots", f"{kept} that nobody reads, each keeping the log until the disk is full", advice
        )
    is_archived, fails = _row("""
        SELECT current_setting('archive_mode') <> 'off',
            coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver
    """)
    if is_archived and fails:
        yield fail("archive of the log", "the last try failed", "See the log of PostgreSQL; the disk fills meanwhile.")
    elif is_archived:
        yield warn("archive of the log", "on: it keeps what was deleted", "See Point in time in docs/operations.md.")


def standbys() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, sync_state, extract(epoch FROM replay_lag)::float FROM pg_stat_replication")
        found = cursor.fetchall()
    if not found:
        yield ok("standbys", "none")
    for state, is_synchronous, lag in found:
        if state is None:
            yield warn("standby", "its lag is not for this role to see", GRANT_MONITOR)
            continue
        said = f"{state}, {is_synchronous}, {lag or 0:.1f} s behind"
        advice = "Look at its disk and network: what it has not got is lost with the primary."
        judge = (
            fail if (lag or 0) > GONE_SECONDS else warn if (lag or 0) > LAG_SECONDS or state != "streaming" else None
        )
        yield judge("standby", said, advice) if judge else ok("standby", said)


def sizes() -> Iterator[Finding]:
    (size,) = _row("SELECT pg_database_size(current_database())")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_total_relation_size(relid), n_dead_tup > greatest(%s, n_live_tup) "
            "FROM pg_stat_user_tables ORDER BY 2 DESC",
            [DEAD_ROWS],
        )
        tables = cursor.fetchall()
    largest = ", ".join(f"{name} {bytes_ / 1e6:.0f} MB" for name, bytes_, _is_dead in tables[:LARGEST])
    yield ok("size", f"{size / 1e6:.0f} MB; {largest}")
    if dead := [name for name, _bytes, is_dead in tables if is_dead]:
        advice = "An old transaction, or a vacuum that is off: SELECT * FROM pg_stat_activity ORDER BY xact_start;"
        yield warn("dead rows", f"more than living ones in {', '.join(dead)}", advice)


def _row(sql: str, values: list[int] | None = None) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone()  # type: ignore[no-any-return]


def _age(at: datetime | None) -> str:
    if at is None:
        return "never"
    hours = (timezone.now() - at).total_seconds() / 3_600
    return f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"
