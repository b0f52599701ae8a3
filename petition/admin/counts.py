"""Counts for organisers: a page, its downloads, and the letter for the addressee."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import organisation
from petition.counts import export, funnel, publication, tally
from petition.counts.breakdown import Question
from petition.counts.prepared import question_of
from petition.models import Action, Counts, CountsExport
from petition.staff import audit

from . import counts_page, funnel_page, languages
from .base import DayField, ReadOnlyAdmin

SHOWN_EXPORTS = 5


class Groupings(forms.CheckboxSelectMultiple):
    """Boxes to tick; in a URL also `by=day,country`, as the command has it."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        texts = super().value_from_datadict(data, files, name) or []
        return [word.strip() for text in texts for word in text.split(",") if word.strip()]


class CountsForm(forms.Form):
    """A question to the counts, as `question` once the form is valid. Without groupings it asks for the overview."""

    since = forms.CharField(label=gettext_lazy("First day"), required=False, widget=DayField.widget)
    until = forms.CharField(label=gettext_lazy("Last day"), required=False, widget=DayField.widget)
    by = forms.Field(
        label=gettext_lazy("Broken down by"), required=False, widget=Groupings(choices=list(counts_page.TITLES.items()))
    )

    def __init__(self, data: Any, petition: Counts) -> None:
        super().__init__(data, label_suffix="")
        self.petition = petition

    def clean(self) -> None:
        asked = {name: self.cleaned_data.get(name) or "" for name in ("since", "until")}
        # The overview has countries in it, so its range is of whole days.
        by = self.cleaned_data.get("by") or ["country"]
        self.question = Question.ask(self.petition.pk, by, **asked)

    @property
    def is_overview(self) -> bool:
        return not self.cleaned_data.get("by")


class FunnelForm(forms.Form):
    """How many ended weeks the funnel is about, as `since` once it is valid; None is all of them."""

    WEEKS = (
        ("1", gettext_lazy("the last week")),
        ("4", gettext_lazy("the last 4 weeks")),
        ("13", gettext_lazy("the last 13 weeks")),
        ("all", gettext_lazy("all weeks")),
    )
    weeks = forms.ChoiceField(label=gettext_lazy("Ended weeks"), choices=WEEKS, required=False)
    day = forms.DateField(widget=forms.HiddenInput, required=False, input_formats=["%Y-%m-%d"])

    def __init__(self, data: Any) -> None:
        super().__init__({"weeks": "4", **data.dict()}, label_suffix="")

    @property
    def since(self) -> datetime | None:
        weeks = self.cleaned_data["weeks"] or "4"
        if weeks == "all":
            return None
        monday = publication.monday_before(timezone.now()) - timedelta(weeks=int(weeks))
        return datetime(monday.year, monday.month, monday.day, tzinfo=UTC)


@admin.register(Counts)
class CountsAdmin(ReadOnlyAdmin):
    list_display = ["numbers", "opened_at", "closed_at"]
    list_display_links = None

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("<slug:slug>/", self.counts, "page"),
            self.url("<slug:slug>/funnel/", self.funnel, "funnel"),
            self.url("<slug:slug>/download.<str:format_name>", self.download, "download"),
            self.url("<slug:slug>/prepare.<str:format_name>", self.prepare, "prepare"),
            self.url("<slug:slug>/files/<int:pk>/", self.prepared, "prepared"),
            self.url("<slug:slug>/files/<int:pk>/download", self.fetch, "fetch"),
            self.url("<slug:slug>/letter-<str:language>.pdf", self.letter, "letter"),
        ]

    @admin.display(description=gettext_lazy("petition"))
    def numbers(self, petition: Counts) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:petition_counts_page", args=[petition.slug]), petition)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        slugs = list(Counts.objects.values_list("slug", flat=True)[:2])
        if len(slugs) == 1:
            return HttpResponseRedirect(reverse("admin:petition_counts_page", args=slugs))
        return super().changelist_view(request, extra_context)

    def counts(self, request: HttpRequest, slug: str) -> HttpResponse:
        petition, form = self.asked(request, slug)
        is_valid = form.is_valid()
        with tally.snapshot():
            shown = []
            if is_valid and form.is_overview:
                shown = list(counts_page.overview(form.question))
            elif is_valid:
                shown = [counts_page.section(form.question)]
            count, standing = tally.current(slug), tally.standing(petition.pk)
            if count is None:
                raise Http404
        return self.page(
            request,
            "counts",
            _("Counts"),
            status=HTTPStatus.OK if is_valid else HTTPStatus.UNPROCESSABLE_ENTITY,
            petition=petition,
            form=form,
            sections=shown,
            count=count,
            standing=standing,
            bar=counts_page.parts(count),
            rate=counts_page.rate(standing),
            formats=export.FORMATS,
            languages=self.languages(petition),
            letter_lacks=self.letter_lacks(petition),
            is_overview=is_valid and form.is_overview,
            exports=[
                (asked, counts_page.described(question_of(asked)))
                for asked in self.exports(request).filter(petition=petition).order_by("-asked_at")[:SHOWN_EXPORTS]
            ],
        )

    def funnel(self, request: HttpRequest, slug: str) -> HttpResponse:
        """From signing to confirming, of the weeks chosen; with `day`, hour by hour."""
        petition = get_object_or_404(Counts, slug=slug)
        form = FunnelForm(request.GET)
        is_valid = form.is_valid()
        shown: list[funnel_page.Table] = []
        if is_valid:
            with tally.snapshot():
                shown = list(funnel_page.tables(petition.pk, form.since, form.cleaned_data["day"]))
        return self.page(
            request,
            "funnel",
            _("From signing to confirming"),
            status=HTTPStatus.OK if is_valid else HTTPStatus.UNPROCESSABLE_ENTITY,
            petition=petition,
            form=form,
            tables=shown,
            fewest=funnel.FEWEST_FOR_A_RATE,
        )

    def download(self, request: HttpRequest, slug: str, format_name: str) -> HttpResponseBase:
        """The counts of the page as a file for the same question; without groupings, the numbers at its top."""
        petition, form = self.asked(request, slug)
        if format_name not in export.FORMATS:
            raise Http404
        if not form.is_valid():
            # The page says what is wrong.
            page = reverse("admin:petition_counts_page", args=[slug])
            return HttpResponseRedirect(f"{page}?{request.GET.urlencode()}")
        if not form.is_overview and export.is_large(form.question):
            page = reverse("admin:petition_counts_prepare", args=[slug, format_name])
            return HttpResponseRedirect(f"{page}?{form.question.query()}")
        with tally.snapshot():
            table = export.standing_table(petition) if form.is_overview else export.table(petition, form.question)
            file, written = export.temporary(table, format_name)
        asked = "now" if form.is_overview else form.question.query()
        audit.record(
            request.user, Action.COUNTS_DOWNLOADED, about=petition, detail=f"{format_name} {asked}", count=written
        )
        return FileResponse(
            file,
            as_attachment=True,
            filename=export.file_name(table, format_name),
            content_type=export.FORMATS[format_name].content_type,
        )

    def prepare(self, request: HttpRequest, slug: str, format_name: str) -> HttpResponseBase:
        """Ask a worker for a large file; the same question twice is one."""
        petition, form = self.asked(request, slug)
        if format_name not in export.FORMATS or not form.is_valid() or form.is_overview:
            raise Http404
        query = form.question.query()
        if request.method != "POST":
            return self.page(
                request,
                "counts_prepare",
                _("Large file of counts"),
                petition=petition,
                query=query,
                what=counts_page.described(form.question),
                format=format_name,
                most=export.LARGE_ROWS,
            )
        known = {"petition": petition, "query": query, "format": format_name}
        asked = self.exports(request).filter(made_at=None, tries=0, **known).first()
        if asked is None:
            asked = CountsExport.objects.create(account_id=request.user.pk or 0, **known)
            audit.record(request.user, Action.EXPORT_ASKED, about=petition, detail=f"{format_name} {query}")
        return HttpResponseRedirect(reverse("admin:petition_counts_prepared", args=[slug, asked.pk]))

    def prepared(self, request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
        """How far it is, for its account alone."""
        asked = get_object_or_404(self.exports(request), pk=pk, petition__slug=slug)
        return self.page(
            request,
            "counts_prepared",
            _("Large file of counts"),
            petition=asked.petition,
            asked=asked,
            what=counts_page.described(question_of(asked)),
            is_watching=not asked.is_ready and not asked.has_failed,
        )

    def fetch(self, request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
        asked = get_object_or_404(self.exports(request).defer(None), pk=pk, petition__slug=slug, made_at__isnull=False)
        audit.record(
            request.user,
            Action.COUNTS_DOWNLOADED,
            about=asked.petition,
            detail=f"{asked.format} {asked.query}",
            count=asked.rows,
        )
        return FileResponse(
            BytesIO(asked.file or b""),
            as_attachment=True,
            filename=asked.name,
            content_type=export.FORMATS[asked.format].content_type,
        )

    def exports(self, request: HttpRequest) -> QuerySet[CountsExport]:
        """The large files of this account, without what is in them."""
        return CountsExport.objects.filter(account=request.user.pk).current().select_related("petition").defer("file")

    def letter(self, request: HttpRequest, slug: str, language: str) -> HttpResponseBase:
        # Here, since loading what makes a PDF takes longer than all of Django, and few processes need it.
        from petition.counts import letter

        petition, _form = self.asked(request, slug)
        if language not in dict(settings.LANGUAGES):
            raise Http404
        try:
            composed = letter.compose(petition, language)
        except ObjectDoesNotExist:
            raise Http404 from None
        file = BytesIO()
        letter.write_pdf(composed, file)
        file.seek(0)
        audit.record(request.user, Action.LETTER_DOWNLOADED, about=petition, detail=language, count=composed.total)
        name = f"{slug}-{language}-{composed.as_of:%Y-%m-%d}.pdf"
        return FileResponse(file, as_attachment=True, filename=name, content_type="application/pdf")

    def asked(self, request: HttpRequest, slug: str) -> tuple[Counts, CountsForm]:
        petition = get_object_or_404(Counts, slug=slug)
        return petition, CountsForm(request.GET, petition)

    def languages(self, petition: Counts) -> list[dict[str, str]]:
        """The languages in which there is a letter."""
        return [{"code": code, "name": name} for code, name in languages.choices() if petition.has_translation(code)]

    def letter_lacks(self, petition: Counts) -> list[str]:
        """What its letters should name and do not; an addressee may be missing in one language alone."""
        found: dict[str, list[str]] = {}
        for language in self.languages(petition):
            addressee = petition.get_translation(language["code"]).addressee
            for lack in organisation.missing_in_letter(addressee):
                found.setdefault(lack, []).append(language["name"])
        return [f"{lack} ({', '.join(names)})" for lack, names in found.items()]
