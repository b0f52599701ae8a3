"""Texts in every language: which are missing, and a preview before they are saved."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from parler.admin import TranslatableAdmin
from parler.models import TranslatableModel

from . import languages
from .base import Audited


class Missing(admin.SimpleListFilter):
    """Filter by a language that a row has no text in."""

    title = _("missing language")
    parameter_name = "missing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return languages.choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        written = queryset.model.objects.filter(translations__language_code=self.value())
        return queryset.exclude(pk__in=written.values("pk"))


class TextsAdmin(Audited, TranslatableAdmin):
    """Texts that editors write in every language, and preview as readers will see them.

    A preview is made of what stands in the form at that moment, saved or not, and saves nothing.
    """

    # django-parler puts its tabs of languages around it.
    default_change_form_template = "admin/translations_form.html"

    @admin.display(description=_("missing language"))
    def missing(self, row: TranslatableModel) -> str:
        there = set(row.get_available_languages())
        needed = set(settings.COMPLETE_LANGUAGES) - there
        return ", ".join(name for code, name in languages.choices() if code in needed) or "–"

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST" and "_preview" in request.POST:
            row = self.get_object(request, object_id) if object_id else None
            allowed = self.has_change_permission(request, row) if row else self.has_add_permission(request)
            if not allowed:
                raise PermissionDenied
            form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
            if form.is_valid():
                # Validation has put what was typed into the row, which is then forgotten.
                with override(self.get_form_language(request, row)):
                    return self.preview(request, form.instance)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def preview(self, request: HttpRequest, row: Any) -> HttpResponse:
        raise NotImplementedError
