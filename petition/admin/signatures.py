from django.contrib import admin
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from petition.models import Signature

from .decisions import Decisions, InLanguage


@admin.register(Signature)
class SignatureAdmin(Decisions):
    """What is known of each signature; an address is not."""

    list_display = ["id", "name", "shows_name", "country", "language", "source", "created_at", "confirmed_at", "state"]
    list_filter = [
        InLanguage,
        ("confirmed_at", admin.EmptyFieldListFilter),
        ("held_at", admin.EmptyFieldListFilter),
        ("invalidated_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["name"]
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    exclude = ["email_digest", "domain_digest", "network_digest"]
    readonly_fields = ["review"]
    actions = ["hold", "invalidate", "restore"]

    @admin.display(description=_("state"))
    def state(self, signature: Signature) -> Promise | str:
        if signature.invalidated_at:
            return _("invalidated")
        if signature.held_at:
            return _("held")
        return _("counted") if signature.is_counted else _("pending")

    @admin.display(description=_("name and words"))
    def review(self, signature: Signature) -> SafeString | str:
        """The way to the decision on them, which can be changed."""
        if signature.is_pending or not signature.is_showable:
            return "–"
        if signature.approved_at:
            decision = _("approved")
        else:
            decision = _("hidden") if signature.reviewed_at else _("not decided")
        url = reverse("admin:petition_review_change", args=[signature.pk])
        return format_html('{} · <a href="{}">{}</a>', decision, url, _("Look at it"))
