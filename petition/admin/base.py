"""The base classes of the admin, its pages with templates of our own, and the fields that several forms have."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from parler.models import TranslatableModel

from petition.models import Action, CannedReason
from petition.staff import audit

from .changelist import CappedPaginator


class ReasonField(forms.CharField):
    """A reason for what somebody does. It is kept in the audit log, so it may not hold an address."""

    widget = forms.Textarea(attrs={"rows": 2, "cols": 60})

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "label": _("Reason"),
            "max_length": 500,
            "help_text": _("It is kept in the audit log for two years. Name no signer, and write no address."),
        }
        super().__init__(**(defaults | options))
        self.validators.append(
            RegexValidator("@", _("An address may not be kept in the audit log. Write it without."), inverse_match=True)
        )


class ReasonForm(forms.Form):
    """The form of every action that asks why; `admin/reason.html` is its page."""

    reason = ReasonField()


class CannedReasonField(forms.ModelChoiceField):
    """A choice among the canned reasons; free text stands beside it."""

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "queryset": CannedReason.objects.in_order(),
            "label": _("Reason"),
            "required": False,
            "empty_label": _("in my own words"),
        }
        super().__init__(**(defaults | options))


class CannedReasonMixin:
    """A mixin for a form that takes a canned reason, words of one's own, or both.

    Afterwards `reason` holds all of it as text, and `canned_reason` the number of the one that was chosen, or None.
    """

    def join_reason(self, cleaned: dict[str, Any]) -> None:
        chosen, own = cleaned.get("canned_reason"), cleaned.get("reason", "")
        # An own reason that was refused has told why.
        if not chosen and not own and "reason" not in self.errors:  # type: ignore[attr-defined]
            self.add_error("reason", _("Choose a reason, or write one."))  # type: ignore[attr-defined]
        cleaned["reason"] = ": ".join(filter(None, [str(chosen) if chosen else "", own]))
        cleaned["canned_reason"] = chosen.pk if chosen else None


class ModerationReasonForm(CannedReasonMixin, forms.Form):
    """The form of what moderators do to signatures: a canned reason, free text, or both."""

    canned_reason = CannedReasonField()
    reason = ReasonField(label=_("In your own words"), required=False, max_length=390)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.join_reason(cleaned)
        return cleaned


class HourField(forms.DateTimeField):
    """A time to the hour, in UTC, as signatures have it."""

    # Typed: a browser would draw an input of times in the way of its own country, many with 12 hours.
    widget = forms.DateTimeInput(
        {"placeholder": "2026-11-27 12:00", "size": "16", "autocomplete": "off"}, format="%Y-%m-%d %H:%M"
    )

    def prepare_value(self, value: Any) -> Any:
        # Links fill it in as addresses write a time; it has one face on all pages.
        return super().prepare_value(re.sub(r"(?<=\d)T(?=\d)", " ", value) if isinstance(value, str) else value)


class DayField(forms.DateField):
    """A day in UTC, typed for the same reason."""

    widget = forms.DateInput({"placeholder": "2026-11-27", "size": "10", "autocomplete": "off"}, format="%Y-%m-%d")


@dataclass(frozen=True)
class Change:
    """The part of an entry of the audit log that a saved form tells."""

    detail: str
    reason: str = ""


class Audited(admin.ModelAdmin):
    """The base of every ModelAdmin of ours: it records additions, changes and deletions in the audit log.

    Django's own log is not used: it can be edited and deleted. Of a change the audit log holds the names of the fields;
    of the fields in `audited_values`, whose values say nothing about people, also what they were and became. A form
    with a field `reason` has that kept too. Actions record what they do themselves, with `audit.record`.

    Pages that Django does not have are listed with `url`, which checks who may see them, and rendered with `page`.
    """

    # The permission to view the rows, and pages about them; empty: Django's own, which is view or change of the model.
    permission = ""
    audited_values: tuple[str, ...] = ()
    paginator = CappedPaginator
    show_full_result_count = False
    view_on_site = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if self.permission:
            return request.user.has_perm(self.permission)
        return super().has_view_permission(request, obj)

    def url(self, route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
        """A page of our own, for those who may view the rows; its name is `admin:<app>_<model>_<name>`."""

        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(checked), name=full_name)

    def page(self, request: HttpRequest, template: str, title: Any, **context: Any) -> TemplateResponse:
        return page(request, template, title, opts=self.opts, **context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The list, under the name by which every link calls it, not Django's "Select … to view"."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def row_or_404(self, request: HttpRequest, pk: str | int) -> Any:
        """The row with this key. Raises PermissionDenied for those who may not view it."""
        row = self.get_object(request, str(pk))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return row

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # Without this each row of a list would ask for its own title.
        return rows.prefetch_related("translations") if issubclass(self.model, TranslatableModel) else rows

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The form, under the name alone: in a sentence ("Change %s") it has other forms in many languages."""
        title = {"title": capfirst(self.opts.verbose_name)}
        return super().changeform_view(request, object_id, form_url, {**title, **(extra_context or {})})

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuse filters that the list does not offer: a URL could ask them about columns that it does not show."""
        named = set()
        for shown in self.get_list_filter(request):  # type: ignore[arg-type]
            field = shown[0] if isinstance(shown, tuple) else shown
            named.add(getattr(field, "parameter_name", field))
        is_shown = lookup in named or lookup.partition("__")[0] in named
        return is_shown and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        if formsets:
            raise NotImplementedError("What changes in an inline would not be in the audit log.")
        names = [name for name in form.changed_data if name not in ("reason", "canned_reason")]
        return Change(
            detail=", ".join(self.describe(form, name) for name in names),
            reason=form.cleaned_data.get("reason", ""),
        )

    def describe(self, form: forms.BaseForm, name: str) -> str:
        if name not in self.audited_values:
            return name
        values = f"{shown(form[name].initial)} → {shown(form.cleaned_data[name])}"
        return name if "@" in values else f"{name}: {values}"

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:  # type: ignore[override]
        audit.record(request.user, Action.ADDED, about=obj, detail=message.detail, reason=message.reason)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:  # type: ignore[override]
        audit.record(request.user, Action.CHANGED, about=obj, detail=message.detail, reason=message.reason)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:  # type: ignore[override]
        for obj in queryset:
            # A translation is a row of its own; the entry is about what it translates.
            language = getattr(obj, "language_code", "")
            audit.record(request.user, Action.DELETED, about=getattr(obj, "master", obj), detail=language)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The part of the audit log that is about this row, for those who may see the log."""
        if not request.user.has_perm("petition.view_staffaction"):
            raise PermissionDenied
        about = audit.name(self.row_or_404(request, unquote(object_id)))
        return HttpResponseRedirect(reverse("admin:petition_staffaction_changelist", query={"about": about}))


def page(
    request: HttpRequest, template: str, title: Any, *, status: int = HTTPStatus.OK, **context: Any
) -> TemplateResponse:
    """Render `admin/<template>.html`, with what the frame of the admin needs."""
    values = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/{template}.html", values, status=status)


def shown(value: Any) -> str:
    if value in (None, ""):
        return "–"
    if isinstance(value, list | QuerySet):
        return ", ".join(sorted(map(str, value))) or "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return str(value)


class ReadOnlyAdmin(Audited):
    """Facts that nobody edits or deletes by hand, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
