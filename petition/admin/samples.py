"""How the site is doing: charts of the last day and month from the workers' samples, for who has no Prometheus."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from petition.counts import charts
from petition.counts.charts import Columns, Point
from petition.models import Heartbeat, Sample

from .base import ReadOnlyAdmin

# A worker takes one each minute, and may be busy with one that hangs.
SILENT = timedelta(minutes=3)
MEGABYTE = 1_000_000

PARTS = {
    "web": gettext_lazy("Storing what is signed"),
    "mail": gettext_lazy("Sending mail"),
    "fold": gettext_lazy("Counting"),
    "backup": gettext_lazy("Backup"),
    "no backup": gettext_lazy("A backup that failed"),
    "drill": gettext_lazy("Trying a restore"),
    "no drill": gettext_lazy("A try of a restore that failed"),
}


@dataclass(frozen=True)
class Range:
    """A time that is drawn, and how long a column of it is."""

    name: str
    title: Promise | str
    column: timedelta
    columns: int
    format: str


RANGES = [
    Range("day", gettext_lazy("The last day"), timedelta(minutes=10), 144, "H:i"),
    Range("month", gettext_lazy("The last month"), timedelta(hours=6), 124, "j M"),
]

# The minutes of a column that had a sample, of those in which one was due: from the first sample of all until now.
COLUMNS = """
    WITH slots AS (
        SELECT date_bin(%(column)s, now(), 'epoch') - (number - 1) * %(column)s::interval AS at
        FROM generate_series(1, %(columns)s + 1) AS number
    ), first AS (
        SELECT min(taken_at) AS at FROM petition_sample
    )
    SELECT slots.at, coalesce(max(waiting), 0), coalesce(max(late_minutes), 0), max(sent), coalesce(max(unfolded), 0),
        max(published), coalesce(max(database_bytes), 0),
        greatest(0, coalesce(floor(extract(epoch FROM least(slots.at + %(column)s, date_trunc('minute', now()))
            - greatest(slots.at, (SELECT at FROM first))) / 60), 0) - count(taken_at))::int
    FROM slots LEFT JOIN petition_sample s ON s.taken_at >= slots.at AND s.taken_at < slots.at + %(column)s
    GROUP BY slots.at ORDER BY slots.at
"""


@dataclass(frozen=True)
class Slot:
    """What was stored of the minutes of one column. `sent` and `published` are None where nothing was stored."""

    at: datetime
    waiting: int
    late_minutes: int
    sent: int | None
    unfolded: int
    published: int | None
    database_bytes: int
    missing: int


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    chart: Columns
    most: str
    last: str


@admin.register(Sample)
class SampleAdmin(ReadOnlyAdmin):
    """One page. Whatever a single signer could move is in tens (`petition.samples`)."""

    permission = "petition.view_sample"

    def get_urls(self) -> list[URLPattern]:
        return [self.url("", self.changelist_view, "changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        chosen = next((each for each in RANGES if each.name == request.GET.get("range")), RANGES[0])
        newest = Sample.objects.order_by("-taken_at").first()
        return self.page(
            request,
            "samples",
            _("How the site is doing"),
            ranges=RANGES,
            chosen=chosen,
            sections=sections(chosen) if newest else [],
            newest=newest,
            is_silent=newest is not None and newest.taken_at < timezone.now() - SILENT,
            parts=[
                {"name": PARTS.get(each.part, each.part), "beat_at": each.beat_at}
                for each in Heartbeat.objects.exclude(part__in=Heartbeat.UNTOLD).order_by("part")
            ],
        )


def sections(chosen: Range) -> list[Section]:
    slots = read(chosen)
    before, slots = slots[0], slots[1:]
    return [
        _section(chosen, slots, "missing", _("Minutes in which no worker said anything"), lambda slot: slot.missing),
        _section(chosen, slots, "waiting", _("Mails that waited, at most"), lambda slot: slot.waiting),
        _section(chosen, slots, "late", _("Minutes that a mail was late, at most"), lambda slot: slot.late_minutes),
        _section(chosen, slots, "sent", _("Mails sent"), _moved(before, slots, lambda slot: slot.sent)),
        _section(
            chosen,
            slots,
            "published",
            _("By how much the public number rose"),
            _moved(before, slots, lambda slot: slot.published),
        ),
        _section(
            chosen, slots, "unfolded", _("Changes that were not counted yet, at most"), lambda slot: slot.unfolded
        ),
        _section(
            chosen,
            slots,
            "database",
            _("Size of the database, in megabytes"),
            lambda slot: slot.database_bytes // MEGABYTE,
        ),
    ]


def read(chosen: Range) -> list[Slot]:
    """What was stored for each column, the oldest first, with one more before them."""
    values: dict[str, Any] = {"column": chosen.column, "columns": chosen.columns}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS, values)
        return [Slot(*row) for row in cursor.fetchall()]


def _moved(before: Slot, slots: list[Slot], value: Callable[[Slot], int | None]) -> Callable[[Slot], int]:
    """By how much a running total rose in each column; what rose while nothing was stored falls into the next one."""
    last, rose = value(before), {}
    for slot in slots:
        now = value(slot)
        rose[slot.at] = max(now - last, 0) if now is not None and last is not None else 0
        last = last if now is None else now
    return lambda slot: rose[slot.at]


def _section(chosen: Range, slots: list[Slot], name: str, title: str, amount: Callable[[Slot], int]) -> Section:
    points = [Point(f"{slot.at:%Y-%m-%d %H:%M}", date_format(slot.at, chosen.format), amount(slot)) for slot in slots]
    most, last = charts.grouped(max(point.amount for point in points)), charts.grouped(points[-1].amount)
    description = _("The most: %(most)s. The last: %(last)s.") % {"most": most, "last": last}
    return Section(name, title, charts.columns(title, description, points), most, last)
