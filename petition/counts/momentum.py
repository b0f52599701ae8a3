"""Momentum: how much the published number moved in the last days, and from how many countries signatures came.

All of it is published already (`petition.counts.publication`), so it says nothing about anybody.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from petition.models import Measure, PaperSheets, Petition, PublishedCell, PublishedHour

DAYS = 14
WEEK_DAYS = 7
SMALLEST = 50  # of a week; fewer encourage nobody
FEWEST_COUNTRIES = 2


@dataclass(frozen=True)
class Momentum:
    """`days` are the last two weeks, the newest last; `countries` is 0 as long as too few are known."""

    days: tuple[int, ...]
    countries: int

    @property
    def week(self) -> int:
        return sum(self.days[-WEEK_DAYS:])

    @property
    def bars(self) -> list[tuple[int, int]]:
        """Place and height of a bar for each day, of 0 to 24."""
        highest = max(*self.days, 1)
        return [(number, max(round(24 * amount / highest), 1)) for number, amount in enumerate(self.days)]


def of(petition: Petition) -> Momentum | None:
    """None while there is too little to tell. Two statements."""
    today = timezone.now().astimezone(UTC).date()
    first = today - timedelta(days=DAYS - 1)
    moved: dict[date, int] = dict(
        PublishedHour.objects.filter(petition=petition, hour__gte=datetime(*first.timetuple()[:3], tzinfo=UTC))
        .annotate(day=TruncDate("hour", tzinfo=UTC))
        .values_list("day")
        .annotate(amount=Sum("counted"))
    )
    days = tuple(max(moved.get(first + timedelta(days=number), 0), 0) for number in range(DAYS))
    if sum(days[-WEEK_DAYS:]) < SMALLEST:
        return None
    cells = PublishedCell.objects.filter(petition=petition, measure=Measure.COUNTED).exclude(country="")
    shown = cells.values("country").annotate(amount=Sum("shown")).filter(amount__gt=0)
    countries = shown.count()
    return Momentum(days, countries if countries >= FEWEST_COUNTRIES else 0)


def at_midnight(petition: Petition) -> int:
    """The published number as the day began, UTC: one number for all of a day. Two statements."""
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = PublishedHour.objects.filter(petition=petition, hour__lt=midnight)
    was_there = Q(checked_at__lt=midnight) & (Q(withdrawn_at=None) | Q(withdrawn_at__gte=midnight))
    on_paper = PaperSheets.objects.filter(was_there, petition=petition).total()
    return petition.collected_before + on_paper + (before.aggregate(counted=Sum("counted"))["counted"] or 0)
