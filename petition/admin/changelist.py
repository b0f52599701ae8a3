"""Change lists that are as fast among a million rows as among a hundred: nothing counts all, or reads past a bound."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

# A page of a list by number looks through so many numbers at most, however few of them fit its filters.
STRETCH = 200_000
MAX_COUNT = 5_000
BEFORE = "before"


class CappedPaginator(Paginator):
    """A paginator that counts 5,000 rows at most: nobody turns pages further back. Filters find the rest."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:MAX_COUNT].count()


class ListByNumber(ChangeList):
    """A change list with the newest rows first, whose pages begin below a number (`?before=1234`)."""

    own_parameters: tuple[str, ...] = (BEFORE,)
    older: int | None = None

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in self.own_parameters}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.before = number(request.GET.get(BEFORE, ""))
        ends = self.model._default_manager.aggregate(oldest=Min("pk"), newest=Max("pk"))
        oldest, newest = ends["oldest"] or 0, ends["newest"] or 0
        start = min(self.before or newest + 1, newest + 1)
        self.floor = max(start - STRETCH, oldest)
        self.is_last = self.floor == oldest
        rows = super().get_queryset(request, exclude_parameters)
        return self.narrow(request, rows).filter(pk__lt=start, pk__gte=self.floor)

    def narrow(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that fit what else is in the URL, in `own_parameters`."""
        return rows

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        rows = list(self.queryset[: self.list_per_page + 1])
        self.result_list = rows[: self.list_per_page]
        if len(rows) > self.list_per_page:
            self.older = self.result_list[-1].pk
        else:
            self.older = None if self.is_last else self.floor
        self.looked_only_so_far = self.older == self.floor
        self.result_count = len(self.result_list)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = self.multi_page = False
        self.paginator = None

    def older_url(self) -> str:
        return self.get_query_string({BEFORE: self.older})

    def newest_url(self) -> str:
        return self.get_query_string(remove=[BEFORE])


class ByNumber(admin.ModelAdmin):
    """A mixin for a ModelAdmin whose table grows with the signatures."""

    change_list_template = "admin/list_by_number.html"
    sortable_by = ()
    list_per_page = 50
    search_fields = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ListByNumber


def number(text: str) -> int:
    """The number in a text from a request; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
