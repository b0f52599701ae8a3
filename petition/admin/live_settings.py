"""Live settings, which administrators change while the site runs, and the lists of networks and mail domains."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from parler.admin import TranslatableAdmin
from parler.forms import TranslatableModelForm

from petition import rate_limits
from petition.models import ListedDomain, ListedNetwork, Switches

from . import languages
from .base import Audited, ReasonField

RATES = ("rate_per_network", "burst_per_network", "mails_per_address", "hold_per_network")
NUMBERS = ("notify_count", "notify_hours", "campaign_share", "names_per_hour")
# What happens above each.
ABOVE: dict[str, Any] = {
    "rate_per_network": _("Above it a network is asked to wait, and nothing that it sends is stored."),
    "burst_per_network": _("The same for a short time, so that a program is slowed down within a minute."),
    "mails_per_address": _("Above it no mail of this kind goes to that address. The page answers as ever."),
    "hold_per_network": _("Above it what is confirmed is held, and does not count until a moderator releases it."),
    "notify_count": _("From so many names, held signatures, reports or mails on, staff get a notice."),
    "notify_hours": _("Once the oldest has waited so long, staff get a notice. There is one an hour at most."),
    "campaign_share": _(
        "Per cent of the confirmed signatures, in 24 hours. A campaign that goes beyond it waits for a second person."
    ),
    "names_per_hour": _("Above it administrators are told, on the start page and in the audit log."),
}
UNIT = _("Count/period, as 300/h, with s, m, h or d for the period; 0 is no limit.")
BACK = "_back"


class LiveSettingsForm(TranslatableModelForm):
    """Each field says what is in force, where that is from, and what happens above it."""

    reason = ReasonField()

    def __init__(self, data: Any = None, *arguments: Any, **options: Any) -> None:
        if data is not None:
            data = data.copy()
            # An empty field is the start value.
            for name in set(data.getlist(BACK)) & set(ABOVE):
                data[name] = ""
        super().__init__(data, *arguments, **options)
        for name in set(ABOVE) & set(self.fields):
            field = self.fields[name]
            start = str(getattr(settings, name.upper()))
            field.widget.attrs["placeholder"] = start
            field.help_text = self.about(name, start)

    def about(self, name: str, start: str) -> SafeString:
        lines = [ABOVE[name], UNIT] if name in RATES else [ABOVE[name]]
        own = getattr(self.instance, name)
        if own in ("", None):
            lines.append(_("In force is the start value, %(value)s, of the environment.") % {"value": start})
        else:
            lines.append(
                _("In force is %(value)s, set here. The start value is %(start)s.") % {"value": own, "start": start}
            )
        if name.upper() in rate_limits.LIMITS.values():
            count = rate_limits.networks_above(name.upper())
            lines.append(
                ngettext(
                    "In this hour %(count)d network went above it.",
                    "In this hour %(count)d networks went above it.",
                    count,
                )
                % {"count": count}
            )
        text = format_html_join(" ", "{}", ((line,) for line in lines))
        if own in ("", None):
            return text
        # No button: the first one of a form is pressed by the Return key in any of its fields.
        return format_html(
            '{}<br><label class="back"><input type="checkbox" name="{}" value="{}"> {}</label>',
            text,
            BACK,
            name,
            _("Back to the start value"),
        )


class ListedForm(ModelForm):
    reason = ReasonField()


@admin.register(Switches)
class LiveSettingsAdmin(Audited, TranslatableAdmin):
    """The one row of live settings, made by the migration. It is changed, and never added or deleted."""

    form = LiveSettingsForm
    fields = ["banner", "banner_stands", *RATES, *NUMBERS, "reason"]
    readonly_fields = ["banner_stands"]
    audited_values = (*RATES, *NUMBERS, "banner")
    # django-parler puts its tabs of languages around it.
    default_change_form_template = "admin/live_settings.html"

    @admin.display(description=_("languages of the banner"))
    def banner_stands(self, row: Switches) -> str:
        there = {text.language_code for text in row.translations.all() if text.banner}
        if not there:
            return gettext("There is none.")
        names = {
            is_there: ", ".join(name for code, name in languages.choices() if (code in there) is is_there)
            for is_there in (True, False)
        }
        if not names[False]:
            return gettext("It stands in every language.")
        return gettext("It stands in: %(there)s. Readers of the others see none: %(missing)s.") % {
            "there": names[True],
            "missing": names[False],
        }

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        named = {"title": _("Live settings"), "subtitle": None, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, named)

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
