"""The page of anomalies: groups of signatures that stand out, and the way to each."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from petition.forms import countries_by_name
from petition.models import Action, SeenDomain, Signals, Signature
from petition.moderation import anomalies, similar
from petition.moderation.anomalies import SPANS, Signal, Span
from petition.staff import audit

from . import languages
from .base import ReadOnlyAdmin

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
ALIKE: dict[str, Any] = {
    "hour": gettext_lazy("the hour"),
    "domain": gettext_lazy("the mail domain"),
    "name": gettext_lazy("the name"),
    "shape": gettext_lazy("how the name is written"),
    "words": gettext_lazy("the words"),
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

    def find(self) -> int | None:
        """The number of a signature that has it; None, with an error that says so, if there is none."""
        kind, text = self.cleaned_data["kind"], self.cleaned_data["text"]
        try:
            found = similar.find_domain(text) if kind == "domain" else similar.find_text(kind, text)
        except ValueError:
            self.add_error("text", _("This is no mail domain. Write it as example.org."))
            return None
        if found is None:
            domain, other = (
                _("No signature of the last 30 days has it."),
                _("None of the last million signatures has it."),
            )
            self.add_error("text", domain if kind == "domain" else other)
        return found


@dataclass(frozen=True)
class Shown:
    """An anomaly in the words of the page."""

    signal: Signal
    kind: str
    title: str
    why: str
    url: str

    @property
    def surplus(self) -> int:
        return round(self.signal.surplus)


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
            return HttpResponseRedirect(list_url(by=form.cleaned_data["kind"], of=found, before=found + 1))
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

    def look_up(self, request: HttpRequest, form: LookUpForm) -> int | None:
        # What was typed is left out: it may be a person's.
        audit.record(request.user, Action.LOOKED_UP, detail=form.cleaned_data["kind"])
        return form.find()

    def found(self, span: Span, sees_signatures: bool) -> dict[str, Any]:
        try:
            found = anomalies.find(span)
        except anomalies.TooMuch:
            return {"too_much": True}
        entries = describe(found.signals[:SHOWN], sees_signatures)
        return {"found": found, "entries": entries, "is_more": len(found.signals) > SHOWN}


def describe(found: list[Signal], sees_signatures: bool) -> list[Shown]:
    """Say each in words. A mail domain is named if it is known by name, a network never."""
    rows = Signature.objects.in_bulk([signal.cell.last for signal in found])
    digests = [row.domain_digest for row in rows.values() if row.domain_digest]
    known = SeenDomain.objects.filter(digest__in=digests).values_list("digest", "name")
    domains = {bytes(digest): name for digest, name in known}
    shown = []
    for signal in found:
        # The last of these signatures stands for all; it may have been withdrawn since.
        row = rows.get(signal.cell.last)
        digest = row.domain_digest if row and signal.kind == "domain" else None
        domain = domains.get(bytes(digest), "") if digest else ""
        title = title_of(signal, row if sees_signatures else None, domain)
        url = url_of(signal) if sees_signatures else ""
        shown.append(Shown(signal, str(KINDS[signal.kind]), title, why(signal), url))
    return shown


def title_of(signal: Signal, row: Signature | None, domain: str) -> str:
    kind, value = signal.kind, signal.value
    if kind == "country":
        return dict(countries_by_name(get_language() or "en")).get(value, value)
    if kind == "language":
        return languages.name(value)
    if kind == "source":
        return value
    if domain:
        return domain
    if row and kind in ("name", "shape"):
        return _("“%(text)s”") % {"text": row.name}
    if row and kind == "words":
        text = row.words if len(row.words) <= EXCERPT else row.words[:EXCERPT].rstrip() + "…"
        return _("“%(text)s”") % {"text": text}
    return similar.handle(kind, value)


def why(signal: Signal) -> str:
    if signal.kind == "network":
        features = ", ".join(str(ALIKE[feature]) for feature in signal.alike)
        text = _("%(percent)d%% are alike as others from the same countries are not, in: %(features)s.")
        return text % {"percent": int(100 * signal.share), "features": features}
    hours = round((signal.until - signal.since) / timedelta(hours=1))
    if hours >= 24 and hours % 24 == 0:
        days = hours // 24
        lasting = ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    else:
        lasting = ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    count, expected = signal.cell.count, round(signal.expected)
    if expected:
        text = ngettext(
            "%(count)d signature within %(time)s, where about %(expected)d would be ordinary.",
            "%(count)d signatures within %(time)s, where about %(expected)d would be ordinary.",
            count,
        )
    else:
        text = ngettext(
            "%(count)d signature within %(time)s, where none would be ordinary.",
            "%(count)d signatures within %(time)s, where none would be ordinary.",
            count,
        )
    return text % {"count": count, "time": lasting, "expected": expected}


def url_of(signal: Signal) -> str:
    """The list of these signatures, from the newest on."""
    about: dict[str, Any] = {"by": signal.kind, "of": signal.cell.last}
    if signal.kind in PLAIN:
        about = {signal.kind: signal.value}
    since, until = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (signal.since, signal.until))
    return list_url(**about, since=since, until=until, before=signal.cell.last + 1)


def list_url(**filters: Any) -> str:
    return f"{reverse('admin:petition_signature_changelist')}?{urlencode(filters)}"
