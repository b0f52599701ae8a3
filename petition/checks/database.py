"""What the database is asked before a start: is it the right one, and does it forget what was deleted?"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from petition.postgres import replica, timeouts

POOLER_TRIES = 5
# A statement holds names, and so does the detail of an error.
PRIVATE_LOGS = {
    "log_error_verbosity": "terse",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_statement": "none",
}
# The write-ahead log holds what was deleted, and the time of each confirmation.
FORGETFUL = {"archive_mode": "off", "track_commit_timestamp": "off", "wal_keep_size": "0", "wal_recycle": "off"}
MAY_END_LOG = """
    SELECT pg_has_role('pg_checkpoint', 'USAGE') AND has_function_privilege('pg_switch_wal()', 'EXECUTE')
"""
# A standby has all of it from its primary, but for the last.
IDENTITY = """
    SELECT system_identifier, (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
        pg_is_in_recovery()
    FROM pg_control_system()
"""


@register(Tags.database)
def database_logs_are_private(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not can_be_asked(kwargs):
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(PRIVATE_LOGS)])
            if dict(cursor.fetchall()) == PRIVATE_LOGS:
                return []
    except OperationalError:
        return []
    return [
        Warning(
            "The log of PostgreSQL may quote names.",
            hint=" ".join(f"ALTER SYSTEM SET {name} = '{value}';" for name, value in PRIVATE_LOGS.items()),
            id="petition.W001",
        )
    ]


@register(Tags.database)
def database_forgets(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if not can_be_asked(kwargs):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(FORGETFUL)])
            is_forgetful = dict(cursor.fetchall()) == FORGETFUL
            cursor.execute(MAY_END_LOG)
            (may_end_log,) = cursor.fetchone()
    except OperationalError:
        return
    if not is_forgetful:
        yield Warning(
            "The write-ahead log of PostgreSQL keeps what was deleted.",
            hint=" ".join(f"ALTER SYSTEM SET {name} = '{value}';" for name, value in FORGETFUL.items()),
            id="petition.W002",
        )
    if settings.IS_WORKER and not may_end_log:
        yield Warning(
            "The worker may not have the write-ahead log thrown away, so that it keeps what was deleted.",
            hint='GRANT pg_checkpoint TO "petition-worker"; and, in the database of the site,'
            ' GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "petition-worker";',
            id="petition.W003",
        )


@register(Tags.database, deploy=True)
def database_answers(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """Before a deployment alone: a server that starts before its database waits for it."""
    if not can_be_asked(kwargs):
        return
    try:
        connection.ensure_connection()
    except OperationalError:
        yield Error(
            "The database does not answer.",
            hint="Is PostgreSQL running, does DATABASE_URL name it, and may this user log in?",
            id="petition.E021",
        )


@register(Tags.database)
def sessions_are_kept(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """Two connections that lead to one backend are pooled by the transaction.

    There nothing lasts that a session has: prepared statements, without which nobody signs, and the locks of workers.
    """
    if not can_be_asked(kwargs):
        return
    pair = connection.copy(), connection.copy()
    try:
        # A pooler that is busy may hand out two backends once by chance.
        # One that has no connection left would have us wait.
        with timeouts.limited(timeouts.STAFF_SECONDS):
            is_pooled = any(len({backend_of(each) for each in pair}) == 1 for _ in range(POOLER_TRIES))
    except OperationalError:
        return
    finally:
        for each in pair:
            each.close()
    if is_pooled:
        yield Error(
            "Between us and PostgreSQL a pooler hands out connections by the transaction.",
            hint="Have it pool by session (PgBouncer: pool_mode = session), or name PostgreSQL itself in DATABASE_URL.",
            id="petition.E022",
        )


def backend_of(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@register(Tags.database)
def replica_is_a_standby(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """Pages from another database would be somebody else's; from a second primary, those of some day in the past."""
    if not can_be_asked(kwargs) or not settings.DATABASES.get(replica.REPLICA, {"NAME": ""})["NAME"]:
        return
    try:
        *ours, _is_standby = database_identity(replica.PRIMARY)
    except OperationalError:
        return
    try:
        *theirs, is_standby = database_identity(replica.REPLICA)
    except OperationalError:
        yield Warning(
            "The replica does not answer: pages are read from the primary.",
            hint="Is the standby running, does REPLICA_URL name it, and may this user log in there?",
            id="petition.W050",
        )
        return
    if ours != theirs or not is_standby:
        yield Error(
            "REPLICA_URL names a server that is no standby of this database.",
            hint="Name a standby that streams from the server in DATABASE_URL (docs/nodes.md), or leave it out.",
            id="petition.E051",
        )


def database_identity(alias: str) -> tuple[int, int, bool]:
    with connections[alias].cursor() as cursor:
        cursor.execute(IDENTITY)
        number, database, is_standby = cursor.fetchone()
        return number, database, is_standby


def can_be_asked(options: dict[str, Any]) -> bool:
    """Whether a check of this kind was asked for, and there is a database to look at."""
    return bool(options.get("databases") and settings.DATABASES["default"]["NAME"])
