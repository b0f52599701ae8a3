"""The admin of pages, updates, figures, and words of support that were reported."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Min, QuerySet, URLField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from parler.forms import TranslatableModelForm

from campaign import figures, page_context
from campaign.models import Figure, Page, Partner, Published, Report, Testimony, Update
from campaign.share import pictures
from petition import waiting
from petition.admin import start
from petition.admin.base import ReadOnlyAdmin
from petition.admin.translations import Missing, TextsAdmin
from petition.models import Action, ShownWords
from petition.staff import audit

start.MODERATE.pages["campaign.Report"] = gettext_lazy("Words of support that readers have reported: they stay, or go.")
start.TEXTS.pages.update(
    {
        "campaign.Page": gettext_lazy("The pages of the site."),
        "campaign.Update": gettext_lazy("News, which stand on the site and in the feed."),
        "campaign.Figure": gettext_lazy("Figures with their sources, which texts can name."),
        "campaign.Testimony": gettext_lazy("What survivors and witnesses have told."),
        "campaign.Partner": gettext_lazy("What readers of a partner see beside the form."),
    }
)


@waiting.kind("campaign.Report", gettext_lazy("reported"), "petition.review_signature")
def reports() -> waiting.Waiting:
    oldest = Report.objects.aggregate(count=Count("pk"), day=Min("reported_on"))
    # A report remembers its day alone: it has waited since the end of that day at least, and of today nobody knows.
    end = datetime.combine(oldest["day"], time(), UTC) + timedelta(days=1) if oldest["day"] else None
    return waiting.Waiting(oldest["count"], end if end and end < timezone.now() else None)


def drafts_of(model: type[Published]) -> Callable[[], waiting.Waiting]:
    # An editor makes few, and none says when it was begun.
    return lambda: waiting.Waiting(model.objects.filter(published_at=None).count())


for model in (Page, Update, Figure, Testimony, Partner):
    name = model._meta.model_name
    waiting.kind(
        model._meta.label, gettext_lazy("drafts"), f"campaign.change_{name}", query="?publication=draft", is_told=False
    )(drafts_of(model))


class Publication(admin.SimpleListFilter):
    title = gettext_lazy("publication")
    parameter_name = "publication"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("shown", _("shown")), ("scheduled", _("scheduled")), ("draft", _("draft"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "shown":
                return queryset.filter(published_at__lte=now)
            case "scheduled":
                return queryset.filter(published_at__gt=now)
            case "draft":
                return queryset.filter(published_at=None)
        return queryset


class PublishedAdmin(TextsAdmin):
    """Texts that are published at the time that their editors choose."""

    list_filter = [Publication, Missing]
    audited_values: tuple[str, ...] = ("published_at",)

    @admin.display(description=gettext_lazy("shown"))
    def publication(self, row: Published) -> str:
        if row.published_at is None:
            return _("draft")
        if row.is_published:
            return _("shown")
        return _("from %(time)s UTC") % {"time": f"{row.published_at:%Y-%m-%d %H:%M}"}


class TextForm(TranslatableModelForm):
    def clean_body(self) -> str:
        body = self.cleaned_data["body"]
        if unknown := figures.unknown_names(body):
            message = _("The text names figures that do not exist: %(names)s")
            raise ValidationError(message % {"names": ", ".join(unknown)})
        return body


class TextAdmin(PublishedAdmin):
    form = TextForm
    list_display = ["slug", "title", "publication", "missing"]
    fields = ["slug", "title", "description", "body", "published_at"]
    search_fields = ["slug", "translations__title"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # Links carry the slug.
        return ["slug"] if obj else []


@admin.register(Page)
class PageAdmin(TextAdmin):
    ordering = ["slug"]

    def preview(self, request: HttpRequest, row: Page) -> HttpResponse:
        context = {"page": row, "is_translated": True, "there": [row.get_current_language()], "is_preview": True}
        name = "campaign/page.html" if row.slug in page_context.WITHOUT_ADDRESS else page_context.template(row)
        return render(request, name, context)


@admin.register(Update)
class UpdateAdmin(TextAdmin):
    ordering = ["-published_at"]

    def preview(self, request: HttpRequest, row: Update) -> HttpResponse:
        row.published_at = row.published_at or timezone.now()
        context = {"page": row, "is_translated": True, "there": [row.get_current_language()], "is_preview": True}
        return render(request, "campaign/update.html", context)


@admin.register(Testimony)
class TestimonyAdmin(PublishedAdmin):
    list_display = ["slug", "told_by", "publication", "missing"]
    fields = ["slug", "words", "told_by", "source", "source_url", "published_at"]
    ordering = ["-published_at"]
    formfield_overrides = {URLField: {"assume_scheme": "https"}}

    def preview(self, request: HttpRequest, row: Testimony) -> HttpResponse:
        return render(request, "admin/campaign/testimony_preview.html", {"entries": [row], "is_preview": True})


class PartnerForm(TranslatableModelForm):
    upload = forms.ImageField(
        label=gettext_lazy("picture"),
        required=False,
        help_text=gettext_lazy("A logo or a photo. It is made small, and loses what cameras write into it."),
    )

    def clean_upload(self) -> bytes | None:
        file = self.cleaned_data["upload"]
        return pictures.small(file) if file else None

    def save(self, commit: bool = True) -> Partner:
        if self.cleaned_data["upload"]:
            self.instance.picture = self.cleaned_data["upload"]
        saved: Partner = super().save(commit)
        return saved


@admin.register(Partner)
class PartnerAdmin(PublishedAdmin):
    """Partners and their tags are made by organisers; what their readers see beside the form is written here."""

    form = PartnerForm
    list_display = ["source", "publication", "missing"]
    fields = ["source", "text", "upload", "picture_alt", "published_at"]
    ordering = ["source"]

    def preview(self, request: HttpRequest, row: Partner) -> HttpResponse:
        return render(request, "admin/campaign/partner_preview.html", {"partner": row, "is_preview": True})

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> list[str]:
        return ["source"] if obj else []


@admin.register(Figure)
class FigureAdmin(PublishedAdmin):
    """A newer value is a new row of the same name, so that it can be scheduled and the older one remains."""

    list_display = ["slug", "label", "value", "publication", "missing"]
    fields = [
        "slug",
        "label",
        ("number", "day"),
        ("as_of", "as_of_precision"),
        "source",
        "source_url",
        "published_at",
    ]
    ordering = ["slug", "-published_at"]
    audited_values = ("number", "day", "as_of", "published_at")
    formfield_overrides = {URLField: {"assume_scheme": "https"}}

    @admin.display(description=gettext_lazy("value"))
    def value(self, figure: Figure) -> str:
        fact = figures.fact(figure)
        return f"{fact.shown} ({fact.when})" if fact.when else fact.shown

    def preview(self, request: HttpRequest, row: Figure) -> HttpResponse:
        """Preview the texts that use this figure, as they would read."""
        facts = figures.known() | {row.slug: figures.fact(row)}
        using = [
            text
            for model in (Page, Update)
            for text in model.objects.in_language(row.get_current_language()).order_by("slug")
            if row.slug in figures.names_in(text.body)
        ]
        context = {"fact": facts[row.slug], "facts": facts, "using": using, "is_preview": True}
        return render(request, "admin/campaign/figure_preview.html", context)


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Words of support that readers have reported: they stay, or are hidden. The count stays as it is."""

    list_display = ["shown_id", "words", "name", "times", "reported_on"]
    list_select_related = ["shown"]
    ordering = ["-times", "pk"]
    actions = ["leave", "hide"]

    @admin.display(description=gettext_lazy("words of support"))
    def words(self, report: Report) -> str:
        return report.shown.words

    @admin.display(description=gettext_lazy("name"))
    def name(self, report: Report) -> str:
        return report.shown.name

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.review_signature")

    @admin.action(description=gettext_lazy("The words stay: settle the reports"), permissions=["review"])
    def leave(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        with transaction.atomic():
            ids = list(queryset.order_by("pk").values_list("pk", flat=True))
            settled = Report.objects.filter(pk__in=ids).delete()[0]
            self.settled(request, ids, settled, Action.CHANGED, _("reports settled, the words stay"))

    @admin.action(description=gettext_lazy("Hide the name and words"), permissions=["review"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        with transaction.atomic():
            ids = list(queryset.order_by("pk").values_list("pk", flat=True))
            # The reports go with the words.
            self.settled(request, ids, ShownWords.objects.filter(pk__in=ids).hide(), Action.HIDDEN)

    def settled(self, request: HttpRequest, ids: list[int], settled: int, action: Action, detail: str = "") -> None:
        if settled:
            about = f"signature {ids[0]}" if settled == 1 else ""
            numbers = ", ".join(map(str, ids)) if settled > 1 else ""
            audit.record(request.user, action, about=about, detail=f"{detail} {numbers}".strip(), count=settled)
        done = ngettext("%(count)d report settled.", "%(count)d reports settled.", settled)
        messages.success(request, done % {"count": settled})
