"""Health, told apart for an operator's monitor: 200 only if a signature can be stored, limited and mailed.

What is merely late is said with 200 until it is a fault. It names no host, and answers within two seconds. A balancer
asks for less, and more often: whether this process is ready to answer visitors.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from django.db import Error, close_old_connections, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from psycopg2.errors import LockNotAvailable

from petition import clock, retention
from petition.doctor import proxies
from petition.models import Heartbeat, OutboxKey, Signature, TallyChange
from petition.postgres import counters, timeouts

ANSWER_SECONDS = 1.5
READY_SECONDS = 1.0
# Nothing waits longer for the database, so that the threads that ask are free again.
STATEMENT_SECONDS = 1.3
LATE, STOPPED = timedelta(seconds=60), timedelta(minutes=5)
LATE_FOLD_ROWS = 20_000
COUNTER_SECONDS = 60
FAULTS = {"used up", "away", "hangs", "missing", "full", "locked", "no key", "refused", "stopped"}

# The row of a heartbeat has its place, on a full disk too. This takes two milliseconds for a temporary file.
NEW_BLOCKS = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 10000)"

Said = dict[str, str]
Answer = TypeVar("Answer")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    said = within(ANSWER_SECONDS, look) or {"database": "hangs"}
    is_faulty = bool(FAULTS & set(said.values()))
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_faulty else HTTPStatus.OK
    return JsonResponse({"status": "error" if is_faulty else "ok", **said, **proxies.answer(request)}, status=status)


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether a balancer should send visitors here: the database answers within a second, and has every migration.

    One statement that reads. Late mail or a full disk are no reasons to turn visitors away: pages go on.
    """
    said = within(READY_SECONDS, lambda: asked(database)) or {"database": "hangs"}
    is_ready = set(said.values()) == {"ok"}
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"status": "ready" if is_ready else "not ready", **said}, status=status)


_threads: ThreadPoolExecutor | None = None


def within(seconds: float, ask: Callable[[], Answer]) -> Answer | None:
    """What `ask` returns; None if that takes longer. Its thread goes on for a while."""
    global _threads
    _threads = _threads or ThreadPoolExecutor(2, thread_name_prefix="health")
    try:
        asked = _threads.submit(ask)
        return asked.result(seconds)
    except TimeoutError:
        # If it has not begun, nobody needs it any more.
        asked.cancel()
        return None


def look() -> Said:
    return asked(everything)


def asked(question: Callable[[], Said]) -> Said:
    """The answer to a question to the database, or why there is none: ours may be the reason."""
    close_old_connections()
    try:
        with timeouts.limited(STATEMENT_SECONDS):
            return question()
    except Error as error:
        return {"database": "hangs" if timeouts.is_hang(error) else "away"}
    except OSError:
        return {"files": "used up"}


def everything() -> Said:
    said = database()
    return {**said, **parts()} if said["migrations"] == "ok" else said


def database() -> Said:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"database": "ok", "migrations": "ok" if is_migrated() else "missing"}


def parts() -> Said:
    ages = Heartbeat.ages()
    mail = lateness(ages.get(Heartbeat.Part.MAIL)) if OutboxKey.objects.exists() else "no key"
    if mail != "no key" and Heartbeat.refusal():
        mail = "refused"
    folder = lateness(ages.get(Heartbeat.Part.FOLD))
    if folder == "ok" and TallyChange.objects.all()[LATE_FOLD_ROWS:].exists():
        folder = "late"
    return {
        "storage": storage(),
        "limits": limits(),
        "mail": mail,
        "folder": folder,
        "clock": "ok" if clock.is_right() else "differs",
        "purge": "waits" if retention.waits_for_a_person() else "ok",
    }


def lateness(age: timedelta | None) -> str:
    """What has never been seen has just been installed: it is late."""
    if age is None:
        return "late"
    return "stopped" if age > STOPPED else "late" if age > LATE else "ok"


def storage() -> str:
    """One row is written and committed, and some blocks: a full disk, and a server that only reads, refuse that."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # The lock that signing takes; not waited for.
                cursor.execute(f"LOCK TABLE {Signature._meta.db_table} IN ROW EXCLUSIVE MODE NOWAIT; {NEW_BLOCKS}")
            Heartbeat.beat(Heartbeat.Part.WEB)
    except Error as error:
        if timeouts.is_hang(error):
            return "hangs"
        return "locked" if isinstance(error.__cause__, LockNotAvailable) else "full"
    return "ok"


def limits() -> str:
    """One counter is counted, wherever they are."""
    try:
        with transaction.atomic():
            counters.count({"health": COUNTER_SECONDS})
    except Error:
        return "away"
    return "ok"


_migrated = False


def is_migrated() -> bool:
    """Whether the database has every migration. Remembered once true: reading all migration files takes a while."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
