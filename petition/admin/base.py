from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from parler.models import TranslatableModel

from petition.models import Action
from petition.staff import audit

from .changelist import CappedPaginator


class ReasonField(forms.CharField):
    """Why somebody does this. It is kept in the trace, so it may not hold an address."""

    widget = forms.Textarea(attrs={"rows": 2, "cols": 60})

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "label": _("Reason"),
            "max_length": 500,
            "help_text": _("It is kept in the trace for two years. Name no signer, and write no address."),
        }
        super().__init__(**(defaults | options))
        self.validators.append(
            RegexValidator("@", _("An address may not be kept in the trace. Write it without."), inverse_match=True)
        )


@dataclass(frozen=True)
class Change:
    """What the trace says of a form that was saved."""

    detail: str
    reason: str = ""


class Audited(admin.ModelAdmin):
    """A part of the admin whose additions, changes and deletions leave a trace. Every part is one.

    Django's own log is not used: it can be edited and deleted. Of a change the trace holds the names of the fields;
    of the fields in `audited_values`, whose values say nothing about people, also what they were and became. A form
    with a field `reason` has that kept too. What an action does, it says itself with `trace.record`.
    """

    audited_values: tuple[str, ...] = ()
    paginator = CappedPaginator
    show_full_result_count = False
    view_on_site = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        # Else each row of a list would ask for its own title.
        return rows.prefetch_related("translations") if issubclass(self.model, TranslatableModel) else rows

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only the filters that a list shows: any other column could be asked for what it does not show."""
        named = set()
        for shown in self.get_list_filter(request):  # type: ignore[arg-type]
            field = shown[0] if isinstance(shown, tuple) else shown
            named.add(getattr(field, "parameter_name", field))
        is_shown = lookup in named or lookup.partition("__")[0] in named
        return is_shown and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        if formsets:
            raise NotImplementedError("What changes in an inline would leave no trace.")
        names = [name for name in form.changed_data if name != "reason"]
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
            # Of a translation, which is a row of its own: what it translates.
            language = getattr(obj, "language_code", "")
            audit.record(request.user, Action.DELETED, about=getattr(obj, "master", obj), detail=language)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The trace of this row, for those who may see the trace."""
        obj = self.get_object(request, unquote(object_id))
        if not (request.user.has_perm("petition.view_staffaction") and self.has_view_permission(request, obj)):
            raise PermissionDenied
        if obj is None:
            raise Http404
        return HttpResponseRedirect(reverse("admin:petition_staffaction_changelist", query={"about": audit.name(obj)}))


def shown(value: Any) -> str:
    if value in (None, ""):
        return "–"
    if isinstance(value, list | QuerySet):
        return ", ".join(sorted(map(str, value))) or "–"
    return str(value)


class ReadOnlyAdmin(Audited):
    """Facts that nobody edits or deletes by hand, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
