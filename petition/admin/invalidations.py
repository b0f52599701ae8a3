"""Invalidation campaigns: the form that makes one, and the page that previews, applies, cancels and undoes it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition import countries
from petition.models import Action, InvalidationCampaign, Petition, Signature, Source
from petition.moderation import domains, invalidation, similar
from petition.postgres.timeouts import TimeLimitError
from petition.staff import audit
from petition.templatetags.petition_tags import seen_in_crowds

from .base import HourField, ReadOnlyAdmin, ReasonField, ReasonForm
from .changelist import number

# A campaign without any of these would be about everybody.
CRITERIA = ("domain", "same_network_as", "country", "source", "signed_since", "signed_until", "name_pattern")


class InvalidationForm(forms.ModelForm):
    same_network_as = forms.IntegerField(
        label=gettext_lazy("Same network as signature no."),
        required=False,
        min_value=1,
        help_text=gettext_lazy(
            "Finds what came from the network of this signature on the same day (UTC). Nobody sees which network it is."
        ),
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
    source = forms.ModelChoiceField(Source.objects.order_by("slug"), label=gettext_lazy("Source"), required=False)
    signed_since = HourField(
        label=gettext_lazy("Signed from"), required=False, help_text=gettext_lazy("To the hour, in UTC.")
    )
    signed_until = HourField(
        label=gettext_lazy("Signed before"), required=False, help_text=gettext_lazy("To the hour, in UTC.")
    )
    name_pattern = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=100,
        help_text=gettext_lazy("* stands for anything, ? for one letter; capitals do not matter. As: test*, user ???"),
    )
    reason = ReasonField(
        help_text=gettext_lazy(
            "It is kept in the audit log and with each signature. Name no signer, and write no address."
        )
    )

    # Declared here, because the admin puts links to edit the petition beside a field of its own making.
    petition = forms.ModelChoiceField(Petition.objects.latest_first(), label=gettext_lazy("Petition"))

    class Meta:
        model = InvalidationCampaign
        fields = [
            "petition",
            "state",
            "domain",
            "same_network_as",
            "country",
            "source",
            "signed_since",
            "signed_until",
            "name_pattern",
            "reason",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["country"].choices = [("", "---------"), *countries.choices()]
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

    def clean_same_network_as(self) -> int | None:
        pk = self.cleaned_data["same_network_as"]
        if pk is not None:
            row = Signature.objects.filter(pk=min(pk, 2**63 - 1)).first()
            if row is None or row.network_digest is None:
                raise ValidationError(
                    _("There is no such signature, or its network is not known any more (that is kept for 30 days).")
                )
            self.instance.network_digest = bytes(row.network_digest)
        return pk

    def clean_source(self) -> str:
        source = self.cleaned_data["source"]
        return source.slug if source else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not any(cleaned.get(name) for name in CRITERIA):
            raise ValidationError(_("Say what to look for: without any criterion it would be everybody."))
        since, until = cleaned.get("signed_since"), cleaned.get("signed_until")
        if since and until and since >= until:
            self.add_error("signed_until", _("This is not after the beginning."))
        if cleaned.get("domain"):
            self.instance.domain_digests = domains.digests(domains.meant_by(cleaned["domain"]))
        return cleaned


@admin.register(InvalidationCampaign)
class InvalidationCampaignAdmin(ReadOnlyAdmin):
    """Campaigns are made with a reason, looked at, then applied, cancelled or undone; nobody edits one afterwards."""

    form = InvalidationForm
    permission = "petition.invalidate_signature"
    list_display = ["id", "petition", "reason", "status", "how_many_changed", "how_many_restored", "created_at"]
    list_select_related = ["petition"]
    ordering = ["-id"]
    list_per_page = 50
    actions = None
    # Domains, networks and names may be somebody's, and stay out of the audit log.
    audited_values = ("state", "country", "source", "signed_since", "signed_until")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Any:
        criteria = [name for name in InvalidationForm.Meta.fields if name not in ("petition", "reason")]
        return [
            (None, {"fields": ["petition", "reason"]}),
            (_("What to look for (all of it together)"), {"fields": criteria}),
        ]

    def get_urls(self) -> list[URLPattern]:
        steps = {"apply": self.apply, "cancel": self.cancel, "undo": self.undo}
        return [*(self.url(f"<int:pk>/{name}/", step, name) for name, step in steps.items()), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        # After saving, the only way on is to the page of the campaign.
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, one_button | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self.back(obj.pk)

    def back(self, pk: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:petition_invalidationcampaign_change", args=[pk]))

    @admin.display(description=gettext_lazy("how many invalidated"))
    def how_many_changed(self, campaign: InvalidationCampaign) -> int | str:
        return seen_in_crowds(campaign.changed)

    @admin.display(description=gettext_lazy("how many restored"))
    def how_many_restored(self, campaign: InvalidationCampaign) -> int | str:
        return seen_in_crowds(campaign.restored)

    @admin.display(description=gettext_lazy("status"))
    def status(self, campaign: InvalidationCampaign) -> str:
        return status(campaign)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The criteria of a campaign and, as long as it is a draft, a preview of what applying it would do."""
        return self.show(request, self.row_or_404(request, object_id))

    def show(
        self, request: HttpRequest, campaign: InvalidationCampaign, form: ReasonForm | None = None
    ) -> HttpResponse:
        preview, is_too_much = None, False
        if campaign.is_draft and not campaign.faded_at:
            try:
                preview = invalidation.preview(campaign)
            except TimeLimitError:
                is_too_much = True
        return self.page(
            request,
            "invalidation",
            _("Campaign %(number)d") % {"number": campaign.pk},
            campaign=campaign,
            criteria=criteria(campaign),
            status_text=status(campaign),
            preview=preview,
            is_too_much=is_too_much,
            smallest=similar.SMALLEST,
            form=form or ReasonForm(),
            # A page that reloads itself would lose a reason that is half written.
            is_watching=campaign.is_running and not form and "cancel" not in request.GET,
        )

    def apply(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the worker begin. The audit log takes the campaign's own reason."""
        campaign = self.row_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if invalidation.is_narrow(campaign) and not request.user.has_perm("petition.find_signature"):
            messages.error(request, _("It finds fewer than 20 signatures, so it takes an administrator to apply it."))
            return self.back(pk)
        with transaction.atomic():
            if InvalidationCampaign.objects.filter(pk=pk).apply(request.user.pk):
                found = request.POST.get("found", "")
                audit.record(
                    request.user,
                    Action.CAMPAIGN_APPLIED,
                    about=campaign,
                    count=number(found) if found else None,
                    reason=campaign.reason,
                )
            else:
                messages.warning(request, too_late())
        return self.back(pk)

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.step(request, pk, Action.CAMPAIGN_CANCELLED)

    def undo(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.step(request, pk, Action.CAMPAIGN_UNDONE)

    def step(self, request: HttpRequest, pk: int, action: Action) -> HttpResponse:
        """Cancel or undo, with a reason of its own."""
        campaign = self.row_or_404(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self.show(request, campaign, form)
        this = InvalidationCampaign.objects.filter(pk=pk)
        with transaction.atomic():
            done = this.cancel() if action == Action.CAMPAIGN_CANCELLED else this.undo(request.user.pk)
            if done:
                campaign.refresh_from_db()
                reason = form.cleaned_data["reason"]
                audit.record(request.user, action, about=campaign, count=campaign.changed, reason=reason)
            else:
                messages.warning(request, too_late())
        return self.back(pk)


def too_late() -> str:
    return _("Somebody else was faster, or the worker: see below how it stands now.")


def status(campaign: InvalidationCampaign) -> str:
    if campaign.is_undoing:
        return _("being undone")
    if campaign.undone_at:
        return _("undone")
    if campaign.is_applying:
        return _("being applied")
    if campaign.cancelled_at:
        return _("cancelled")
    if campaign.finished_at:
        return _("applied")
    return _("too old to be applied") if campaign.faded_at else _("draft")


def criteria(campaign: InvalidationCampaign) -> list[tuple[Any, Any]]:
    """The criteria of a campaign as pairs of label and value."""
    shown: list[tuple[Any, Any]] = [(_("Petition"), campaign.petition), (_("State"), campaign.get_state_display())]
    if campaign.faded_at:
        return [*shown, (_("What it looked for"), _("forgotten after 30 days, as far as it may be about a person"))]
    if campaign.domain:
        names = domains.meant_by(campaign.domain)
        known = len(bytes(campaign.domain_digests)) // 32
        text = (
            campaign.domain if names == [campaign.domain] else f"{campaign.domain} ({known}): {', '.join(names[:20])}"
        )
        shown.append((_("Mail domain"), text))
    if campaign.network_digest is not None:
        shown.append((_("Network"), _("the one that was chosen")))
    if campaign.country:
        shown.append((_("Country"), countries.name(campaign.country)))
    if campaign.source:
        shown.append((_("Source"), campaign.source))
    for label, time in ((_("Signed from"), campaign.signed_since), (_("Signed before"), campaign.signed_until)):
        if time:
            shown.append((label, f"{time:%Y-%m-%d %H:%M} UTC"))
    if campaign.name_pattern:
        shown.append((_("Name"), campaign.name_pattern))
    return shown
