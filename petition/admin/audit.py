from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _

from petition.models import Action, Petition, StaffAction
from petition.models.audit import StaffActionQuerySet

from .base import DayField, ReadOnlyAdmin
from .changelist import number

PER_PAGE = 50
# A page is found by reading past those before it. To look further back one names a day.
MAX_PAGE = 200
EVERY: list[tuple[Any, Any]] = [("", "---------")]


class AuditForm(forms.Form):
    """Filters of the audit log. Accounts go by their number, since names stay out of URLs."""

    who = forms.TypedChoiceField(label=_("Who"), required=False, coerce=int, empty_value=None)
    action = forms.ChoiceField(label=_("Action"), required=False, choices=EVERY + Action.choices)
    petition = forms.ChoiceField(label=_("Petition"), required=False)
    since = DayField(label=_("From day"), required=False)
    until = DayField(label=_("To day"), required=False)
    about = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)
    page = forms.IntegerField(required=False, min_value=1, max_value=MAX_PAGE, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        accounts: dict[Any, str] = dict(User.objects.order_by("username").values_list("pk", "username"))
        asked = number(data.get("who", ""))
        if asked and asked not in accounts:
            # An account that is gone has entries still, and their links lead here.
            gone = StaffAction.objects.filter(user_id=asked).latest_first().first()
            accounts |= {gone.user_id: gone.username} if gone else {}
        fields: dict[str, Any] = self.fields
        fields["who"].choices = EVERY + list(accounts.items())
        fields["petition"].choices = EVERY + [(slug, slug) for (slug,) in Petition.objects.values_list("slug")]

    def entries(self) -> StaffActionQuerySet:
        """The entries that were asked for; a filter that cannot be read does not filter."""
        self.is_valid()
        chosen = self.cleaned_data
        entries = StaffAction.objects.latest_first()
        for lookup, value in (
            ("user_id", chosen.get("who")),
            ("action", chosen.get("action")),
            ("petition", chosen.get("petition")),
            ("about", chosen.get("about")),
            ("done_at__gte", midnight(chosen.get("since"))),
            ("done_at__lt", midnight(chosen.get("until"), days=1)),
        ):
            if value:
                entries = entries.filter(**{lookup: value})
        return entries


def midnight(day: date | None, days: int = 0) -> datetime | None:
    """When this day begins (UTC), or the one so many days after it."""
    return datetime.combine(day, time(), UTC) + timedelta(days=days) if day else None


@admin.register(StaffAction)
class AuditLogAdmin(ReadOnlyAdmin):
    """The page of the audit log. No entry has a page of its own."""

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        form = AuditForm(request.GET)
        # One more than fits tells whether there is another page: counting them all would read the whole table.
        entries = form.entries()
        page = form.cleaned_data.get("page") or 1
        rows = list(entries[(page - 1) * PER_PAGE : page * PER_PAGE + 1])
        is_more = len(rows) > PER_PAGE
        return self.page(
            request,
            "audit",
            _("Audit log"),
            form=form,
            entries=rows[:PER_PAGE],
            about=form.cleaned_data.get("about"),
            newer=with_page(request.GET, page - 1) if page > 1 else "",
            older=with_page(request.GET, page + 1) if is_more and page < MAX_PAGE else "",
            is_last_page=is_more and page == MAX_PAGE,
        )


def with_page(query: QueryDict, page: int) -> str:
    changed = query.copy()
    changed["page"] = str(page)
    return f"?{changed.urlencode()}"
