from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from petition.forms import AddressField
from petition.models import SoughtSignature
from petition.moderation import lookup

from .base import ReadOnlyAdmin, ReasonField
from .login import staff


class FindForm(forms.Form):
    email = AddressField()
    reason = ReasonField(
        help_text=_("For example: she asks why she is not counted. Name no signer, and write no address here.")
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        # A shared computer must not offer it to the next one.
        self.fields["email"].widget.attrs["autocomplete"] = "off"


@admin.register(SoughtSignature)
class SoughtSignatureAdmin(ReadOnlyAdmin):
    """One page: an address goes in by POST, and the answer is of this request alone."""

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("petition.find_signature")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="petition_soughtsignature_changelist")]

    @method_decorator(sensitive_post_parameters())
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = FindForm(request.POST if request.method == "POST" else None)
        found, status = None, HTTPStatus.OK
        if form.is_valid():
            try:
                found = lookup.find(staff(request), form.cleaned_data["email"], form.cleaned_data["reason"])
                # The address goes with the request that brought it.
                form = FindForm()
            except lookup.TooOftenError:
                form.add_error(None, _("You have looked ten times within 24 hours. Ask another administrator."))
                status = HTTPStatus.TOO_MANY_REQUESTS
        context = {
            **self.admin_site.each_context(request),
            "title": _("Find one signature"),
            "opts": self.opts,
            "form": form,
            "found": found,
            "is_answered": found is not None,
        }
        return TemplateResponse(request, "admin/lookup.html", context, status=status)
