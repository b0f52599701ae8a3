"""Proposals for the lists: what moderators want held from now on, for an administrator to confirm or refuse."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from petition.models import Action, ListedDomain, ProposedListing, Verdict
from petition.staff import audit

from .base import ReadOnlyAdmin

LIST = "admin:petition_proposedlisting_changelist"


@admin.register(ProposedListing)
class ProposedListingAdmin(ReadOnlyAdmin):
    """One page: what waits, and which networks of these days are held."""

    permission = "petition.confirm_listing"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("<int:pk>/confirm/", self.confirm, "confirm"),
            self.url("<int:pk>/refuse/", self.refuse, "refuse"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self.page(
            request,
            "proposals",
            _("Proposals for the lists"),
            waiting=ProposedListing.objects.waiting().order_by("proposed_at"),
            in_force=ProposedListing.objects.in_force().order_by("-confirmed_at"),
        )

    def confirm(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hold what comes from there. A domain becomes an entry of the list, which says until when."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            proposal = ProposedListing.objects.waiting().select_for_update().filter(pk=pk).first()
            if proposal is None:
                messages.warning(request, _("Somebody else was faster."))
                return HttpResponseRedirect(reverse(LIST))
            if proposal.is_network:
                proposal.confirmed_at = timezone.now()
                proposal.save()
                about: Any = proposal
            else:
                about, is_new = ListedDomain.objects.get_or_create(
                    domain=proposal.name, defaults={"verdict": Verdict.BLOCK}
                )
                proposal.delete()
                if not is_new:
                    messages.warning(request, _("This domain was on the list already, which is left as it is."))
                    return HttpResponseRedirect(reverse(LIST))
            detail = f"proposed by {proposal.username}"
            audit.record(request.user, Action.LISTING_CONFIRMED, about=about, detail=detail, count=proposal.count)
        messages.success(request, _("What comes from there is held from now on. What counts already goes on counting."))
        return HttpResponseRedirect(reverse(LIST))

    def refuse(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a proposal away, or a network of the day that was confirmed before."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            proposal = ProposedListing.objects.select_for_update().filter(pk=pk).first()
            if proposal:
                audit.record(
                    request.user,
                    Action.LISTING_REFUSED,
                    about=proposal,
                    detail=f"proposed by {proposal.username}",
                    count=proposal.count,
                )
                proposal.delete()
        return HttpResponseRedirect(reverse(LIST))
