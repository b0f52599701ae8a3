"""Health, told apart for an operator's monitor: 200 only if a signature can be stored, limited and mailed.

What is merely late is said with 200 until it is a fault. It names no host, and answers within two seconds.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from datetime import timedelta
from http import HTTPStatus

from django.db import Error, close_old_connections, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from petition import clock, retention
from petition.models import Heartbeat, OutboxKey, TallyChange
from petition.postgres import counters

ANSWER_SECONDS = 1.5
LATE, STOPPED = timedelta(seconds=60), timedelta(minutes=5)
LATE_FOLD_ROWS = 20_000
COUNTER_SECONDS = 60
FAULTS = {"away", "hangs", "missing", "full", "no key", "stopped"}

Said = dict[str, str]


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    said = within(ANSWER_SECONDS, look) or {"database": "hangs"}
    is_faulty = bool(FAULTS & set(said.values()))
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_faulty else HTTPStatus.OK
    return JsonResponse({"status": "error" if is_faulty else "ok", **said}, status=status)


_threads: ThreadPoolExecutor | None = None


def within(seconds: float, ask: Callable[[], Said]) -> Said | None:
    """What `ask` returns; None if that takes longer. Its thread goes on: nothing can end a wait for a database."""
    global _threads
    _threads = _threads or ThreadPoolExecutor(2, thread_name_prefix="health")
    try:
        return _threads.submit(ask).result(seconds)
    except TimeoutError:
        return None


def look() -> Said:
    close_old_connections()
    try:
        if not is_migrated():
            return {"database": "ok", "migrations": "missing"}
        return {"database": "ok", "migrations": "ok", **parts()}
    except Error:
        return {"database": "away"}


def parts() -> Said:
    ages = Heartbeat.ages()
    mail = lateness(ages.get(Heartbeat.Part.MAIL)) if OutboxKey.objects.exists() else "no key"
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
    """One row is written and committed: a full disk, and a server that only reads, refuse that."""
    try:
        with transaction.atomic():
            Heartbeat.beat(Heartbeat.Part.WEB)
    except Error:
        return "full"
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
