from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

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
    exclude = ["recipient", "key", "last_status", "enhanced_status"]
    readonly_fields = ["status"]
    change_list_template = "admin/mails.html"
    actions = ["try_again"]

    @admin.display(description=_("last status"))
    def status(self, mail: OutgoingMail) -> Any:
        """The codes of the last answer, or that nobody can read any more whom this mail is for."""
        if mail.key_id is None:
            return _("key lost")
        return f"{mail.last_status} {mail.enhanced_status}".strip() if mail.last_status else None

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.retry_outgoingmail")

    @admin.action(description=_("Try the selected mails again now"), permissions=["retry"])
    def try_again(self, request: HttpRequest, mails: QuerySet[OutgoingMail]) -> None:
        changed = mails.try_again()  # type: ignore[attr-defined]
        audit.record(request.user, Action.MAIL_TRIED_AGAIN, count=changed)
        self.message_user(
            request,
            ngettext("%(count)d mail is due now.", "%(count)d mails are due now.", changed) % {"count": changed},
        )

    def get_urls(self) -> list[URLPattern]:
        return [self.url("retry-parked/", self.retry_parked, "retry_parked"), *super().get_urls()]

    @method_decorator(require_POST)
    def retry_parked(self, request: HttpRequest) -> HttpResponse:
        """The button above the list."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        self.try_again(request, OutgoingMail.objects.parked())
        return HttpResponseRedirect(reverse("admin:petition_outgoingmail_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may_retry = self.has_retry_permission(request)
        return super().changelist_view(request, {"may_retry": may_retry, **(extra_context or {})})
