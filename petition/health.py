"""What an operator's monitor asks: 503 only when nobody can sign; what is merely late is said with 200."""

from datetime import timedelta
from http import HTTPStatus

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from petition.models import OutboxKey, OutgoingMail, TallyChange

LATE_MAIL_SECONDS = 60
LATE_FOLD_ROWS = 20_000


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    try:
        if not is_migrated():
            said = {"status": "error", "database": "ok", "migrations": "missing"}
            return JsonResponse(said, status=HTTPStatus.SERVICE_UNAVAILABLE)
        late = timezone.now() - timedelta(seconds=LATE_MAIL_SECONDS)
        mail = "late" if OutgoingMail.objects.waiting().filter(due_at__lt=late).exists() else "ok"
        if not OutboxKey.objects.exists():
            said = {"status": "error", "database": "ok", "migrations": "ok", "mail": "no key"}
            return JsonResponse(said, status=HTTPStatus.SERVICE_UNAVAILABLE)
        folder = "late" if TallyChange.objects.all()[LATE_FOLD_ROWS:].exists() else "ok"
    except Error:
        return JsonResponse({"status": "error", "database": "away"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return JsonResponse({"status": "ok", "database": "ok", "migrations": "ok", "mail": mail, "folder": folder})


_migrated = False


def is_migrated() -> bool:
    """Whether the database has every migration. Remembered once true: reading all migration files takes a while."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
