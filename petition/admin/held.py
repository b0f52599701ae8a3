from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from petition.models import HeldReason, HeldSignature
from petition.models.signature import SignatureQuerySet

from .bulk_actions import BulkActions, InLanguage

BY_HAND = "hand"


class WhyHeld(admin.SimpleListFilter):
    """Filter by the reasons that we know. Asking the table for those that occur would read all of it."""

    title = _("reason for holding")
    parameter_name = "why"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(number), name) for number, name in enumerate(HeldReason.labels)] + [(BY_HAND, _("by a moderator"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == BY_HAND:
            return queryset.exclude(held_reason__in=HeldReason.values)
        for number, reason in enumerate(HeldReason.values):
            if value == str(number):
                return queryset.filter(held_reason=reason)
        return queryset


@admin.register(HeldSignature)
class HeldSignatureAdmin(BulkActions):
    """Held signatures, the longest held first. A moderator releases or invalidates them."""

    permission = "petition.hold_signature"

    list_display = ["id", "reason", "held_at", "name", "country", "language"]
    list_filter = [WhyHeld, "held_at", InLanguage]
    ordering = ["held_at", "id"]
    sortable_by = ()
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER
    exclude = ["email_digest", "domain_digest", "network_digest", "source"]
    actions = ["release", "invalidate"]

    def get_queryset(self, request: HttpRequest) -> SignatureQuerySet:
        return HeldSignature.objects.awaiting_release().select_related("shown")

    @admin.display(description=_("name"))
    def name(self, signature: HeldSignature) -> str:
        return signature.shown_words.name if signature.shown_words else ""

    @admin.display(description=_("reason for holding"))
    def reason(self, signature: HeldSignature) -> Promise | str:
        return dict(HeldReason.choices).get(signature.held_reason, signature.held_reason)
