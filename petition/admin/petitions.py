from io import BytesIO
from typing import Any

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import BigIntegerField, Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition.counts import breakdown
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
    """The list has what organisers pass on to a partner: the link, and its QR code."""

    list_display = ["slug", "title", "brought", "link", "code"]
    ordering = ["title"]
    # One at a time: what goes with it is asked about that one.
    actions = None
    delete_confirmation_template = "admin/source_delete.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> list[str]:
        # The tag is the key: another one would be another source.
        return ["slug"] if obj else []

    def get_urls(self) -> list[URLPattern]:
        return [self.url("<slug:slug>/code.svg", self.code_svg, "code"), *super().get_urls()]

    @admin.display(description=gettext_lazy("link to copy"))
    def link(self, source: Source) -> SafeString:
        return format_html('<output class="to-copy">{}</output>', address(source))

    @admin.display(description=gettext_lazy("QR code"))
    def code(self, source: Source) -> SafeString:
        return format_html('<a href="{}">SVG</a>', reverse("admin:petition_source_code", args=[source.pk]))

    @admin.display(description=gettext_lazy("signatures, in tens"))
    def brought(self, source: Source) -> str:
        return number_format(source.told, force_grouping=True)  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        # One sum over all cells, whatever the number of sources.
        told = [When(pk=tag, then=Value(amount)) for tag, amount in breakdown.by_source().items()]
        return (
            super().get_queryset(request).annotate(told=Case(*told, default=Value(0), output_field=BigIntegerField()))
        )

    def code_svg(self, request: HttpRequest, slug: str) -> HttpResponse:
        source = self.row_or_404(request, slug)
        file = BytesIO()
        made = segno.make(address(source), error="q", micro=False, boost_error=False)
        made.save(file, kind="svg", scale=8, border=4, light="#fff", svgclass=None, lineclass=None)
        name = f'attachment; filename="{source.pk}.svg"'
        return HttpResponse(file.getvalue(), "image/svg+xml", headers={"Content-Disposition": name})

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = breakdown.by_source().get(object_id, 0)
        return super().delete_view(request, object_id, {"brought": told, **(extra_context or {})})


def address(source: Source) -> str:
    """The link of a partner, in the language of whoever looks at it."""
    return f"{settings.SITE_URL}{reverse('campaign:home')}?from={source.pk}"
