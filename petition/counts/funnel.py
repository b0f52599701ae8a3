"""The funnel: of those who signed, to how many a mail went out, and how many confirmed. Nobody is tracked for it.

By link and by language it is a sum of the cells that are published anyway (`petition.counts.breakdown`). By hour and by
mail provider it is released here, once for each ended week: each cell is rounded to tens at random, its numbers by one
draw, and never revised. How many confirmed in an hour is not rounded anew: it is how the public number moved, since the
two together would tell an hour more closely than either. Which provider a signature belongs to is not stored: the
worker, which has the key of digests, knows the digests of the large ones. All other domains are one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from petition import identity
from petition.counts import breakdown
from petition.counts.breakdown import Question
from petition.counts.publication import MOST_OFF, PUBLISHER_LOCK, WEEK, rounded
from petition.mail_providers import OTHER, PROVIDERS
from petition.models import PublishedCount, PublishedFunnel, PublishedHour

STAGES = ("signed", "mailed", "confirmed")
WEEKS_BACK = 4  # of a petition that is looked at for the first time
# Of fewer, what rounding does says more than what people did.
FEWEST_FOR_A_RATE = 50

HOURS = """
    SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), measure, sum(amount)::bigint FROM (
        SELECT hour, measure, amount FROM petition_hourtally WHERE petition_id = %(petition)s
        UNION ALL SELECT hour, measure, amount FROM petition_tallychange WHERE petition_id = %(petition)s
    ) AS events
    WHERE measure IN ('signed', 'mailed') AND hour >= %(since)s AND hour < %(before)s
    GROUP BY 1, 2
"""
# A mail that still waits, or was refused for good, was not accepted. Who has withdrawn since is not there any more.
BY_PROVIDER = """
    SELECT coalesce(known.provider, %(other)s), count(*), count(*) FILTER (WHERE mail.signature_id IS NULL),
        count(*) FILTER (WHERE confirmed_at < %(before)s)
    FROM petition_signature AS signature
    LEFT JOIN unnest(%(digests)s::bytea[], %(names)s::text[]) AS known (digest, provider)
        ON known.digest = signature.domain_digest
    LEFT JOIN (SELECT DISTINCT signature_id FROM petition_outgoingmail WHERE kind = 'sign') AS mail
        ON mail.signature_id = signature.id
    WHERE signature.petition_id = %(petition)s AND created_at >= %(since)s AND created_at < %(before)s
    GROUP BY 1
"""

Numbers = tuple[int, int, int]
Values = dict[str, int | datetime]


@dataclass(frozen=True)
class Step:
    """A line of the funnel. `name` is the tag, language, provider, week, day or hour that it is about."""

    name: str
    signed: int
    mailed: int
    confirmed: int

    @property
    def rate(self) -> float | None:
        """The part that confirmed, of those who signed; None where that would say nothing."""
        return min(self.confirmed / self.signed, 1.0) if self.signed >= FEWEST_FOR_A_RATE else None

    def __add__(self, other: Self) -> "Step":
        return Step(self.name, self.signed + other.signed, self.mailed + other.mailed, self.confirmed + other.confirmed)


def by(name: str, petition: int, since: datetime | None = None) -> list[Step]:
    """By "source", "language" or "week", of ended weeks: sums of published cells."""
    found: dict[str, Counter[str]] = {}
    for (cell, measure), amount in breakdown.rows(Question(petition, (name, "measure"), since)):
        found.setdefault(str(cell), Counter())[str(measure)] += amount
    return [Step(cell, *(max(amounts[stage], 0) for stage in STAGES)) for cell, amounts in found.items()]


def by_provider(petition: int, since: datetime | None = None) -> list[Step]:
    return _added(steps for funnel in _weeks(petition, since) for steps in (funnel.providers or {}).items())


def by_day(petition: int, since: datetime | None = None) -> list[Step]:
    """Days (UTC) as sums of their published hours, the latest first."""
    hours = (
        (hour[:10], numbers) for funnel in _weeks(petition, since) for hour, numbers in (funnel.hours or {}).items()
    )
    return sorted(_added(hours), key=lambda step: step.name, reverse=True)


def by_hour(petition: int, day: date) -> list[Step]:
    """The published hours (UTC) of a day."""
    monday = day - timedelta(days=day.weekday())
    funnel = PublishedFunnel.objects.filter(petition=petition, week=monday).first()
    hours = (funnel.hours if funnel else None) or {}
    return [Step(hour, *numbers) for hour, numbers in sorted(hours.items()) if hour.startswith(f"{day}")]


def _weeks(petition: int, since: datetime | None) -> Iterable[PublishedFunnel]:
    found = PublishedFunnel.objects.filter(petition=petition)
    return found.filter(week__gte=since.date()) if since else found


def _added(cells: Iterable[tuple[str, Numbers]]) -> list[Step]:
    found: dict[str, Step] = {}
    for name, numbers in cells:
        step = Step(name, *numbers)
        found[name] = found[name] + step if name in found else step
    return list(found.values())


def release() -> int:
    """Publish the weeks whose cells are out since the last time; return how many. 0 too while another process does it.

    Reads the signatures of these weeks by their hour, once a week. Only a worker can: it has the key of digests.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [PUBLISHER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        made = [funnel for row in PublishedCount.objects.all() for funnel in _due(row)]
        PublishedFunnel.objects.bulk_create(made)
        return len(made)


def _due(row: PublishedCount) -> Iterator[PublishedFunnel]:
    last = PublishedFunnel.objects.filter(petition=row.petition_id).aggregate(last=Max("week"))["last"]
    week = max(last + WEEK if last else date.min, row.week - WEEKS_BACK * WEEK)
    while week < row.week:
        values: Values = {
            "petition": row.petition_id,
            "since": _begin(week),
            "before": _begin(week + WEEK),
        }
        secret = bytes(row.secret)
        yield PublishedFunnel(
            petition_id=row.petition_id,
            week=week,
            hours=_with_moves(_shown(_hours(values), secret, f"{week}|hour"), row, week),
            # Of an earlier week those who never confirmed have lapsed, and everybody would seem to have confirmed.
            providers=_shown(_providers(values), secret, f"{week}|provider") if week + WEEK == row.week else None,
        )
        week += WEEK


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _hours(values: Values) -> dict[str, Numbers]:
    found: dict[str, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(HOURS, values)
        for hour, measure, amount in cursor.fetchall():
            found.setdefault(hour, Counter())[measure] += amount
    return {hour: (amounts["signed"], amounts["mailed"], 0) for hour, amounts in found.items()}


def _with_moves(shown: dict[str, list[int]] | None, row: PublishedCount, week: date) -> dict[str, list[int]] | None:
    """These hours, with how the public number moved in each as the last of their numbers."""
    if shown is None:
        return None
    moves = PublishedHour.objects.filter(petition=row.petition_id, hour__gte=_begin(week), hour__lt=_begin(week + WEEK))
    for hour, moved in moves.values_list("hour", "counted"):
        shown.setdefault(f"{hour.astimezone(UTC):%Y-%m-%dT%H}", [0, 0, 0])[2] = max(moved, 0)
    return shown


def _providers(values: Values) -> dict[str, Numbers]:
    named = [
        (identity.domain_digest(f"x@{domain}"), name) for name, all_ in PROVIDERS.items() for domain in all_.split()
    ]
    digests, names = zip(*dict(named).items(), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(BY_PROVIDER, {**values, "digests": list(digests), "names": list(names), "other": OTHER})
        return {name: (signed, mailed, confirmed) for name, signed, mailed, confirmed in cursor.fetchall()}


def _shown(cells: dict[str, Numbers], secret: bytes, key: str) -> dict[str, list[int]] | None:
    """The cells as they are published; None where the total of their week, which is public, would give one away."""
    # One draw for all: what one person adds to each is rounded alike, and seen once.
    shown = {name: [rounded(amount, secret, f"{key}|{name}") for amount in amounts] for name, amounts in cells.items()}
    if settings.COUNT_STEP != "1":
        for stage in range(len(STAGES)):
            told = [amounts[stage] for amounts in shown.values() if amounts[stage]]
            total = sum(amounts[stage] for amounts in cells.values())
            # One alone is the total, even where rounding has not changed it.
            if total and abs(total - sum(told)) > MOST_OFF * (len(told) - 2):
                return None
    return {name: amounts for name, amounts in shown.items() if any(amounts)}
