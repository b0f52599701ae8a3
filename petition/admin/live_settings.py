"""Live settings, which administrators change while the site runs, and the lists of networks and mail domains."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from parler.admin import TranslatableAdmin
from parler.forms import TranslatableModelForm

from petition.models import ListedDomain, ListedNetwork, Switches

from .base import Audited, ReasonField

RATES = ("rate_per_network", "burst_per_network", "mails_per_address", "hold_per_network")


class LiveSettingsForm(TranslatableModelForm):
    reason = ReasonField()


class ListedForm(ModelForm):
    reason = ReasonField()


@admin.register(Switches)
class LiveSettingsAdmin(Audited, TranslatableAdmin):
    """The one row of live settings, made by the migration. It is changed, and never added or deleted."""

    form = LiveSettingsForm
    fields = ["banner", *RATES, "reason"]
    audited_values = (*RATES, "banner")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse("admin:petition_switches_change", args=[1]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ListedAdmin(Audited):
    """Entries end by themselves. The audit log names them by number: a network or a domain may be a person's."""

    form = ListedForm
    list_filter = ["verdict"]
    audited_values = ("verdict", "ends_on")


@admin.register(ListedNetwork)
class ListedNetworkAdmin(ListedAdmin):
    list_display = ["network", "verdict", "ends_on"]
    fields = ["network", "verdict", "ends_on", "reason"]
    ordering = ["network"]


@admin.register(ListedDomain)
class ListedDomainAdmin(ListedAdmin):
    list_display = ["domain", "verdict", "ends_on"]
    fields = ["domain", "verdict", "ends_on", "reason"]
    ordering = ["domain"]
