"""Moderation campaigns: the form that makes one, and the page that previews, applies, stops and undoes it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import countries
from petition.models import Action, InvalidationCampaign, Petition, Signature, Source
from petition.models.invalidation import LAST_ID
from petition.moderation import domains, invalidation, similar
from petition.postgres.timeouts import TimeLimitError
from petition.staff import audit, names_read
from petition.templatetags.petition_tags import seen_in_crowds

from . import languages
from .base import CannedReasonField, CannedReasonMixin, HourField, ModerationReasonForm, ReadOnlyAdmin, ReasonField
from .changelist import number

# What signatures share with one that stands for them, and where a campaign keeps it.
LIKE: dict[str, Any] = {
    "network": gettext_lazy("Same network as No."),
    "domain": gettext_lazy("Same mail domain as No."),
    "name": gettext_lazy("Same name as No."),
    "shape": gettext_lazy("Name written like that of No."),
    "words": gettext_lazy("Same words as No."),
}
KEPT_IN = {
    "network": "network_digest",
    "domain": "domain_digests",
    "name": "same_name",
    "shape": "shape",
    "words": "same_words",
}
LIKE_FIELDS = tuple(f"{kind}_like" for kind in LIKE)
PLAIN_FIELDS = ("domain", "country", "language", "source", "signed_since", "signed_until", "name")
# A campaign without any of these would be about everybody.
CRITERIA = (*PLAIN_FIELDS, *LIKE_FIELDS)


def url_for(**criteria: Any) -> str:
    """The form of a new campaign with these fields filled in, by their names; what is empty is left out."""
    filled = {name: value for name, value in criteria.items() if value}
    return reverse("admin:petition_invalidationcampaign_add", query=filled)


class LikeField(forms.IntegerField):
    """The number of a signature that stands for all that are like it. Nobody types one: links fill it in."""

    widget = forms.TextInput({"inputmode": "numeric", "autocomplete": "off", "size": "22"})

    def __init__(self, label: Any) -> None:
        super().__init__(label=label, required=False, min_value=1, max_value=LAST_ID)


class CampaignForm(CannedReasonMixin, forms.ModelForm):
    effect = forms.ChoiceField(
        label=gettext_lazy("What to do"),
        choices=InvalidationCampaign.Effect.choices,
        initial=InvalidationCampaign.Effect.HOLD,
        widget=forms.RadioSelect,
        required=False,
        help_text=gettext_lazy("If you are not sure, hold them. Both can be undone."),
    )
    domain = forms.CharField(
        label=gettext_lazy("Mail domain"),
        required=False,
        max_length=253,
        help_text=gettext_lazy(
            "One that is known by name, since 20 mailboxes of a day share it, as example.org. With * or ?, as"
            " *.example.org or mail-*.net, all of those."
        ),
    )
    country = forms.ChoiceField(label=gettext_lazy("Country"), required=False)
    language = forms.ChoiceField(label=gettext_lazy("Language"), required=False)
    source = forms.ModelChoiceField(Source.objects.order_by("slug"), label=gettext_lazy("Source"), required=False)
    signed_since = HourField(
        label=gettext_lazy("Signed from"), required=False, help_text=gettext_lazy("To the hour, in UTC.")
    )
    signed_until = HourField(
        label=gettext_lazy("Signed before"), required=False, help_text=gettext_lazy("To the hour, in UTC.")
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("* stands for anything, ? for one letter; capitals do not matter. As: test*, user ???"),
    )
    network_like, domain_like, name_like, shape_like, words_like = (LikeField(label) for label in LIKE.values())
    canned_reason = CannedReasonField()
    reason = ReasonField(
        label=gettext_lazy("In your own words"),
        required=False,
        max_length=390,
        help_text=gettext_lazy(
            "It is kept in the audit log and with each signature. Name no signer, and write no address."
        ),
    )

    # Declared here, because the admin puts links to edit the petition beside a field of its own making.
    petition = forms.ModelChoiceField(Petition.objects.latest_first(), label=gettext_lazy("Petition"))

    class Meta:
        model = InvalidationCampaign
        fields = ["petition", "effect", "canned_reason", "reason", "state", *CRITERIA]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["country"].choices = [("", "---------"), *countries.choices()]
        fields["language"].choices = [("", "---------"), *languages.choices()]
        fields["petition"].initial = Petition.objects.latest_first().values_list("pk", flat=True).first()
        fields["state"].choices = InvalidationCampaign.State.choices

    def clean_domain(self) -> str:
        typed = self.cleaned_data["domain"]
        if not typed:
            return ""
        try:
            pattern = domains.clean(typed)
        except ValueError as error:
            raise ValidationError(_("This is no mail domain. Write it as example.org or *.example.org.")) from error
        if not domains.meant_by(pattern):
            raise ValidationError(_("No domain of this kind is known by name."))
        return pattern

    def clean_source(self) -> str:
        source = self.cleaned_data["source"]
        return source.slug if source else ""

    def clean_effect(self) -> str:
        return self.cleaned_data["effect"] or InvalidationCampaign.Effect.INVALIDATE

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.join_reason(cleaned)
        if not self.errors and not any(cleaned.get(name) for name in CRITERIA):
            raise ValidationError(_("Say what to look for: without any criterion it would be everybody."))
        since, until = cleaned.get("signed_since"), cleaned.get("signed_until")
        if since and until and since >= until:
            self.add_error("signed_until", _("This is not after the beginning."))
        is_held = cleaned.get("state") == InvalidationCampaign.State.HELD
        if is_held and cleaned.get("effect") == InvalidationCampaign.Effect.HOLD:
            self.add_error("state", _("What is held already is not held again."))
        if cleaned.get("domain") and cleaned.get("domain_like"):
            self.add_error("domain", _("Choose a mail domain by its name or by a signature, not both."))
        elif cleaned.get("domain"):
            self.instance.domain_digests = domains.digests(domains.meant_by(cleaned["domain"]))
        self.instance.name_pattern = cleaned.get("name", "")
        for kind in LIKE:
            if like := cleaned.get(f"{kind}_like"):
                self.take_over(kind, like)
        if (like := cleaned.get("network_like")) and (one := Signature.objects.filter(pk=like).first()):
            # On another day the same digest is another network.
            day = one.created_at.replace(hour=0)
            cleaned["signed_since"] = max(filter(None, [since, day]))
            cleaned["signed_until"] = min(filter(None, [until, day + timedelta(days=1)]))
        return cleaned

    def take_over(self, kind: str, like: int) -> None:
        """Keep what the signature of this number has of the kind: it may be withdrawn, and others stay like it."""
        value = similar.value_of(kind, like)
        if value is None:
            self.add_error(
                f"{kind}_like",
                _("There is no such signature, or it has nothing of the kind (any more: that is kept for 30 days)."),
            )
        else:
            setattr(self.instance, KEPT_IN[kind], bytes(value) if isinstance(value, memoryview) else value)


@admin.register(InvalidationCampaign)
class CampaignAdmin(ReadOnlyAdmin):
    """Campaigns are made with a reason, looked at, then applied, stopped or undone; nobody edits one afterwards.

    Moderators make them. Administrators see them all, approve large ones, stop and undo them.
    """

    form = CampaignForm
    permission = "petition.oversee_campaigns"
    list_display = [
        "number",
        "petition",
        "effect",
        "reason",
        "status",
        "how_many_changed",
        "how_many_restored",
        "created_at",
    ]
    list_select_related = ["petition"]
    ordering = ["-id"]
    list_per_page = 50
    actions = None
    # Domains, networks and names may be somebody's, and stay out of the audit log.
    audited_values = ("effect", "state", "country", "language", "source", "signed_since", "signed_until")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.invalidate_signature")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        if initial.get("state") == InvalidationCampaign.State.HELD:
            # What is held already cannot be held again.
            initial.setdefault("effect", InvalidationCampaign.Effect.INVALIDATE)
        return initial

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Any:
        given = request.POST or request.GET
        filled = [name for name in LIKE_FIELDS if given.get(name)]
        others = [name for name in LIKE_FIELDS if name not in filled]
        sets = [
            (None, {"fields": ["effect", "canned_reason", "reason"]}),
            (_("What to look for (all of it together)"), {"fields": [*filled, "state", *PLAIN_FIELDS, "petition"]}),
            (
                _("Like a signature"),
                {
                    "fields": others,
                    "classes": ["collapse"],
                    "description": _("Links on the lists of signatures and of signals fill these in."),
                },
            ),
        ]
        return sets if others else sets[:-1]

    def get_urls(self) -> list[URLPattern]:
        steps = {
            "apply": self.apply,
            "approve": self.approve,
            "cancel": self.cancel,
            "explain": self.explain,
            "undo": self.undo,
        }
        return [*(self.url(f"<int:pk>/{name}/", step, name) for name, step in steps.items()), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        # After saving, the only way on is to the page of the campaign.
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, one_button | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self.back(obj.pk)

    def back(self, pk: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:petition_invalidationcampaign_change", args=[pk]))

    @admin.display(description=gettext_lazy("No."))
    def number(self, campaign: InvalidationCampaign) -> int:
        return campaign.pk

    @admin.display(description=gettext_lazy("how many changed"))
    def how_many_changed(self, campaign: InvalidationCampaign) -> str:
        return seen_in_crowds(campaign.changed)

    @admin.display(description=gettext_lazy("how many undone"))
    def how_many_restored(self, campaign: InvalidationCampaign) -> str:
        return seen_in_crowds(campaign.restored)

    @admin.display(description=gettext_lazy("status"))
    def status(self, campaign: InvalidationCampaign) -> str:
        return status(campaign)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The criteria of a campaign and, until it begins, a preview of what applying it would do."""
        return self.show(request, self.row_or_404(request, object_id))

    def show(
        self, request: HttpRequest, campaign: InvalidationCampaign, form: ModerationReasonForm | None = None
    ) -> HttpResponse:
        preview, is_too_much = None, False
        if (campaign.is_draft or campaign.awaits_approval) and not campaign.faded_at:
            try:
                preview = invalidation.preview(campaign)
            except TimeLimitError:
                is_too_much = True
        sees_names = request.user.has_perm("petition.view_signature")
        if preview and sees_names:
            names_read.note(request.user, (row.shown_words for row in preview.sample))
        return self.page(
            request,
            "invalidation",
            _("Campaign %(number)d") % {"number": campaign.pk},
            campaign=campaign,
            criteria=criteria(campaign),
            status_text=status(campaign),
            preview=preview,
            is_too_much=is_too_much,
            sees_names=sees_names,
            may_apply=self.has_add_permission(request),
            asked_by=name_of(campaign.asked_by),
            approved_by=name_of(campaign.approved_by),
            is_own=campaign.asked_by == request.user.pk,
            smallest=similar.SMALLEST,
            form=form or ModerationReasonForm(),
            # Both may stand on one page, and a page has an id once.
            undo_form=form or ModerationReasonForm(auto_id="undo_%s"),
            # A page that reloads itself would lose a reason that is half written.
            is_watching=campaign.is_running and not form,
        )

    def apply(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the worker begin, or, if it is too much for one person, let the campaign wait for another one."""
        campaign = self.row_or_404(request, pk)
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if invalidation.is_narrow(campaign) and not request.user.has_perm("petition.find_signature"):
            messages.error(request, _("It finds fewer than 20 signatures, so it takes an administrator to apply it."))
            return self.back(pk)
        this = InvalidationCampaign.objects.filter(pk=pk)
        with transaction.atomic():
            is_large = self.is_large(request, campaign)
            done = this.ask_for_approval(request.user.pk) if is_large else this.apply(request.user.pk)
            found = request.POST.get("found", "")
            self.tell(
                request,
                campaign,
                Action.CAMPAIGN_ASKED if is_large else Action.CAMPAIGN_APPLIED,
                done,
                count=number(found) if found else None,
                reason=campaign.reason,
            )
        return self.back(pk)

    def is_large(self, request: HttpRequest, campaign: InvalidationCampaign) -> bool:
        try:
            counted = invalidation.preview(campaign).counted
        except TimeLimitError:
            return True
        return invalidation.is_too_much_for_one(request.user.pk, campaign.petition, counted)

    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the worker begin with what somebody else has asked for."""
        campaign = self.row_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            done = InvalidationCampaign.objects.filter(pk=pk).approve(request.user.pk)
            self.tell(request, campaign, Action.CAMPAIGN_APPROVED, done, reason=campaign.reason)
        return self.back(pk)

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop it at once. Why is asked afterwards, on its page."""
        campaign = self.row_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            done = invalidation.stop(pk)
            campaign.refresh_from_db()
            canned = campaign.canned_reason if campaign.changed else None
            self.tell(request, campaign, Action.CAMPAIGN_CANCELLED, done, count=campaign.changed, canned_reason=canned)
        return self.back(pk)

    def explain(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say why a campaign was stopped."""
        return self.with_reason(request, pk, Action.CAMPAIGN_STOP_EXPLAINED)

    def undo(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.with_reason(request, pk, Action.CAMPAIGN_UNDONE)

    def with_reason(self, request: HttpRequest, pk: int, action: Action) -> HttpResponse:
        campaign = self.row_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = ModerationReasonForm(request.POST)
        if not form.is_valid():
            return self.show(request, campaign, form)
        reason = form.cleaned_data["reason"]
        this = InvalidationCampaign.objects.filter(pk=pk)
        with transaction.atomic():
            if action == Action.CAMPAIGN_UNDONE:
                done = this.undo(request.user.pk)
            else:
                done = this.filter(cancelled_at__isnull=False, stop_reason="").update(stop_reason=reason)
            campaign.refresh_from_db()
            canned = form.cleaned_data["canned_reason"]
            self.tell(request, campaign, action, done, count=campaign.changed, reason=reason, canned_reason=canned)
        return self.back(pk)

    def tell(
        self, request: HttpRequest, campaign: InvalidationCampaign, action: Action, done: int, **entry: Any
    ) -> None:
        """Record what was done, or say that somebody else was faster."""
        if done:
            audit.record(request.user, action, about=campaign, **entry)
        else:
            messages.warning(request, _("Somebody else was faster, or the worker: see below how it stands now."))


def name_of(user_id: int | None) -> str:
    return User.objects.filter(pk=user_id or 0).values_list("username", flat=True).first() or ""


def status(campaign: InvalidationCampaign) -> str:
    if campaign.is_undoing:
        return _("being undone")
    if campaign.undone_at:
        return _("undone")
    if campaign.is_applying:
        return _("being applied")
    if campaign.cancelled_at:
        return _("stopped")
    if campaign.finished_at:
        return _("applied")
    if campaign.faded_at:
        return _("too old to be applied")
    return _("waits for a second person") if campaign.awaits_approval else _("draft")


def criteria(campaign: InvalidationCampaign) -> list[tuple[Any, Any]]:
    """The criteria of a campaign as pairs of label and value."""
    shown: list[tuple[Any, Any]] = [
        (_("What to do"), campaign.get_effect_display()),
        (_("Petition"), campaign.petition),
        (_("State"), _("counted") if campaign.holds else campaign.get_state_display()),
    ]
    if campaign.faded_at:
        return [*shown, (_("What it looked for"), _("forgotten after 30 days, as far as it may be about a person"))]
    if campaign.domain:
        names = domains.meant_by(campaign.domain)
        known = len(bytes(campaign.domain_digests)) // 32
        text = (
            campaign.domain if names == [campaign.domain] else f"{campaign.domain} ({known}): {', '.join(names[:20])}"
        )
        shown.append((_("Mail domain"), text))
    chosen: Mapping[str, Any] = {
        _("Network"): campaign.network_digest,
        _("Mail domain"): campaign.domain_digests and not campaign.domain,
        _("Name"): campaign.same_name,
        _("Words"): campaign.same_words,
    }
    shown += [(label, _("the one that was chosen")) for label, value in chosen.items() if value]
    if campaign.shape:
        shown.append((_("Names written like"), campaign.shape))
    if campaign.country:
        shown.append((_("Country"), countries.name(campaign.country)))
    if campaign.language:
        shown.append((_("Language"), languages.name(campaign.language)))
    if campaign.source:
        shown.append((_("Source"), campaign.source))
    for label, time in ((_("Signed from"), campaign.signed_since), (_("Signed before"), campaign.signed_until)):
        if time:
            shown.append((label, f"{time:%Y-%m-%d %H:%M} UTC"))
    if campaign.name_pattern:
        shown.append((_("Name"), campaign.name_pattern))
    return shown
