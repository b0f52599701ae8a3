"""Who vouches for the languages that a machine has written."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from petition.models import LanguageApproval

from . import languages
from .base import Audited


class ApprovalForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=capfirst(_("language")),
        choices=lambda: [(code, languages.name(code)) for code in LanguageApproval.unread()],
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
        return languages.name(row.language)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
