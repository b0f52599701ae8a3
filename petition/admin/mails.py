from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from petition import trace
from petition.models import Action, OutgoingMail

from .base import ReadOnlyAdmin


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "language", "due_at", "attempts", "last_status", "parked_at"]
    list_filter = ["kind", ("parked_at", admin.EmptyFieldListFilter), "last_status"]
    ordering = ["-id"]
    exclude = ["recipient", "email_digest"]
    actions = ["try_again"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.retry_outgoingmail")

    @admin.action(description=_("Try the selected mails again now"), permissions=["retry"])
    def try_again(self, request: HttpRequest, mails: QuerySet[OutgoingMail]) -> None:
        changed = mails.update(parked_at=None, due_at=timezone.now())
        trace.record(request.user, Action.MAIL_TRIED_AGAIN, count=changed)
        self.message_user(
            request,
            ngettext("%(count)d mail is due now.", "%(count)d mails are due now.", changed) % {"count": changed},
        )
