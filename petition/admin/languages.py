"""The languages of the site by the names that staff read, and who vouches for those that a machine has written."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from petition.models import LanguageApproval

from .base import Audited


def name(code: str) -> str:
    """The name in the language of the reader; the code itself where Django knows no name."""
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        return code


def choices() -> list[tuple[str, str]]:
    return [(code, name(code)) for code, _name in settings.LANGUAGES]


class ApprovalForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=_("language"),
        choices=lambda: [(code, name(code)) for code in LanguageApproval.unread()],
        help_text=_(
            "For native speakers who have read the form, the words on safety, the mails and the home page from"
            " beginning to end. Until then readers see the words on safety in English as well."
        ),
    )

    class Meta:
        model = LanguageApproval
        fields = ["language"]


@admin.register(LanguageApproval)
class LanguageApprovalAdmin(Audited):
    """Approving is adding a row, taking it back is deleting it. Both are in the audit log."""

    form = ApprovalForm
    list_display = ["language_name", "approved_on"]
    ordering = ["language"]

    @admin.display(description=_("language"))
    def language_name(self, row: LanguageApproval) -> str:
        return name(row.language)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
