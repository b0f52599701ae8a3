"""Look-up of one signature: the page on which administrators ask, approve, and see the answer."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from petition import lookup
from petition.form_fields import AddressField
from petition.mail.keys import NoKeyError
from petition.models import Lookup

from .base import ReadOnlyAdmin, ReasonField, ReasonForm
from .login import staff
from .notices import about_lookups

LIST = "admin:petition_lookup_changelist"
TOO_NEW = _("This account, its role or its password is less than a day old. Until then it can neither ask nor approve.")

NOT_ANOTHER = _(
    "One of you has made or changed the account of the other within 30 days. A third administrator has to approve it."
)


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


@admin.register(Lookup)
class LookupAdmin(ReadOnlyAdmin):
    """One page. A question goes in by POST, others approve it there, and the one who asked sees the answer."""

    permission = "petition.find_signature"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("<int:pk>/approve/", self.approve, "approve"),
            self.url("<int:pk>/refuse/", self.refuse, "refuse"),
        ]

    @method_decorator(sensitive_post_parameters())
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        form = LookupForm(request.POST if request.method == "POST" else None)
        status = HTTPStatus.OK
        if form.is_valid():
            try:
                lookup.ask(staff(request), form.cleaned_data["email"], form.cleaned_data["reason"])
            except lookup.TooNewError:
                form.add_error(None, TOO_NEW)
                status = HTTPStatus.FORBIDDEN
            except lookup.TooOftenError:
                form.add_error(None, _("Ten signatures have been looked for within 24 hours, which is all for today."))
                status = HTTPStatus.TOO_MANY_REQUESTS
            except NoKeyError:
                form.add_error(None, _("The worker has never run, so nobody could answer. Start it first."))
                status = HTTPStatus.SERVICE_UNAVAILABLE
            else:
                # The page that follows does not have the address any more.
                messages.success(request, _("The question is asked. Another administrator has to approve it."))
                return HttpResponseRedirect(reverse(LIST))
        answers = Lookup.objects.answers_for(request.user.pk).order_by("-answered_at")
        return self.page(
            request,
            "lookup",
            _("Find one signature"),
            form=form,
            status=status,
            answers=[(answer, lookup.found(answer)) for answer in answers],
            warning=TOO_NEW if lookup.is_new(staff(request)) and not form.is_bound else "",
            **about_lookups(request),
        )

    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.decide(request, pk, lookup.approve)

    def refuse(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.decide(request, pk, lookup.refuse)

    def decide(self, request: HttpRequest, pk: int, step: Callable[[User, int], bool]) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            if not step(staff(request), pk):
                messages.warning(request, _("Nothing has changed: it is your own, or somebody has decided already."))
        except lookup.TooNewError:
            messages.error(request, TOO_NEW)
        except lookup.NotAnotherError:
            messages.error(request, NOT_ANOTHER)
        return HttpResponseRedirect(reverse(LIST))
