from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from petition.models import Action, OutgoingMail
from petition.staff import audit

from .base import ReadOnlyAdmin
from .changelist import ByTime


class LastStatus(admin.SimpleListFilter):
    """Filter by the last answer of the mail server. Asking the table for the codes that occur would read all of it."""

    title = _("last status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("none", _("none yet")),
            ("4", _("put off (4xx)")),
            ("5", _("refused (5xx)")),
            ("lost", _("key lost")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutgoingMail]) -> QuerySet[OutgoingMail]:
        if self.value() == "lost":
            return queryset.filter(key=None)
        if self.value() == "none":
            return queryset.filter(last_status=None, key__isnull=False)
        if self.value() in ("4", "5"):
            kind = 100 * int(self.value() or 0)
            return queryset.filter(last_status__gte=kind, last_status__lt=kind + 100)
        return queryset


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ByTime, ReadOnlyAdmin):
    time = ""
    list_display = ["id", "kind", "language", "due_at", "attempts", "status", "parked_at"]
    list_filter = ["kind", ("parked_at", admin.EmptyFieldListFilter), LastStatus]
    exclude = ["recipient", "key", "last_status"]
    readonly_fields = ["status"]
    actions = ["try_again"]

    @admin.display(description=_("last status"))
    def status(self, mail: OutgoingMail) -> Any:
        """The code of the last answer, or that nobody can read any more whom this mail is for."""
        return _("key lost") if mail.key_id is None else mail.last_status

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.retry_outgoingmail")

    @admin.action(description=_("Try the selected mails again now"), permissions=["retry"])
    def try_again(self, request: HttpRequest, mails: QuerySet[OutgoingMail]) -> None:
        # Nobody can read any more whom a mail is for whose key is lost.
        changed = mails.filter(key__isnull=False).update(parked_at=None, due_at=timezone.now())
        audit.record(request.user, Action.MAIL_TRIED_AGAIN, count=changed)
        self.message_user(
            request,
            ngettext("%(count)d mail is due now.", "%(count)d mails are due now.", changed) % {"count": changed},
        )
