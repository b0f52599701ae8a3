import re
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from petition import countries
from petition.models import Action, HeldReason, Signature, Source
from petition.models.signature import SignatureQuerySet
from petition.moderation import similar
from petition.staff import names_read

from . import languages
from .base import HourField, ModerationReasonForm
from .bulk_actions import DONE, BulkActions, TooMuchForOneError, decide, too_much_for_one
from .changelist import BEFORE, STRETCH, ByTime, ListByTime, Place, number
from .invalidations import url_for

ANY: list[tuple[str, Any]] = [("", _("any"))]
STATES: dict[str, Any] = {
    "pending": (_("pending"), SignatureQuerySet.pending),
    "confirmed": (_("confirmed"), SignatureQuerySet.confirmed),
    "counted": (_("counted"), SignatureQuerySet.counted),
    "held": (_("held"), SignatureQuerySet.held),
    "invalidated": (_("invalidated"), SignatureQuerySet.invalidated),
}
# How a page says what its signatures share with the one that stands for them.
LIKE: dict[str, Any] = {
    "network": _("from the same network as No. %(number)s"),
    "domain": _("with the same mail domain as No. %(number)s"),
    "name": _("with the same name as No. %(number)s"),
    "shape": _("with a name written like that of No. %(number)s"),
    "words": _("with the same words as No. %(number)s"),
}

# The field that opens the signature of a number.
NUMBER = "no"
NO_NUMBER = _("This is no number of a signature. Copy all of its digits.")
GONE = _("There is no signature No. %(number)d. It may have been withdrawn, or a digit is wrong.")
DECISIONS = {
    "hold": Action.HELD,
    "release": Action.RELEASED,
    "invalidate": Action.INVALIDATED,
    "restore": Action.RESTORED,
}
BUTTONS: dict[str, Any] = {
    "hold": _("Hold: keep it out of the count for now"),
    "release": _("Release: let it count"),
    "invalidate": _("Invalidate: stop counting it"),
    "restore": _("Restore: count it again"),
}


# What others share with a signature, in words.
SHARE: dict[str, Any] = {
    "network": _("from the same network on its day"),
    "domain": _("with the same mail domain"),
    "name": _("with the same name"),
    "words": _("with the same words"),
}


def listed(rows: SignatureQuerySet) -> SignatureQuerySet:
    """The rows that staff may look through one by one: those that were confirmed on days that have ended.

    Whoever has typed somebody's address could else watch here whether a row comes, and whether it is confirmed.
    """
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return rows.confirmed().filter(confirmed_at__lt=today)


class FilterForm(forms.Form):
    """Filters. What could name a person goes by the number of a signature that has it, since URLs are kept."""

    state = forms.ChoiceField(label=_("State"), required=False)
    country = forms.ChoiceField(label=_("Country"), required=False)
    language = forms.ChoiceField(label=_("Language"), required=False)
    source = forms.ChoiceField(label=_("Source"), required=False)
    since = HourField(label=_("From (UTC)"), required=False)
    until = HourField(label=_("To (UTC)"), required=False)
    by = forms.ChoiceField(required=False, choices=[("", ""), *LIKE.items()], widget=forms.HiddenInput)
    of = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        fields: dict[str, Any] = self.fields
        fields["state"].choices = [*ANY, *((state, name) for state, (name, _those) in STATES.items())]
        fields["country"].choices = [*ANY, *countries.choices()]
        fields["language"].choices = [*ANY, *languages.choices()]
        tags = Source.objects.order_by("slug").values_list("slug", flat=True)
        fields["source"].choices = [*ANY, *((tag, tag) for tag in tags)]

    @property
    def chosen(self) -> dict[str, Any]:
        """The filters that were asked for; one that cannot be read does not filter."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def apply(self, rows: SignatureQuerySet) -> SignatureQuerySet:
        chosen = self.chosen
        if "state" in chosen:
            _name, those = STATES[chosen["state"]]
            rows = those(rows)
        for lookup, name in (
            ("country", "country"),
            ("language", "language"),
            ("source", "source"),
            ("created_at__gte", "since"),
            ("created_at__lt", "until"),
        ):
            if name in chosen:
                rows = rows.filter(**{lookup: chosen[name]})
        if self.is_of_group:
            rows = similar.like(rows, chosen["by"], number(chosen["of"]))
        elif not self.is_crowd_of_today:
            rows = listed(rows)
        return rows.none() if self.is_about_few else rows

    @property
    def campaign_criteria(self) -> dict[str, Any]:
        """The fields of a campaign that finds the same; none if there is no such campaign."""
        chosen = self.chosen
        state = chosen.get("state", "")
        if state in ("pending", "invalidated"):
            return {}
        found: dict[str, Any] = {name: chosen[name] for name in ("country", "language", "source") if name in chosen}
        for name, time in (("signed_since", "since"), ("signed_until", "until")):
            if time in chosen:
                found[name] = f"{chosen[time]:%Y-%m-%dT%H:%M}"
        if self.is_of_group:
            found[f"{chosen['by']}_like"] = number(chosen["of"])
        if found and state != "confirmed":
            found["state"] = state
        return found

    @property
    def is_of_group(self) -> bool:
        return {"by", "of"} <= set(self.chosen)

    @property
    def cell(self) -> dict[str, str]:
        chosen = self.chosen
        return {name: chosen[name] for name in ("country", "language", "source") if name in chosen}

    @property
    def is_crowd_of_today(self) -> bool:
        """Whether so many of today share what is asked for that they may be looked at while they come."""
        return bool(self.cell) and similar.is_crowd_of_cell(day=timezone.now().date(), **self.cell)

    @cached_property
    def is_about_few(self) -> bool:
        """Whether the group that was asked for is too small to be shown. What else is filtered by, each row shows."""
        chosen = self.chosen
        if self.is_of_group and not similar.is_of_crowd(chosen["by"], number(chosen["of"])):
            return True
        cell: dict[str, Any] = dict(self.cell)
        if "since" in chosen:
            cell["day__gte"] = chosen["since"].date()
        if "until" in chosen:
            cell["day__lte"] = chosen["until"].date()
        return bool(cell) and not similar.is_crowd_of_cell(**cell)

    @property
    def likeness(self) -> str:
        if self.is_about_few:
            return str(_("of a group of fewer than 20, which nobody is shown"))
        chosen = self.chosen
        return str(LIKE[chosen["by"]] % {"number": number(chosen["of"])}) if self.is_of_group else ""


class SignatureList(ListByTime):
    own_parameters = (BEFORE, NUMBER, *FilterForm.base_fields)

    def narrow(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        self.form = FilterForm(request.GET)
        return self.form.apply(rows)  # type: ignore[arg-type]


@admin.register(Signature)
class SignatureAdmin(ByTime, BulkActions):
    """Signatures, with all that is known of them; an address is not.

    Moderators see the list. The page of one is for administrators who have found it, too, without what it shows.
    """

    list_display = ["id", "name", "country", "language", "created_at", "confirmed_at", "state"]
    list_select_related = ["shown"]
    actions = ["hold", "release", "invalidate", "restore"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        found = obj is not None and request.user.has_perm("petition.find_signature")
        return found or super().has_view_permission(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SignatureList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if NUMBER in request.GET and self.has_view_permission(request):
            return self.open(request, request.GET[NUMBER])
        return super().changelist_view(request, {"campaign_url": self.campaign_url(request), **(extra_context or {})})

    def open(self, request: HttpRequest, typed: str) -> HttpResponse:
        """Open the signature of this number, or say plainly that there is none."""
        pk = number(re.sub(r"^(No\.?|№)|\s", "", typed.strip(), flags=re.IGNORECASE))
        if Signature.objects.filter(pk=pk).exists():
            return HttpResponseRedirect(reverse("admin:petition_signature_change", args=[pk]))
        messages.warning(request, NO_NUMBER if not pk else GONE % {"number": pk})
        return HttpResponseRedirect(request.path)

    def campaign_url(self, request: HttpRequest) -> str:
        criteria = FilterForm(request.GET).campaign_criteria
        return url_for(**criteria) if criteria and self.has_invalidate_permission(request) else ""

    def stretch(self) -> int:
        behind = Signature.objects.order_by("-created_at", "-pk").values("pk")[STRETCH : STRETCH + 1]
        return STRETCH if behind.exists() else 0

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One signature: what is known of it, and the decisions on it, each with a reason."""
        if self.has_view_permission(request) and not self.get_object(request, object_id):
            messages.warning(request, GONE % {"number": number(object_id)})
            return HttpResponseRedirect(reverse("admin:petition_signature_changelist"))
        signature = self.row_or_404(request, object_id)
        action = DECISIONS.get(request.POST.get("action", ""))
        if request.method == "POST" and action not in self.decisions_on(request, signature):
            if action is None or not self.has_view_permission(request):
                raise PermissionDenied
            # Somebody else was faster, or the button was not there.
            messages.warning(request, _("Nothing was changed: see below how it stands now."))
            return HttpResponseRedirect(request.path)
        form = ModerationReasonForm(request.POST if request.method == "POST" else None)
        if action and form.is_valid():
            try:
                changed = decide(request, [signature.pk], action, form)
                messages.success(request, DONE[action] % {"count": changed})
            except TooMuchForOneError:
                messages.error(request, too_much_for_one())
            return HttpResponseRedirect(request.path)
        sees_words = self.has_view_permission(request)
        if sees_words:
            names_read.note(request.user, [signature.shown_words])
        return self.page(
            request,
            "signature",
            _("Signature No. %(number)d") % {"number": signature.pk},
            signature=signature,
            state=self.state(signature),
            country=countries.name(signature.country) if signature.country else "",
            language=languages.name(signature.language),
            held_reason=dict(HeldReason.choices).get(signature.held_reason, signature.held_reason),
            sees_words=sees_words,
            shared=shared_in_words(signature) if sees_words else [],
            decisions=[
                (name, BUTTONS[name]) for name in DECISIONS if DECISIONS[name] in self.decisions_on(request, signature)
            ],
            form=form,
        )

    def decisions_on(self, request: HttpRequest, signature: Signature) -> set[Action]:
        """What this account may do to it in its state."""
        possible: set[Action] = set()
        if not self.has_view_permission(request) or signature.is_pending:
            return possible
        if self.has_hold_permission(request) and not signature.invalidated_at:
            possible.add(Action.RELEASED if signature.held_at else Action.HELD)
        if self.has_invalidate_permission(request):
            possible.add(Action.RESTORED if signature.invalidated_at else Action.INVALIDATED)
        return possible

    @admin.display(description=_("name"))
    def name(self, signature: Signature) -> str:
        return signature.shown_words.name if signature.shown_words else ""

    @admin.display(description=_("state"))
    def state(self, signature: Signature) -> Promise | str:
        if signature.invalidated_at:
            return _("invalidated")
        if signature.held_at:
            return _("held")
        return _("counted") if signature.is_counted else _("pending")


def shared_in_words(signature: Signature) -> list[SafeString]:
    """How many share what it has, as links to them; of fewer than 20 nothing."""
    shared = similar.how_many_share(signature)
    return [share_in_words(kind, shared[kind], signature) for kind in SHARE if kind in shared]


def share_in_words(kind: str, number: int, signature: Signature) -> SafeString:
    if not number:
        return format_html("{}: {}", SHARE[kind], _("fewer than 20, perhaps no other"))
    query: dict[str, Any] = {"by": kind, "of": signature.pk}
    if kind == "network":
        # It is nowhere but on its day, from which the list begins.
        query["before"] = Place(0, signature.created_at.replace(hour=0) + timedelta(days=1))
    url = reverse("admin:petition_signature_changelist", query=query)
    return format_html('{}: <a href="{}">{}</a>', SHARE[kind], url, _("%(number)d and more") % {"number": number})
