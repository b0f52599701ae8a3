from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from petition.models import Petition, Source

from .base import Audited, ReasonField
from .drafts import DraftForm, DraftsAdmin

# The permission that each field asks for.
FIELDS = {
    "petition.change_petition": ["title", "addressee", "demand", "plan", "thanks", "pause_notice"],
    "petition.switch_petition": ["opened_at", "paused_at", "closed_at", "goal"],
    "petition.change_collected_before": ["collected_before", "collected_before_on", "collected_before_source"],
}
# Fields that nobody changes without a reason.
EXPLAINED = {"opened_at", "paused_at", "closed_at", "goal", "collected_before", "collected_before_on"}
SOURCE = "collected_before_source"


class PetitionForm(DraftForm):
    reason = ReasonField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if set(self.changed_data) & EXPLAINED and self.instance.pk and not cleaned.get("reason"):
            self.add_error("reason", _("Say why, since this changes what everybody sees or may do."))
        if SOURCE in self.changed_data and self.instance.pk and not self.instance.has_translation(self.language_code):
            self.add_error(SOURCE, _("Publish the texts in this language first."))
        return cleaned


@admin.register(Petition)
class PetitionAdmin(DraftsAdmin):
    """Editors write the texts; administrators open and close, and answer for what was collected before.

    Texts are drafts until they are published. All else is changed at once, with either button.
    """

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

    def may_write(self, request: HttpRequest, row: Any = None) -> bool:
        return request.user.has_perm("petition.change_petition")

    def add(self, row: Petition) -> None:
        row.save()

    def save_model(self, request: HttpRequest, obj: Petition, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change:
            self.save_at_once(obj, set(form.changed_data))

    def save_at_once(self, petition: Petition, changed: set[str]) -> None:
        """Save what is no draft, and leave the texts that readers see as they are."""
        here = Petition.objects.filter(pk=petition.pk)
        if at_once := {name: getattr(petition, name) for name in changed & EXPLAINED}:
            here.update(**at_once)
        if SOURCE in changed:
            language, source = petition.get_current_language(), petition.collected_before_source
            petition.translations.filter(language_code=language).update(**{SOURCE: source})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if super().has_add_permission(request) and Petition.objects.exists():
            messages.error(request, _("This site is about one petition, and has it already. There is no second one."))
            return HttpResponseRedirect(reverse("admin:petition_petition_changelist"))
        return super().add_view(request, form_url, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # The site is about one petition: a second one would take over its home page, its letter and its counts.
        return super().has_add_permission(request) and not Petition.objects.exists()

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
