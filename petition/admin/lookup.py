from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from petition.form_fields import AddressField
from petition.models import SoughtSignature
from petition.moderation import lookup

from .base import ReadOnlyAdmin, ReasonField, ReasonForm
from .login import staff


class LookupForm(ReasonForm):
    email = AddressField()
    reason = ReasonField(
        help_text=_("For example: she asks why she is not counted. Name no signer, and write no address here.")
    )
    field_order = ["email"]

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        # A shared computer must not offer the address to its next user.
        self.fields["email"].widget.attrs["autocomplete"] = "off"


@admin.register(SoughtSignature)
class SoughtSignatureAdmin(ReadOnlyAdmin):
    """Look-up of one signature. An address goes in by POST, and only the answer to that shows what was found."""

    permission = "petition.find_signature"

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist")]

    @method_decorator(sensitive_post_parameters())
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        form = LookupForm(request.POST if request.method == "POST" else None)
        found, status = None, HTTPStatus.OK
        if form.is_valid():
            try:
                found = lookup.find(staff(request), form.cleaned_data["email"], form.cleaned_data["reason"])
                # The page that answers does not show the address again.
                form = LookupForm()
            except lookup.TooOftenError:
                form.add_error(None, _("You have looked ten times within 24 hours. Ask another administrator."))
                status = HTTPStatus.TOO_MANY_REQUESTS
        answer = {"found": found, "is_answered": found is not None}
        return self.page(request, "lookup", _("Find one signature"), form=form, status=status, **answer)
