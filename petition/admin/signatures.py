from django.contrib import admin
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from petition.models import Signature

from .base import ReadOnlyAdmin


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
