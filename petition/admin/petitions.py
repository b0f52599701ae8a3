from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from parler.forms import TranslatableModelForm

from petition.models import Petition, Source

from .base import Audited, ReasonField
from .translations import TextsAdmin

# The permission that each field asks for.
FIELDS = {
    "petition.change_petition": ["title", "addressee", "demand", "plan", "thanks", "pause_notice"],
    "petition.switch_petition": ["opened_at", "paused_at", "closed_at", "goal"],
    "petition.change_collected_before": ["collected_before", "collected_before_on", "collected_before_source"],
}
# Fields that nobody changes without a reason.
EXPLAINED = {"opened_at", "paused_at", "closed_at", "goal", "collected_before", "collected_before_on"}


class PetitionForm(TranslatableModelForm):
    reason = ReasonField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if set(self.changed_data) & EXPLAINED and self.instance.pk and not cleaned.get("reason"):
            self.add_error("reason", _("Say why, since this changes what everybody sees or may do."))
        return cleaned


@admin.register(Petition)
class PetitionAdmin(TextsAdmin):
    """Editors write the texts; administrators open and close, and answer for what was collected before."""

    form = PetitionForm
    list_display = ["slug", "title", "missing", "opened_at", "closed_at", "paused_at", "collected_before"]
    fields = [
        "slug",
        "title",
        "addressee",
        "demand",
        "plan",
        "thanks",
        "pause_notice",
        ("opened_at", "paused_at", "closed_at"),
        "goal",
        ("collected_before", "collected_before_on"),
        "collected_before_source",
        "reason",
    ]
    audited_values = ("opened_at", "paused_at", "closed_at", "goal", "collected_before", "collected_before_on")

    def preview(self, request: HttpRequest, row: Petition) -> HttpResponse:
        return render(request, "admin/petition/petition_preview.html", {"petition": row, "is_preview": True})

    def get_readonly_fields(self, request: HttpRequest, obj: Petition | None = None) -> list[str]:
        # Links carry the slug.
        fixed = ["slug"] if obj else []
        return fixed + [
            field
            for permission, fields in FIELDS.items()
            if obj and not request.user.has_perm(permission)
            for field in fields
        ]

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return any(request.user.has_perm(permission) for permission in FIELDS)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # Its signatures would go with it.
        return False


@admin.register(Source)
class SourceAdmin(Audited):
    list_display = ["slug", "title"]

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> list[str]:
        # The tag is the key: another one would be another source.
        return ["slug"] if obj else []
