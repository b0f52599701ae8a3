from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from petition import countries
from petition.models import Signature, Source
from petition.models.signature import SignatureQuerySet
from petition.moderation import similar

from . import languages
from .base import HourField
from .bulk_actions import BulkActions
from .changelist import BEFORE, ByTime, ListByTime, Place, number

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
    own_parameters = (BEFORE, *FilterForm.base_fields)

    def narrow(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        self.form = FilterForm(request.GET)
        return self.form.apply(rows)  # type: ignore[arg-type]


@admin.register(Signature)
class SignatureAdmin(ByTime, BulkActions):
    """Signatures, with all that is known of them; an address is not."""

    list_display = ["id", "name", "country", "language", "created_at", "confirmed_at", "state"]
    # A partner's link may have been made for one person.
    exclude = ["email_digest", "domain_digest", "network_digest", "source"]
    readonly_fields = ["review", "alike"]
    list_select_related = ["shown"]
    actions = ["hold", "invalidate", "restore"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SignatureList

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

    @admin.display(description=_("others like it"))
    def alike(self, signature: Signature) -> SafeString | str:
        """How many share what it has, as links to them; of fewer than 20 nothing."""
        shared = similar.how_many_share(signature)
        lines = [(share_in_words(kind, shared[kind], signature),) for kind in SHARE if kind in shared]
        return format_html_join("", "<div>{}</div>", lines) or "–"

    @admin.display(description=_("name and words"))
    def review(self, signature: Signature) -> SafeString | str:
        """A link to the decision on name and words, which can be changed."""
        if not (shown := signature.shown_words):
            return "–"
        decision = _("approved") if shown.approved_at else _("not decided")
        url = reverse("admin:petition_review_change", args=[signature.pk])
        return format_html('{} · <a href="{}">{}</a>', decision, url, _("Look at it"))


def share_in_words(kind: str, number: int, signature: Signature) -> SafeString:
    if not number:
        return format_html("{}: {}", SHARE[kind], _("fewer than 20, perhaps no other"))
    query: dict[str, Any] = {"by": kind, "of": signature.pk}
    if kind == "network":
        # It is nowhere but on its day, from which the list begins.
        query["before"] = Place(0, signature.created_at.replace(hour=0) + timedelta(days=1))
    url = reverse("admin:petition_signature_changelist", query=query)
    return format_html('{}: <a href="{}">{}</a>', SHARE[kind], url, _("%(number)d and more") % {"number": number})
