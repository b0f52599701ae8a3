"""Canned reasons: administrators write them, moderators choose among them, and the list says how often."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from parler.admin import TranslatableAdmin

from petition.models import CannedReason, StaffAction

from .base import Audited

COUNTED_DAYS = 30


@admin.register(CannedReason)
class CannedReasonAdmin(Audited, TranslatableAdmin):
    fields = ["text", "position"]
    list_display = ["text", "position", "how_often", "how_many"]
    ordering = ["position", "pk"]
    audited_values = ("position",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CannedReason]:
        """Each with how often it was given in the last 30 days, and for how many signatures, by the audit log."""
        since = timezone.now() - timedelta(days=COUNTED_DAYS)
        given = StaffAction.objects.filter(canned_reason=OuterRef("pk"), done_at__gt=since).order_by()
        of_one = given.values("canned_reason")
        return (
            super()
            .get_queryset(request)
            .annotate(
                times=Coalesce(Subquery(of_one.values(n=Count("*")), output_field=IntegerField()), 0),
                signatures=Coalesce(Subquery(of_one.values(n=Sum("count")), output_field=IntegerField()), 0),
            )
        )

    @admin.display(description=_("chosen in 30 days"))
    def how_often(self, reason: Any) -> int:
        return int(reason.times)

    @admin.display(description=_("for how many signatures"))
    def how_many(self, reason: Any) -> int:
        return int(reason.signatures)
