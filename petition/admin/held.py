from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from petition.models import Action, HeldReason, HeldSignature, InvalidationCampaign
from petition.models.signature import SignatureQuerySet
from petition.moderation import held_groups, similar
from petition.moderation.held_groups import HeldGroup

from .anomalies import end_of, list_url, written
from .base import ModerationReasonForm
from .bulk_actions import (
    DONE,
    LIMIT,
    BulkActions,
    InLanguage,
    TooMuchForOneError,
    decide,
    refuse_too_much,
    too_much_for_one,
)
from .invalidations import url_for

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


@dataclass(frozen=True)
class Shown:
    """A group of held signatures in the words of the page, and where its buttons lead."""

    group: HeldGroup
    title: str
    mix: str
    url: str
    campaign_url: str = ""


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
    change_list_template = "admin/held.html"

    def get_urls(self) -> list[URLPattern]:
        steps = {
            "release_network": (Action.RELEASED, True),
            "hold_network": (Action.HELD, True),
            "release_reason": (Action.RELEASED, False),
        }
        return [
            *(
                self.url(f"<int:pk>/{name.replace('_', '-')}/", partial(self.decide, action, of_network), name)
                for name, (action, of_network) in steps.items()
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The groups, and below them the signatures one by one; with a filter those alone."""
        if request.GET or request.method == "POST" or not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)
        groups, is_more = held_groups.find()
        context = {"groups": [described(group) for group in groups], "are_more_groups": is_more}
        return super().changelist_view(request, context | (extra_context or {}))

    def decide(self, action: Action, of_network: bool, request: HttpRequest, pk: int) -> HttpResponse:
        """Release a whole group, or hold the rest of a network, once somebody has said why."""
        group = held_groups.of(pk, by_network=of_network)
        back = HttpResponseRedirect(reverse("admin:petition_heldsignature_changelist"))
        if group is None:
            messages.warning(request, gettext("This group does not wait any more: somebody else was faster."))
            return back
        rows = group.waiting() if action == Action.RELEASED else group.rest()
        form = ModerationReasonForm(request.POST if request.method == "POST" else None)
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:LIMIT])
        try:
            if form.is_valid():
                changed = decide(request, ids, action, form, about=about(group))
            else:
                # Before somebody writes a reason, not after.
                refuse_too_much(request, ids, action)
        except TooMuchForOneError:
            messages.error(request, too_much_for_one())
            return HttpResponseRedirect(described(group).campaign_url)
        if not form.is_valid():
            found = rows.order_by()[: LIMIT + 1].count()
            return self.page(
                request,
                "held_group",
                described(group).title,
                form=form,
                count=min(found, LIMIT),
                is_more=found > LIMIT,
                is_release=action == Action.RELEASED,
                back=back.url,
            )
        messages.success(request, DONE[action] % {"count": changed})
        if len(ids) == LIMIT:
            messages.warning(request, gettext("There are more. Do it again for the rest."))
        return back

    def get_queryset(self, request: HttpRequest) -> SignatureQuerySet:
        return HeldSignature.objects.awaiting_release().select_related("shown")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of the signature, which is one and the same wherever somebody comes from."""
        signature = self.row_or_404(request, object_id)
        if request.method == "POST":
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:petition_signature_change", args=[signature.pk]))

    def campaign_url(self, request: HttpRequest) -> str:
        """Only without a filter: campaigns know no reason for holding."""
        return "" if request.GET else url_for(state="held")

    @admin.display(description=_("name"))
    def name(self, signature: HeldSignature) -> str:
        return signature.shown_words.name if signature.shown_words else ""

    @admin.display(description=_("reason for holding"))
    def reason(self, signature: HeldSignature) -> Promise | str:
        return dict(HeldReason.choices).get(signature.held_reason, signature.held_reason)


def described(group: HeldGroup) -> Shown:
    if group.network is None or group.signed_at is None:
        reason = dict(HeldReason.choices).get(group.reason, group.reason)
        return Shown(group, str(reason) or "–", "", held_url(group))
    hour = group.signed_at
    times = {"since": written(hour), "until": written(hour + timedelta(hours=1))}
    campaign: dict[str, Any] = {
        "signed_since": times["since"],
        "signed_until": times["until"],
        "network_like": group.example,
    }
    if group.held and group.mix.counted < similar.SMALLEST:
        # Hardly anything is left to hold.
        campaign["effect"] = InvalidationCampaign.Effect.INVALIDATE
    return Shown(
        group,
        gettext("Network %(name)s, signed %(hour)s UTC") % {"name": group.name, "hour": f"{hour:%Y-%m-%d %H:%M}"},
        mix_of(group),
        list_url(by="network", of=group.example, before=end_of(hour), **times),
        reverse("admin:petition_invalidationcampaign_add", query=campaign),
    )


def mix_of(group: HeldGroup) -> str:
    """How mixed a network is, in words: "24 mail domains, 14 countries"."""
    mix = group.mix
    domains = ngettext("%(count)d mail domain", "%(count)d mail domains", mix.domains) % {"count": mix.domains}
    countries = ngettext("%(count)d country", "%(count)d countries", mix.countries) % {"count": mix.countries}
    return f"{domains}, {countries}"


def held_url(group: HeldGroup) -> str:
    """The list of those of a reason that are held since an hour."""
    values = list(HeldReason.values)
    why = str(values.index(group.reason)) if group.reason in values else BY_HAND
    times = {"held_at__gte": group.held_at, "held_at__lt": group.held_at + timedelta(hours=1)}
    return reverse("admin:petition_heldsignature_changelist", query={"why": why, **times})


def about(group: HeldGroup) -> str:
    """What the audit log calls a group. A reason is somebody's text, so it is left out."""
    if group.network is None:
        return f"held since {group.held_at:%Y-%m-%d %H:%M}"
    return f"network {group.name}, signed {group.signed_at:%Y-%m-%d %H:%M}"
