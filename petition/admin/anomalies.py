"""The page of anomalies: groups of signatures that stand out, and the way to each."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import countries
from petition.models import Action, SeenDomain, Signals, Signature
from petition.moderation import anomalies, similar
from petition.moderation.anomalies import SPANS, Anomaly, Span
from petition.postgres.timeouts import TimeLimitError
from petition.staff import audit

from . import languages
from .base import ReadOnlyAdmin
from .changelist import Place

SHOWN = 50
EXCERPT = 60
NAMES: dict[str, Any] = {
    "hour": gettext_lazy("last hour"),
    "day": gettext_lazy("last 24 hours"),
    "month": gettext_lazy("last 30 days"),
}
KINDS: dict[str, Any] = {
    "network": gettext_lazy("network"),
    "domain": gettext_lazy("mail domain"),
    "country": gettext_lazy("country"),
    "language": gettext_lazy("language"),
    "source": gettext_lazy("source"),
    "name": gettext_lazy("same name"),
    "shape": gettext_lazy("names written alike"),
    "words": gettext_lazy("same words"),
}
# What the list is filtered by with its value in the URL; everything else by the number of a signature that has it.
PLAIN = ("country", "language", "source")


class LookUpForm(forms.Form):
    """A domain, a name or words may be a person's, so they are posted and never stand in a URL."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Look up"),
        choices=[("domain", KINDS["domain"]), ("name", gettext_lazy("name")), ("words", gettext_lazy("words"))],
    )
    text = forms.CharField(
        label=gettext_lazy("exactly"),
        max_length=500,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )

    def find(self) -> Signature | None:
        """A signature that has it; None, with an error that says so, if there is none."""
        kind, text = self.cleaned_data["kind"], self.cleaned_data["text"]
        try:
            found = similar.find_domain(text) if kind == "domain" else similar.find_text(kind, text)
        except ValueError:
            self.add_error("text", _("This is no mail domain. Write it as example.org."))
            return None
        if found is None or not similar.is_of_crowd(kind, found):
            self.add_error("text", _("Fewer than 20 signatures have it."))
            return None
        return Signature.objects.filter(pk=found).first()


@dataclass(frozen=True)
class Shown:
    """An anomaly in the words of the page."""

    anomaly: Anomaly
    kind: str
    title: str
    reason: str
    url: str

    @property
    def surplus(self) -> int:
        return round(self.anomaly.surplus)


@admin.register(Signals)
class AnomaliesAdmin(ReadOnlyAdmin):
    """The page of anomalies. It shows names, and leads to signatures, only to those who may see them."""

    permission = "petition.view_signals"

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        sees_signatures = request.user.has_perm("petition.view_signature")
        form = LookUpForm(request.POST if request.method == "POST" and sees_signatures else None)
        if form.is_valid() and (found := self.look_up(request, form)):
            return HttpResponseRedirect(
                list_url(by=form.cleaned_data["kind"], of=found.pk, before=end_of(found.created_at))
            )
        span = SPANS.get(request.GET.get("span", ""), SPANS["day"])
        return self.page(
            request,
            "anomalies",
            _("Signals of fakes"),
            spans=NAMES,
            span=span,
            form=form if sees_signatures else None,
            since=span.since(),
            **({} if form.is_bound else self.found(span, sees_signatures)),
        )

    def look_up(self, request: HttpRequest, form: LookUpForm) -> Signature | None:
        # What was typed is left out: it may be a person's.
        audit.record(request.user, Action.LOOKED_UP, detail=form.cleaned_data["kind"])
        return form.find()

    def found(self, span: Span, sees_signatures: bool) -> dict[str, Any]:
        try:
            found = anomalies.find(span)
        except TimeLimitError:
            return {"too_much": True}
        entries = describe(found.anomalies[:SHOWN], sees_signatures)
        return {"found": found, "entries": entries, "is_more": len(found.anomalies) > SHOWN}


def describe(found: list[Anomaly], sees_signatures: bool) -> list[Shown]:
    """Say each in words. A mail domain is named if it is known by name, a network never."""
    rows = Signature.objects.select_related("shown").in_bulk([anomaly.cell.example for anomaly in found])
    digests = [row.domain_digest for row in rows.values() if row.domain_digest]
    known = SeenDomain.objects.filter(digest__in=digests).values_list("digest", "name")
    domains = {bytes(digest): name for digest, name in known}
    shown = []
    for anomaly in found:
        # One of these signatures stands for all; it may have been withdrawn since.
        row = rows.get(anomaly.cell.example)
        digest = row.domain_digest if row and anomaly.kind == "domain" else None
        domain = domains.get(bytes(digest), "") if digest else ""
        title = title_of(anomaly, row if sees_signatures else None, domain)
        leads_on = sees_signatures and (anomaly.kind in PLAIN or anomaly.cell.confirmed >= similar.SMALLEST)
        url = url_of(anomaly) if leads_on else ""
        shown.append(Shown(anomaly, str(KINDS[anomaly.kind]), title, anomalies.reason(anomaly), url))
    return shown


def title_of(anomaly: Anomaly, row: Signature | None, domain: str) -> str:
    kind, value = anomaly.kind, anomaly.value
    if kind == "country":
        return countries.name(value)
    if kind == "language":
        return languages.name(value)
    if kind == "source":
        return value
    if domain:
        return domain
    shown = row.shown_words if row else None
    if shown and kind in ("name", "shape"):
        return _("“%(text)s”") % {"text": shown.name}
    if shown and kind == "words":
        text = shown.words if len(shown.words) <= EXCERPT else shown.words[:EXCERPT].rstrip() + "…"
        return _("“%(text)s”") % {"text": text}
    return similar.handle(kind, value)


def url_of(anomaly: Anomaly) -> str:
    """The list of these signatures, from the newest on."""
    about: dict[str, Any] = {"by": anomaly.kind, "of": anomaly.cell.example}
    if anomaly.kind in PLAIN:
        about = {anomaly.kind: anomaly.value}
    since, until = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (anomaly.since, anomaly.until))
    return list_url(**about, since=since, until=until, before=Place(0, anomaly.until))


def end_of(hour: datetime) -> Place:
    return Place(0, hour + timedelta(hours=1))


def list_url(**filters: Any) -> str:
    return f"{reverse('admin:petition_signature_changelist')}?{urlencode(filters)}"
