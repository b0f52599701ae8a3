"""Change lists that are as fast among a million rows as among a hundred: nothing counts all, or reads past a bound."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

# A page of such a list looks through so many rows at most, however few of them fit its filters.
STRETCH = 200_000
MAX_COUNT = 5_000
BEFORE = "before"
ID_DIGITS = 20  # more than any number of a row has
TIME_DIGITS = 18


class CappedPaginator(Paginator):
    """A paginator that counts 5,000 rows at most: nobody turns pages further back. Filters find the rest."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:MAX_COUNT].count()

    @property
    def is_capped(self) -> bool:
        return self.count >= MAX_COUNT


class Place(NamedTuple):
    """A row's place in a list that is ordered by a time, if by any, and then by the random numbers of its rows."""

    number: int
    time: datetime | None = None

    def __str__(self) -> str:
        return f"{self.number}-{round(self.time.timestamp() * 1_000_000)}" if self.time else str(self.number)


def place_in(text: str) -> Place:
    """The place that a text from a request names. What cannot be read is 0, or None."""
    row, _dash, time = text.partition("-")
    is_time = time.isascii() and time.isdecimal() and len(time) < TIME_DIGITS
    return Place(number(row), datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(time)) if is_time else None)


class ListByTime(ChangeList):
    """A change list with the newest rows first, whose pages begin behind a place (`?before=…`)."""

    own_parameters: tuple[str, ...] = (BEFORE,)
    older: Place | None = None

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in self.own_parameters}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        self.before: Place | None = place_in(request.GET.get(BEFORE, ""))
        if self.before == Place(0) or (self.time and not self.before.time):
            self.before = None
        everything = self.behind(self.model._default_manager.order_by(*self.newest_first))
        ends = everything.values_list("pk", *filter(None, [self.time]))[STRETCH - 1 : STRETCH]
        self.floor = next((Place(*end) for end in ends), None)
        rows = self.behind(self.narrow(request, super().get_queryset(request, exclude_parameters)))
        return rows.filter(self.next_to("gt", self.floor) | Q(pk=self.floor.number)) if self.floor else rows

    def behind(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows behind the place where the page begins."""
        return rows.filter(self.next_to("lt", self.before)) if self.before else rows

    def next_to(self, side: str, place: Place) -> Q:
        """The rows on one side of a place: gt for newer ones, lt for older ones."""
        in_order = Q(**{f"pk__{side}": place.number})
        if not self.time:
            return in_order
        # The last part says nothing new; it alone leads to the place in the index.
        return (Q(**{f"{self.time}__{side}": place.time}) | in_order) & Q(**{f"{self.time}__{side}e": place.time})

    def narrow(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that fit what else is in the URL, in `own_parameters`."""
        return rows

    @property
    def time(self) -> str:
        return str(self.model_admin.time)  # type: ignore[attr-defined]  # ByTime has it

    @property
    def newest_first(self) -> list[str]:
        return [*([f"-{self.time}"] if self.time else []), "-pk"]

    @property
    def stretch(self) -> int:
        return STRETCH

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return self.newest_first

    def get_results(self, request: HttpRequest) -> None:
        rows = list(self.queryset[: self.list_per_page + 1])
        self.result_list = rows[: self.list_per_page]
        if len(rows) > self.list_per_page:
            last = self.result_list[-1]
            self.older = Place(last.pk, getattr(last, self.time) if self.time else None)
            self.looked_only_so_far = False
        else:
            self.older, self.looked_only_so_far = self.floor, self.floor is not None
        self.result_count = len(self.result_list)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.result_list)
        self.can_show_all = self.multi_page = False
        self.paginator = None

    def older_url(self) -> str:
        return self.get_query_string({BEFORE: str(self.older)})

    def newest_url(self) -> str:
        return self.get_query_string(remove=[BEFORE])


class ByTime(admin.ModelAdmin):
    """A mixin for a ModelAdmin whose table grows with the signatures. `time` is the field that orders it, if any."""

    time = "created_at"
    change_list_template = "admin/list_by_time.html"
    sortable_by = ()
    list_per_page = 50
    search_fields = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ListByTime


def number(text: str) -> int:
    """The number of a row in a text from a request; 0, which no row has, for anything else."""
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < ID_DIGITS else 0
    return found if found < 2**63 else 0
