from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from parler.admin import TranslatableAdmin

from petition.models import OutgoingMail, Petition, Signature, Source


class ReadOnlyAdmin(admin.ModelAdmin):
    """Facts that nobody edits or deletes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Petition)
class PetitionAdmin(TranslatableAdmin):
    list_display = ["slug", "title", "opened_at", "closed_at", "paused_at", "collected_before"]
    fields = [
        "slug",
        "title",
        "addressee",
        "demand",
        "thanks",
        ("opened_at", "paused_at", "closed_at"),
        ("collected_before", "collected_before_on", "collected_before_source"),
        "goal",
    ]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # Its signatures would go with it.
        return False


@admin.register(Source)
class SourceAdmin(admin.ModelAdmin):
    list_display = ["slug", "title"]


@admin.register(Signature)
class SignatureAdmin(ReadOnlyAdmin):
    """What is known of each signature; an address is not."""

    list_display = ["id", "name", "shows_name", "country", "language", "source", "created_at", "confirmed_at", "state"]
    list_filter = ["language", ("confirmed_at", admin.EmptyFieldListFilter), ("held_at", admin.EmptyFieldListFilter)]
    search_fields = ["name"]
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False
    exclude = ["email_digest", "domain_digest", "network_digest"]

    @admin.display(description=_("state"))
    def state(self, signature: Signature) -> Promise | str:
        if signature.invalidated_at:
            return _("invalidated")
        if signature.held_at:
            return _("held")
        return _("counted") if signature.is_counted else _("pending")


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "language", "due_at", "attempts", "last_status", "parked_at"]
    list_filter = ["kind", ("parked_at", admin.EmptyFieldListFilter), "last_status"]
    ordering = ["-id"]
    exclude = ["recipient", "email_digest"]
    actions = ["try_again"]

    @admin.action(description=_("Try the selected mails again now"))
    def try_again(self, request: HttpRequest, mails: QuerySet[OutgoingMail]) -> None:
        changed = mails.update(parked_at=None, due_at=timezone.now())
        self.message_user(
            request,
            ngettext("%(count)d mail is due now.", "%(count)d mails are due now.", changed) % {"count": changed},
        )
