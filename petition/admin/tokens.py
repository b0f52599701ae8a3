"""Tokens for dashboards that read the counts. Each is shown once, by the answer to the form that makes it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from petition.models import Action, CountsToken, Petition
from petition.models.counts import MOST_TOKEN_DAYS
from petition.staff import audit

from .base import Audited, DayField


class CountsTokenForm(forms.ModelForm):
    class Meta:
        model = CountsToken
        fields = ["name", "source", "ends_on"]
        widgets = {"ends_on": DayField.widget}

    def clean_ends_on(self) -> date:
        ends_on: date = self.cleaned_data["ends_on"]
        today = datetime.now(UTC).date()
        if not today <= ends_on <= today + timedelta(days=MOST_TOKEN_DAYS):
            raise ValidationError(_("Choose a day from today on, two years from now at most."))
        return ends_on


@admin.register(CountsToken)
class CountsTokenAdmin(Audited):
    list_display = ["name", "only_source", "created_by", "created_at", "last_used_on", "ends", "revoked_at"]
    list_select_related = ["created_by"]
    ordering = ["-id"]
    readonly_fields = ["only_source", "created_by", "created_at", "last_used_on", "ends", "revoked_at"]
    form = CountsTokenForm
    actions = ["revoke"]
    audited_values = ("name", "source", "ends_on")

    def get_fields(self, request: HttpRequest, obj: CountsToken | None = None) -> Any:
        return ["name", *self.readonly_fields] if obj else ["name", "source", "ends_on"]

    @admin.display(description=gettext_lazy("only this source"))
    def only_source(self, token: CountsToken) -> str:
        # The row of the source may be gone.
        return token.source_id or _("all")

    @admin.display(description=gettext_lazy("last day"), ordering="ends_on")
    def ends(self, token: CountsToken) -> str:
        day = f"{token.ends_on}"
        return _("ended with %(day)s") % {"day": day} if token.has_ended else day

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # A token is revoked, never edited.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.change_countstoken")

    def save_model(self, request: HttpRequest, obj: CountsToken, form: Any, change: bool) -> None:
        obj.created_by = request.user  # type: ignore[assignment]
        obj.make()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: CountsToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        # No redirect: the token would have to be kept somewhere until the next page shows it.
        petition = Petition.find()
        path = reverse("counts-json", args=[petition.slug]) if petition else ""
        url = f"{settings.SITE_URL}{path}?by={'day' if obj.source_id is None else 'week'}"
        return self.page(request, "token_made", _("Token for counts"), token=obj, url=url)

    @admin.action(description=gettext_lazy("Revoke the selected tokens"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[CountsToken]) -> None:
        with transaction.atomic():
            revoked = list(CountsToken.objects.valid().filter(pk__in=tokens).order_by("pk").select_for_update())
            CountsToken.objects.filter(pk__in=[token.pk for token in revoked]).revoke()
            for token in revoked:
                audit.record(request.user, Action.TOKEN_REVOKED, about=token)
        said = ngettext("%(count)d token is revoked.", "%(count)d tokens are revoked.", len(revoked))
        self.message_user(request, said % {"count": len(revoked)})
