"""The page of anomalies: groups of signatures that stand out, the way to each, and what is done about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import countries, live_settings, typos
from petition.models import Action, AnomalyMark, ProposedListing, SeenDomain, Signals, Signature, Verdict
from petition.moderation import anomalies, settling, similar
from petition.moderation.anomalies import SPANS, Anomaly, Span
from petition.postgres.timeouts import TimeLimitError
from petition.staff import audit

from . import languages
from .base import ReadOnlyAdmin, ReasonForm
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
# What a campaign calls the same criteria.
CRITERIA = {
    "network": "network_like",
    "domain": "domain_like",
    "name": "name_like",
    "shape": "shape_like",
    "words": "words_like",
}
# So that nobody sends back another group than the one that was shown.
SALT = "petition.anomaly"


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
    """An anomaly in the words of the page, and what this account may do about it."""

    anomaly: Anomaly
    kind: str
    title: str
    reason: str
    url: str
    explained: str
    campaign_url: str
    marks: list[AnomalyMark]
    proposal: ProposedListing | None
    # What the list of mail domains says of it; None: nothing.
    verdict: Verdict | None
    can_be_listed: bool

    @property
    def surplus(self) -> int:
        return round(self.anomaly.surplus)

    @property
    def is_settled(self) -> bool:
        return self.anomaly.is_over or any(settling.settles(mark, self.anomaly) for mark in self.marks)

    @property
    def token(self) -> str:
        """The group as it is shown, to be sent back with what shall be done about it."""
        anomaly = self.anomaly
        group = {
            "kind": anomaly.kind,
            "name": settling.name_of(anomaly.kind, anomaly.value),
            "since": anomaly.since.isoformat(),
            "until": anomaly.until.isoformat(),
            "count": anomaly.cell.count,
            "confirmed": anomaly.cell.confirmed,
            "example": anomaly.cell.example,
        }
        return signing.dumps(group, salt=SALT)


@admin.register(Signals)
class AnomaliesAdmin(ReadOnlyAdmin):
    """The page of anomalies. It shows names, and leads to signatures, only to those who may see them."""

    permission = "petition.view_signals"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("settle/", self.settle, "settle"),
            self.url("reopen/<int:pk>/", self.reopen, "reopen"),
            self.url("propose/", self.propose, "propose"),
        ]

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
            **({} if form.is_bound else self.found(span, request)),
        )

    def look_up(self, request: HttpRequest, form: LookUpForm) -> Signature | None:
        # What was typed is left out: it may be a person's.
        audit.record(request.user, Action.LOOKED_UP, detail=form.cleaned_data["kind"])
        return form.find()

    def found(self, span: Span, request: HttpRequest) -> dict[str, Any]:
        try:
            found = anomalies.find(span)
        except TimeLimitError:
            return {"too_much": True}
        entries = describe(found.anomalies, request)
        unsettled = [entry for entry in entries if not entry.is_settled]
        settled = [entry for entry in entries if entry.is_settled]
        return {
            "found": found,
            "entries": entries,
            "narrow": [entry for entry in unsettled if not entry.anomaly.is_wide][:SHOWN],
            "wide": [entry for entry in unsettled if entry.anomaly.is_wide][:SHOWN],
            "settled": settled[:SHOWN],
            "is_more": len(unsettled) > SHOWN,
            "reason_form": ReasonForm(auto_id=False),
        }

    def settle(self, request: HttpRequest) -> HttpResponse:
        """Mark a group as looked at, with a reason."""
        if refusal := refuse(request, "petition.settle_signals"):
            return refusal
        group, token = sent_back(request)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            title = _("Settle a signal of fakes")
            return self.page(request, "reason", title, form=form, repeated=[("group", token)], back=page_url(request))
        reason = form.cleaned_data["reason"]
        with transaction.atomic():
            AnomalyMark.objects.create(
                kind=group["kind"],
                name=group["name"],
                since=datetime.fromisoformat(group["since"]),
                until=datetime.fromisoformat(group["until"]),
                count=group["count"],
                reason=reason,
                username=request.user.get_username(),
            )
            detail = f"{group['kind']} {group['name']}"
            audit.record(request.user, Action.SIGNAL_SETTLED, detail=detail, count=group["count"], reason=reason)
        messages.success(request, _("It stands below, under “Settled”, until it grows or comes again."))
        return HttpResponseRedirect(page_url(request))

    def reopen(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a mark away."""
        if refusal := refuse(request, "petition.settle_signals"):
            return refusal
        with transaction.atomic():
            mark = AnomalyMark.objects.select_for_update().filter(pk=pk).first()
            if mark:
                mark.delete()
                detail = f"{mark.kind} {mark.name}"
                audit.record(request.user, Action.SIGNAL_REOPENED, detail=detail, reason=mark.reason)
        return HttpResponseRedirect(page_url(request))

    def propose(self, request: HttpRequest) -> HttpResponse:
        """Ask an administrator to have this network or mail domain held from now on."""
        if refusal := refuse(request, "petition.propose_listing"):
            return refusal
        group, _token = sent_back(request)
        row = Signature.objects.filter(pk=group["example"]).first()
        values = listing_of(group, row)
        if values is None:
            messages.error(request, _("It has no name any more by which it could be listed."))
            return HttpResponseRedirect(page_url(request))
        with transaction.atomic():
            proposal, is_new = ProposedListing.objects.get_or_create(
                name=values["name"], day=values["day"], defaults={**values, "username": request.user.get_username()}
            )
            if is_new:
                detail = "network" if proposal.is_network else "mail domain"
                audit.record(request.user, Action.LISTING_PROPOSED, about=proposal, detail=detail, count=proposal.count)
        messages.success(request, _("It is proposed. An administrator has to confirm it."))
        return HttpResponseRedirect(page_url(request))


def refuse(request: HttpRequest, permission: str) -> HttpResponse | None:
    """What those get who may not do this, or who come by a link."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return None if request.method == "POST" else HttpResponseNotAllowed(["POST"])


def sent_back(request: HttpRequest) -> tuple[dict[str, Any], str]:
    """The group that the page has shown, and as it came. Raises BadRequest for what it has not."""
    token = request.POST.get("group", "")
    try:
        return signing.loads(token, salt=SALT), token
    except signing.BadSignature as error:
        raise BadRequest from error


def page_url(request: HttpRequest) -> str:
    """The page of anomalies, in the tab from which a form came."""
    span = request.GET.get("span", "")
    query = {"span": span} if span in SPANS else None
    return reverse("admin:petition_signals_changelist", query=query)


def listing_of(group: dict[str, Any], row: Signature | None) -> dict[str, Any] | None:
    """What is to be stored of a proposal to list this group. None: it has no name by which it could be."""
    if row is None or group["confirmed"] < similar.SMALLEST:
        return None
    values = {"count": group["confirmed"], "day": None, "network_digest": None}
    if group["kind"] == "network" and row.network_digest and row.created_at.date() == timezone.now().date():
        return values | {"name": group["name"], "network_digest": row.network_digest, "day": row.created_at.date()}
    if group["kind"] == "domain" and row.domain_digest:
        name = SeenDomain.objects.filter(digest=row.domain_digest).values_list("name", flat=True).first()
        return values | {"name": name} if name and is_listable(name) else None
    return None


def is_listable(domain: str) -> bool:
    """Whether it can be proposed to hold what comes from this mail domain: no large provider, and on no list yet."""
    return not typos.is_common(domain) and not live_settings.verdict_on_domain(domain)


def describe(found: list[Anomaly], request: HttpRequest) -> list[Shown]:
    """Say each in words. A mail domain is named if it is known by name, a network never."""
    sees_signatures = request.user.has_perm("petition.view_signature")
    can_campaign = request.user.has_perm("petition.invalidate_signature")
    proposes = request.user.has_perm("petition.propose_listing")
    found = found[: 4 * SHOWN]
    rows = Signature.objects.select_related("shown").in_bulk([anomaly.cell.example for anomaly in found])
    digests = [row.domain_digest for row in rows.values() if row.domain_digest]
    known = SeenDomain.objects.filter(digest__in=digests).values_list("digest", "name")
    domains = {bytes(digest): name for digest, name in known}
    marks = list(AnomalyMark.objects.order_by("-made_at"))
    proposals = {proposal.name: proposal for proposal in ProposedListing.objects.all()}
    titles: dict[tuple[str, str], str] = {}
    named: dict[tuple[str, str], str] = {}
    for anomaly in found:
        # One of these signatures stands for all; it may have been withdrawn since.
        row = rows.get(anomaly.cell.example)
        digest = row.domain_digest if row and anomaly.kind == "domain" else None
        key = anomaly.kind, anomaly.value
        named[key] = domains.get(bytes(digest), "") if digest else ""
        titles[key] = title_of(anomaly, row if sees_signatures else None, named[key])
    shown = []
    for anomaly in found:
        key = anomaly.kind, anomaly.value
        is_crowd = anomaly.cell.confirmed >= similar.SMALLEST
        name = named[key] or settling.name_of(*key)
        # Once its day has ended, nobody signs from a network by this name.
        is_of_today = anomaly.kind == "network" and anomaly.since.date() == timezone.now().date()
        has_name = is_of_today or (bool(named[key]) and is_listable(named[key]))
        shown.append(
            Shown(
                anomaly,
                str(KINDS[anomaly.kind]),
                titles[key],
                anomalies.reason(anomaly),
                url=url_of(anomaly) if sees_signatures and (anomaly.kind in PLAIN or is_crowd) else "",
                explained=explanation(anomaly, titles),
                campaign_url=campaign_url(anomaly, named[key]) if can_campaign and is_crowd else "",
                marks=settling.marks_of(anomaly, marks),
                proposal=proposals.get(name),
                verdict=live_settings.verdict_on_domain(named[key]) if named[key] else None,
                can_be_listed=proposes and is_crowd and has_name and name not in proposals,
            )
        )
    return shown


def explanation(anomaly: Anomaly, titles: dict[tuple[str, str], str]) -> str:
    """The narrow groups that a wide one consists of, the largest first: "300 of network K7QF2A, 200 of x.example"."""
    parts = []
    for part, count in anomaly.explained[:3]:
        title = titles.get((part.kind, part.value)) or settling.name_of(part.kind, part.value)
        parts.append(_("%(count)d of %(kind)s %(title)s") % {"count": count, "kind": KINDS[part.kind], "title": title})
    return ", ".join(parts)


def campaign_url(anomaly: Anomaly, domain: str) -> str:
    """The form of a campaign about these signatures; `domain` is empty where theirs is not known by name."""
    if anomaly.kind == "domain" and domain:
        about: dict[str, Any] = {"domain": domain}
    elif anomaly.kind in CRITERIA:
        about = {CRITERIA[anomaly.kind]: anomaly.cell.example}
    else:
        about = {anomaly.kind: anomaly.value}
    times = {"signed_since": written(anomaly.since), "signed_until": written(anomaly.until)}
    return reverse("admin:petition_invalidationcampaign_add", query=about | times)


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"


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
    times = {"since": written(anomaly.since), "until": written(anomaly.until)}
    return list_url(**about, **times, before=Place(0, anomaly.until))


def end_of(hour: datetime) -> Place:
    return Place(0, hour + timedelta(hours=1))


def list_url(**filters: Any) -> str:
    return f"{reverse('admin:petition_signature_changelist')}?{urlencode(filters)}"
