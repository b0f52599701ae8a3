"""The admin of pages, updates, figures, and words of support that were reported."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import CharField, Count, Exists, Min, OuterRef, QuerySet, Subquery, URLField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, override

from campaign import figures, page_context
from campaign.models import Figure, Page, Partner, Published, Report, Testimony, Update
from campaign.share import pictures
from petition import waiting
from petition.admin import languages, start
from petition.admin.base import Audited, ReadOnlyAdmin, ReasonForm
from petition.admin.drafts import DraftForm, DraftsAdmin
from petition.admin.translations import Missing
from petition.models import Action, Draft, ShownWords
from petition.staff import audit, drafts

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
        return [
            ("shown", _("shown")),
            ("scheduled", _("scheduled")),
            ("draft", _("draft")),
            ("changed", _("shown, with a draft")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "shown":
                return queryset.filter(published_at__lte=now)
            case "scheduled":
                return queryset.filter(published_at__gt=now)
            case "draft":
                return queryset.filter(published_at=None)
            case "changed":
                return queryset.filter(published_at__isnull=False, has_draft=True)
        return queryset


class PublishedAdmin(DraftsAdmin):
    """Texts that are published at the time that their editors choose. What readers may see is not deleted."""

    list_filter = [Publication, Missing]
    audited_values: tuple[str, ...] = ("published_at",)

    def get_urls(self) -> list[URLPattern]:
        return [self.url("<path:pk>/take-off/", self.take_off_view, "take_off"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        key = Cast(OuterRef("pk"), CharField())
        waiting = Draft.objects.waiting().filter(kind=self.model._meta.label_lower, row=key)
        return super().get_queryset(request).annotate(has_draft=Exists(waiting))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), "published_at": None}

    @admin.display(description=gettext_lazy("shown"))
    def publication(self, row: Any) -> str:
        if row.is_draft:
            return _("draft")
        if not row.is_published:
            return _("from %(time)s UTC") % {"time": f"{row.published_at:%Y-%m-%d %H:%M}"}
        return _("shown, with a draft") if row.has_draft else _("shown")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        row = getattr(obj, "master", obj)
        may_delete = super().has_delete_permission(request, obj)
        # The row at hand may say what a draft says.
        return may_delete and (row is None or self.model.objects.filter(pk=row.pk, published_at=None).exists())

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Each is deleted on its own page, which knows whether it is a draft.
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def take_off_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Make a published row a draft again, for a reason."""
        row = self.row_or_404(request, pk)
        if not self.may_write(request, row):
            raise PermissionDenied
        back = self.link("change", row, row.get_current_language())
        form = ReasonForm(request.POST or None)
        if form.is_valid():
            if drafts.take_off(request.user, row, form.cleaned_data["reason"]):
                messages.success(request, _("It is a draft again, which no reader sees."))
            return HttpResponseRedirect(back)
        return self.page(request, "take_off", _("Take %(name)s off the site") % {"name": row}, form=form, back=back)


class TextForm(DraftForm):
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

    def public_url(self, row: Any, language: str) -> str:
        if not row.is_published or row.slug == "outcome":
            return ""
        with override(language):
            if row.slug == "home":
                return reverse("campaign:home")
            return reverse(f"campaign:{self.opts.model_name}", args=[row.slug])


@admin.register(Page)
class PageAdmin(TextAdmin):
    list_display = ["slug", "title", "place", "publication", "missing"]
    fields = ["slug", "title", "description", "body", "menu", "published_at"]
    ordering = ["slug"]
    audited_values = ("published_at", "menu")

    def get_fields(self, request: HttpRequest, obj: Page | None = None) -> Any:
        has_own = obj is not None and (obj.slug in page_context.PLACES or obj.slug in page_context.WITHOUT_ADDRESS)
        return [name for name in self.fields if name != "menu" or not has_own]

    @admin.display(description=gettext_lazy("place in the menu"))
    def place(self, row: Page) -> str:
        column = page_context.PLACES.get(row.slug, row.menu)
        return str(Page.Menu(column).label) if column else "–"

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

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "words":
            # Elsewhere "words" are those of support.
            field.label = _("What was said")
        return field

    def preview(self, request: HttpRequest, row: Testimony) -> HttpResponse:
        return render(request, "admin/campaign/testimony_preview.html", {"entries": [row], "is_preview": True})


class PartnerForm(DraftForm):
    upload = forms.ImageField(
        label=capfirst(gettext_lazy("picture")),
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

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A person on a picture may take her consent back.
        return Audited.has_delete_permission(self, request, obj)


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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        newer = Figure.objects.published().filter(slug=OuterRef("slug"), published_at__gt=OuterRef("published_at"))
        replaced_at = newer.order_by("published_at").values("published_at")[:1]
        return super().get_queryset(request).annotate(replaced_at=Subquery(replaced_at))

    @admin.display(description=gettext_lazy("shown"))
    def publication(self, row: Any) -> str:
        if row.replaced_at:
            return _("replaced on %(day)s by a newer one") % {"day": f"{row.replaced_at:%Y-%m-%d}"}
        shown = super().publication(row)
        there = set(row.get_available_languages())
        for code in settings.COMPLETE_LANGUAGES:
            if row.is_published and code not in there:
                used = next(iter(languages.name(other) for other, _name in settings.LANGUAGES if other in there), "–")
                shown += _("; in %(language)s with its words in %(other)s") % {
                    "language": languages.name(code),
                    "other": used,
                }
        return shown

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

    list_display = ["number", "words", "name", "times", "reported_on"]
    list_select_related = ["shown"]
    ordering = ["-times", "pk"]
    actions = ["leave", "hide"]

    @admin.display(description=gettext_lazy("No."))
    def number(self, report: Report) -> int:
        return report.pk

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
