"""Retention: a page that says of each kind of data when it is deleted, and when that last ran."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from petition import retention
from petition.models import ForgottenHour, Retention

from .base import ReadOnlyAdmin

# The worker deletes once an hour.
LATE = timedelta(hours=2)


@admin.register(Retention)
class RetentionAdmin(ReadOnlyAdmin):
    """One page. It names no numbers: how many lapsed in an hour would tell of an address that somebody typed."""

    permission = "petition.view_retention"

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        ran = dict(Retention.objects.values_list("kind", "ran_at"))
        late = timezone.now() - LATE
        rows = [
            {"what": what, "when": when, "ran_at": ran.get(kind), "is_late": kind not in ran or ran[kind] < late}
            for kind, (what, when) in retention.kinds().items()
        ]
        forgotten = ForgottenHour.objects.filter(finished_at__isnull=False).order_by("-hour").first()
        at = forgotten.finished_at if forgotten else None
        what = _("What the files of PostgreSQL keep of deleted rows")
        rows.append({"what": what, "when": _("within two hours"), "ran_at": at, "is_late": not at or at < late})
        return self.page(
            request, "retention", _("When data is deleted"), rows=rows, is_late=any(row["is_late"] for row in rows)
        )
