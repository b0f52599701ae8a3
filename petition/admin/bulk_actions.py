"""Bulk actions on signatures: hold, release, invalidate and restore, each time with a reason."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy

from petition.models import Action, Signature
from petition.models.signature import SignatureQuerySet
from petition.staff import audit

from . import languages
from .base import ReadOnlyAdmin, ReasonForm

# How many rows one action changes at most. Their transaction is over in a second, so that nobody waits for it.
LIMIT = 5_000


class InLanguage(admin.SimpleListFilter):
    """Filter by language of the site. Asking the table for those that occur would read all of it."""

    title = _("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return languages.choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(language=self.value()) if self.value() else queryset


class BulkActions(ReadOnlyAdmin):
    """A list of signatures whose actions ask for a reason, change up to 5,000 at once, and are audited."""

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
        """Ask for a reason; once there is one, change the rows and say how many."""
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        found = list(signatures.values_list("pk", "petition__slug")[: LIMIT + 1])
        chosen = dict(found[:LIMIT])
        if not form.is_valid():
            return self.page(
                request,
                "bulk_action",
                QUESTIONS[action],
                form=form,
                count=len(chosen),
                is_more=len(found) > LIMIT,
                # Django runs the same action on the same rows again if the form sends these back.
                repeated=[
                    ("action", request.POST.get("action", "")),
                    ("select_across", request.POST.get("select_across", "0")),
                    *((ACTION_CHECKBOX_NAME, pk) for pk in request.POST.getlist(ACTION_CHECKBOX_NAME)),
                ],
            )
        reason = form.cleaned_data["reason"]
        with transaction.atomic():
            changed = change(Signature.objects.filter(pk__in=chosen), action, reason)
            if changed:
                slugs = set(chosen.values())
                audit.record(
                    request.user,
                    action,
                    about=f"signature {next(iter(chosen))}" if len(chosen) == 1 else "",
                    petition=slugs.pop() if len(slugs) == 1 else "",
                    count=changed,
                    reason=reason,
                )
        self.message_user(request, DONE[action] % {"count": changed})
        if left := len(chosen) - changed:
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
