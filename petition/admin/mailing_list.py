"""The mailing list for organisers: how many, under which key, and the export, of which this server can open nothing."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from petition import mailing_list, offline_key
from petition.models import Action, Subscription
from petition.staff import audit

from .base import ReadOnlyAdmin


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    permission = "petition.export_mailing_list"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            self.url("<slug:key>.sealed", self.export, "export"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        in_use = mailing_list.fingerprint()
        numbers = {in_use: 0} if in_use else {}
        numbers |= Subscription.objects.numbers_by_key()
        keys = [
            {
                "key": key,
                "shown": offline_key.in_fours(key),
                "is_in_use": key == in_use,
                "number": mailing_list.rounded(number),
                "is_empty": not number,
            }
            for key, number in numbers.items()
        ]
        about = {"is_trial": not settings.MAILING_LIST_WAITS}
        return self.page(request, "mailing_list", _("Mailing list"), keys=keys, in_use=in_use, **about)

    # It leaves an entry, so it is sent and not fetched.
    @method_decorator(require_POST)
    def export(self, request: HttpRequest, key: str) -> HttpResponseBase:
        number = Subscription.objects.numbers_by_key().get(key)
        if not number:
            raise Http404
        audit.record(
            request.user,
            Action.LIST_EXPORTED,
            about=f"mailing list {key}",
            count=mailing_list.rounded(number),
        )
        return StreamingHttpResponse(
            mailing_list.export(key),
            content_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{mailing_list.file_name(key)}"'},
        )
