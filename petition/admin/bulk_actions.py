"""Bulk actions on signatures: hold, release, invalidate and restore, each time with a reason."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error
from collections.abc import Iterable
from dataclasses import dataclass
from struct import iter_unpack, pack
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from petition.models import Action, Petition, Signature
from petition.models.signature import SignatureQuerySet
from petition.moderation import invalidation
from petition.staff import audit, names_read

from . import languages
from .base import ModerationReasonForm, ReadOnlyAdmin
from .changelist import BEFORE

# How many rows one action changes at most. Their transaction is over in a second, so that nobody waits for it.
LIMIT = 5_000
# The numbers of the rows that were asked about, so that the answer is about them and no others.
ROWS = "rows"
NUMBER_BYTES = 8
ACROSS = "select_across"
OUT_OF_THE_COUNT = (Action.HELD, Action.INVALIDATED)


class InLanguage(admin.SimpleListFilter):
    """Filter by language of the site. Asking the table for those that occur would read all of it."""

    title = _("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return languages.choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(language=self.value()) if self.value() else queryset


class AcrossForm(ActionForm):
    """Django's form of bulk actions, whose choice of all rows needs no script."""

    select_across = forms.BooleanField(label=_("all that the filter finds"), required=False)


@dataclass(frozen=True)
class TooMuchForOneError(Exception):
    """So many of these count that taking them out takes a second person."""

    counted: int


class BulkActions(ReadOnlyAdmin):
    """A list of signatures whose actions ask for a reason, change up to 5,000 at once, and are audited.

    Above that, what is held or invalidated becomes a campaign with what the list is filtered by.
    """

    action_form = AcrossForm

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        post = request.POST.copy()
        if post.get(ACROSS) and not post.getlist(ACTION_CHECKBOX_NAME):
            # Django wants one that is ticked, whatever is chosen beside it.
            post.setlist(ACTION_CHECKBOX_NAME, ["0"])
            request.POST = post  # type: ignore[assignment]
        if post.get(ACROSS):
            # All that the filter finds, not what comes behind a page.
            shown = request.GET.copy()
            shown.pop(BEFORE, None)
            request.GET = shown  # type: ignore[assignment]
        response = super().changelist_view(request, extra_context)
        if (context := getattr(response, "context_data", None)) and "cl" in context:
            names_read.note(request.user, (row.shown_words for row in context["cl"].result_list))
        return response

    def campaign_url(self, request: HttpRequest) -> str:
        """The form of a campaign with what the list is filtered by; empty if a campaign cannot say that."""
        return ""

    def stretch(self) -> int:
        """How many signatures the list looks through, if there are more than that; else 0."""
        return 0

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.hold_signature")

    def has_invalidate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.invalidate_signature")

    @admin.action(description=_("Hold the selected: keep them out of the count for now"), permissions=["hold"])
    def hold(self, request: HttpRequest, signatures: SignatureQuerySet) -> HttpResponse | None:
        return self.run(request, signatures, Action.HELD)

    @admin.action(description=_("Release the selected: let them count"), permissions=["hold"])
    def release(self, request: HttpRequest, signatures: SignatureQuerySet) -> HttpResponse | None:
        return self.run(request, signatures, Action.RELEASED)

    @admin.action(description=_("Invalidate the selected: stop counting them"), permissions=["invalidate"])
    def invalidate(self, request: HttpRequest, signatures: SignatureQuerySet) -> HttpResponse | None:
        return self.run(request, signatures, Action.INVALIDATED)

    @admin.action(description=_("Restore the selected: undo that they were invalidated"), permissions=["invalidate"])
    def restore(self, request: HttpRequest, signatures: SignatureQuerySet) -> HttpResponse | None:
        return self.run(request, signatures, Action.RESTORED)

    def run(self, request: HttpRequest, signatures: SignatureQuerySet, action: Action) -> HttpResponse | None:
        """Ask for a reason; once there is one, change the rows that were asked about and say how many."""
        form = ModerationReasonForm(request.POST if "reason" in request.POST else None)
        if ROWS in request.POST:
            signatures = signatures.filter(pk__in=unpacked(request.POST[ROWS]))
        ids = list(signatures.values_list("pk", flat=True)[: LIMIT + 1])
        is_more, ids = len(ids) > LIMIT, ids[:LIMIT]
        campaign = self.campaign_url(request) if action in OUT_OF_THE_COUNT else ""
        if campaign:
            campaign += "&effect=hold" if action == Action.HELD else "&effect=invalidate"
        if is_more and campaign:
            self.message_user(request, _("These are more than 5,000: the worker does it, as a campaign."))
            return HttpResponseRedirect(campaign)
        try:
            if form.is_valid():
                changed = decide(request, ids, action, form)
            else:
                # Before somebody writes a reason, not after.
                refuse_too_much(request, ids, action)
        except TooMuchForOneError:
            self.message_user(request, too_much_for_one(), "ERROR")
            return HttpResponseRedirect(campaign) if campaign else None
        if not form.is_valid():
            return self.page(
                request,
                "bulk_action",
                QUESTIONS[action],
                form=form,
                count=len(ids),
                is_more=is_more,
                stretch=self.stretch() if request.POST.get(ACROSS) else 0,
                campaign_url=campaign,
                # Django runs the same action again if the form sends these back.
                repeated=[
                    ("action", request.POST.get("action", "")),
                    (ACROSS, request.POST.get(ACROSS, "")),
                    *((ACTION_CHECKBOX_NAME, pk) for pk in request.POST.getlist(ACTION_CHECKBOX_NAME)),
                    (ROWS, packed(ids)),
                ],
            )
        self.message_user(request, DONE[action] % {"count": changed})
        if left := len(ids) - changed:
            self.message_user(
                request,
                ngettext(
                    "%(count)d was in another state, and was left as it is.",
                    "%(count)d were in another state, and were left as they are.",
                    left,
                )
                % {"count": left},
                "WARNING",
            )
        return None


def too_much_for_one() -> str:
    return gettext(
        "Nothing was changed: this is so much of the count that it takes two people. Make a campaign of it, which"
        " somebody else approves."
    )


def refuse_too_much(request: HttpRequest, ids: list[int], action: Action) -> list[Petition]:
    """The petitions of these signatures. Raises TooMuchForOneError if this takes too many of them out of the count."""
    chosen = Signature.objects.filter(pk__in=ids)
    petitions = list(Petition.objects.filter(pk__in=chosen.values("petition").distinct()))
    if action in OUT_OF_THE_COUNT:
        counted = chosen.counted().count()
        if any(invalidation.is_too_much_for_one(request.user.pk, petition, counted) for petition in petitions):
            raise TooMuchForOneError(counted)
    return petitions


def decide(request: HttpRequest, ids: list[int], action: Action, form: ModerationReasonForm, about: str = "") -> int:
    """Change these signatures, with an entry in the audit log; return how many were in a state for it.

    `about` is what they are called there, if it is not their number. Raises TooMuchForOneError.
    """
    chosen = Signature.objects.filter(pk__in=ids)
    reason = form.cleaned_data["reason"]
    with transaction.atomic():
        petitions = refuse_too_much(request, ids, action)
        changed = change(chosen, action, reason)
        if changed:
            audit.record(
                request.user,
                action,
                about=about or (f"signature {ids[0]}" if len(ids) == 1 else ""),
                petition=petitions[0].slug if len(petitions) == 1 else "",
                count=changed,
                reason=reason,
                canned_reason=form.cleaned_data["canned_reason"],
            )
    return changed


def packed(ids: Iterable[int]) -> str:
    """Numbers of rows for a hidden field, 11 letters each."""
    return urlsafe_b64encode(b"".join(pack(">q", pk) for pk in ids)).decode()


def unpacked(text: str) -> list[int]:
    """The numbers that `packed` has packed, at most as many as an action takes; none, if it is something else."""
    try:
        numbers = urlsafe_b64decode(text)
    except (NotBase64Error, ValueError):
        return []
    whole = len(numbers) - len(numbers) % NUMBER_BYTES
    return [pk for (pk,) in iter_unpack(">q", numbers[:whole])][:LIMIT]


def change(signatures: SignatureQuerySet, action: Action, reason: str) -> int:
    """Hold, release, invalidate or restore these rows; return how many were in a state for it."""
    if action == Action.HELD:
        return signatures.hold(reason[:200])
    if action == Action.RELEASED:
        return signatures.release()
    if action == Action.INVALIDATED:
        return signatures.invalidate(reason[:200])
    return signatures.restore()


QUESTIONS: dict[Action, Any] = {
    Action.HELD: _("Hold signatures"),
    Action.RELEASED: _("Release signatures"),
    Action.INVALIDATED: _("Invalidate signatures"),
    Action.RESTORED: _("Restore signatures"),
}
DONE: dict[Action, Any] = {
    Action.HELD: ngettext_lazy("%(count)d signature is held.", "%(count)d signatures are held.", "count"),
    Action.RELEASED: ngettext_lazy("%(count)d signature was released.", "%(count)d signatures were released.", "count"),
    Action.INVALIDATED: ngettext_lazy(
        "%(count)d signature was invalidated.", "%(count)d signatures were invalidated.", "count"
    ),
    Action.RESTORED: ngettext_lazy("%(count)d signature was restored.", "%(count)d signatures were restored.", "count"),
}
