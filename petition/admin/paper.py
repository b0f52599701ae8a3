"""Signatures on paper: organisers enter what was counted, a second account looks at it, and mistakes are withdrawn."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from petition.models import Action, PaperSheets, Petition
from petition.staff import audit

from .base import DayField, ReadOnlyAdmin, ReasonForm

MAY_CHECK = "petition.check_papersheets"


class PaperSheetsForm(forms.ModelForm):
    # Declared here, because the admin puts links to edit the petition beside a field of its own making.
    petition = forms.ModelChoiceField(Petition.objects.latest_first(), label=gettext_lazy("Petition"))

    class Meta:
        model = PaperSheets
        fields = ["petition", "collected_on", "place", "amount", "counted_by", "kept_at"]
        widgets = {"collected_on": DayField.widget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        petition = Petition.find()
        self.fields["petition"].initial = petition and petition.pk

    def clean_collected_on(self) -> Any:
        day = self.cleaned_data["collected_on"]
        if day > timezone.now().date():
            raise forms.ValidationError(_("This day is still to come."))
        return day


@admin.register(PaperSheets)
class PaperSheetsAdmin(ReadOnlyAdmin):
    """Bundles of sheets. Nobody edits one: what is wrong is withdrawn, with a reason, and entered anew."""

    form = PaperSheetsForm
    list_display = ["collected_on", "place", "amount", "state", "counted_by", "kept_at", "entered_by"]
    list_select_related = ["entered_by"]
    ordering = ["-id"]
    list_per_page = 50
    actions = None
    change_list_template = "admin/paper_list.html"
    audited_values = ("collected_on", "place", "amount", "counted_by", "kept_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("petition.add_papersheets")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return PaperSheetsForm.Meta.fields

    def get_urls(self) -> list[URLPattern]:
        steps = {"check": self.check_sheets, "withdraw": self.withdraw}
        return [*(self.url(f"<int:pk>/{name}/", step, name) for name, step in steps.items()), *super().get_urls()]

    @admin.display(description=gettext_lazy("state"))
    def state(self, sheets: PaperSheets) -> str:
        return state(sheets)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        rows = PaperSheets.objects.all()
        sums = {"counted": rows.counted().total(), "waiting": rows.waiting().total()}
        return super().changelist_view(
            request, {"title": _("Signatures on paper"), "sums": sums, **(extra_context or {})}
        )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {"show_save_and_continue": False, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: PaperSheets, form: Any, change: bool) -> None:
        obj.entered_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: PaperSheets, post_url_continue: Any = None) -> HttpResponse:
        if "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return self.back(obj.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self.show(request, self.row_or_404(request, object_id))

    def show(self, request: HttpRequest, sheets: PaperSheets, form: ReasonForm | None = None) -> HttpResponse:
        return self.page(
            request,
            "paper_sheets",
            _("Sheets no. %(number)d") % {"number": sheets.pk},
            sheets=sheets,
            state=state(sheets),
            form=form or ReasonForm(),
            may_check=request.user.has_perm(MAY_CHECK),
            is_own=sheets.entered_by_id == request.user.pk,
        )

    def check_sheets(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let them count, after a second look by another account than the one that entered them."""
        sheets, rows = self.posted(request, pk)
        if rows is None:
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            if rows.check_by(request.user.pk or 0):  # type: ignore[attr-defined]
                audit.record(request.user, Action.PAPER_COUNTED, about=sheets, count=sheets.amount)
                messages.success(request, _("They count now, and stand in the public number."))
            else:
                messages.warning(request, _("Nothing has changed: they are your own, or somebody was faster."))
        return self.back(pk)

    def withdraw(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take them out of the count, with a reason. The row stays."""
        sheets, rows = self.posted(request, pk)
        if rows is None:
            return HttpResponseNotAllowed(["POST"])
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self.show(request, sheets, form)
        with transaction.atomic():
            if rows.withdraw():  # type: ignore[attr-defined]
                reason = form.cleaned_data["reason"]
                audit.record(request.user, Action.PAPER_WITHDRAWN, about=sheets, count=sheets.amount, reason=reason)
                messages.success(request, _("They are withdrawn, and count no more."))
            else:
                messages.warning(request, _("Nothing has changed: somebody was faster."))
        return self.back(pk)

    def posted(self, request: HttpRequest, pk: int) -> tuple[PaperSheets, QuerySet[PaperSheets] | None]:
        """The row, and the query that changes it; None for what is no POST. Raises PermissionDenied."""
        sheets = self.row_or_404(request, pk)
        if not request.user.has_perm(MAY_CHECK):
            raise PermissionDenied
        return sheets, PaperSheets.objects.filter(pk=pk) if request.method == "POST" else None

    def back(self, pk: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:petition_papersheets_change", args=[pk]))


def state(sheets: PaperSheets) -> str:
    if sheets.withdrawn_at:
        return pgettext("sheets", "withdrawn")
    return pgettext("sheets", "counted") if sheets.checked_at else _("waits for a second look")
