"""Anomalies: groups of signatures that stand out, as more than is ordinary, or as more alike than people are.

The rule, as a moderator is told it:

1. A group stands here if its share of the signatures is at least three times what it was at the same hours of the days
   before; a network, which has no days before, if at least three quarters of its signatures have in common what others
   from the same countries have not.
2. First comes what has the most signatures beyond the ordinary.

Shares, because in an hour when everybody signs every group grows, and none of them more than the others. That a growth
is no chance is the log-likelihood ratio of two proportions (T. Dunning, Accurate methods for the statistics of surprise
and coincidence, Computational Linguistics 19, 1993), which holds for rare events, as chi squared does not; that it is
large is the lift, with a minimum support. That people behind one address have a mix of mailboxes and hours, and fakes
are alike, is how large networks tell them apart (A. Beutel and others, CopyCatch, WWW 2013; Q. Cao and others,
Uncovering large groups of active malicious accounts, CCS 2014). Being alike is measured as total variation distance.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy, ngettext

from petition.models.signature import this_hour
from petition.moderation import anomaly_groups
from petition.moderation.anomaly_groups import FEATURES, SUPPORT, Cell, Group, Observed, together
from petition.postgres.timeouts import read_within

# How many times its ordinary share a group must have.
LIFT = 3
# The least log-likelihood ratio. Chance alone would exceed it once in a billion.
SURPRISE = 40
# With fewer signatures than this, the same hours of the days before are no time to compare with, and all others are.
ORDINARY = 1_000
# The share of a network that must be alike.
ALIKE = 0.75
# So many signatures of a country weigh as much as those of all the world, when its mix is estimated.
WORLD_WEIGHT = 100
LIMIT_SECONDS = 30
SECONDS_PER_HOUR, SECONDS_PER_DAY = 3_600, 86_400
HOURS_PER_DAY = 24

# The share of a value among signatures.
Share = Callable[[Any], float]

FEATURE_NAMES: dict[str, Any] = {
    "hour": gettext_lazy("the hour"),
    "domain": gettext_lazy("the mail domain"),
    "name": gettext_lazy("the name"),
    "shape": gettext_lazy("how the name is written"),
    "words": gettext_lazy("the words"),
}


@dataclass(frozen=True)
class Span:
    """A time to look at, and the time before that it is compared with; if there is none, its days with each other."""

    name: str
    lasts: timedelta
    before: timedelta

    @property
    def slice_seconds(self) -> int:
        return SECONDS_PER_HOUR if self.before else SECONDS_PER_DAY

    def since(self) -> datetime:
        """From here on, to the hour: that is all that a signature remembers."""
        start = this_hour() - self.lasts
        return start if self.before else start.replace(hour=0)

    def horizon(self) -> datetime:
        return max(self.since() - self.before, this_hour() - timedelta(days=settings.ABUSE_SIGNAL_DAYS))


SPANS = {
    span.name: span
    for span in (
        Span("hour", timedelta(hours=1), timedelta(days=7)),
        Span("day", timedelta(days=1), timedelta(days=29)),
        Span("month", timedelta(days=29), timedelta(0)),
    )
}


@dataclass(frozen=True)
class Anomaly:
    """A group that stands out: `expected` of it would be ordinary. Of a network, `share` is alike, in `alike`.

    Of any other, its signatures were made in `hours` hours between `since` and `until`.
    """

    kind: str
    value: str
    cell: Cell
    expected: float
    since: datetime
    until: datetime
    hours: int = 0
    share: float = 0
    alike: tuple[str, ...] = ()

    @property
    def surplus(self) -> float:
        return self.cell.count - self.expected


@dataclass
class Found:
    signatures: int
    anomalies: list[Anomaly]
    # Whether there was anything to compare with: a site of an hour has no ordinary yet.
    compares: bool = True


def find(span: Span) -> Found:
    """The anomalies of this time, first what has most beyond the ordinary.

    Reads every signature of the time and of that before it, once. Raises TimeLimitError after 30 seconds.
    """
    with read_within(LIMIT_SECONDS):
        observed = anomaly_groups.read(span.since(), span.horizon(), span.slice_seconds)
    everybody = observed.everybody
    found = [*grown_groups(observed, span), *uniform_networks(observed)]
    found.sort(key=lambda anomaly: (-anomaly.surplus, anomaly.kind, anomaly.value))
    compares = not span.before or bool(everybody.before.count) or len(everybody.slices) > 1
    return Found(everybody.new.count, found, compares)


def reason(anomaly: Anomaly) -> str:
    """The sentence that tells a moderator why this stands in the list."""
    count = anomaly.cell.count
    if anomaly.kind == "network":
        text = ngettext(
            "%(percent)d%% of %(count)d signature share what others from the same countries do not: %(features)s.",
            "%(percent)d%% of %(count)d signatures share what others from the same countries do not: %(features)s.",
            count,
        )
        features = ", ".join(str(FEATURE_NAMES[feature]) for feature in anomaly.alike)
        return text % {"percent": int(100 * anomaly.share), "count": count, "features": features}
    expected = round(anomaly.expected)
    if expected:
        text = ngettext(
            "%(count)d signature in %(time)s; going by this group’s share at other times,"
            " about %(expected)d would be expected.",
            "%(count)d signatures in %(time)s; going by this group’s share at other times,"
            " about %(expected)d would be expected.",
            count,
        )
    else:
        text = ngettext(
            "%(count)d signature in %(time)s; going by this group’s share at other times, none would be expected.",
            "%(count)d signatures in %(time)s; going by this group’s share at other times, none would be expected.",
            count,
        )
    return text % {"count": count, "time": duration(anomaly.hours), "expected": expected}


def duration(hours: int) -> str:
    days, rest = divmod(hours, HOURS_PER_DAY)
    if days and not rest:
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}


def grown_groups(observed: Observed, span: Span) -> Iterator[Anomaly]:
    """Groups with a larger share than before: in some slices, or over the whole time."""
    everybody = observed.everybody
    for kind, groups in observed.groups.items():
        for value, group in groups.items():
            if group.new.count < SUPPORT:
                continue
            cell, expected, slices = growth(group, everybody)
            if cell.count:
                start, end = moment(slices[0] * span.slice_seconds), moment((slices[-1] + 1) * span.slice_seconds)
                hours = len(slices) * span.slice_seconds // SECONDS_PER_HOUR
                yield Anomaly(kind, value, cell, expected, start, end, hours)


def growth(group: Group, everybody: Group) -> tuple[Cell, float, Sequence[int]]:
    """The signatures of this group by which it has grown, how many of them would be ordinary, and their slices."""
    grown: dict[int, float] = {}
    for at, cell in sorted(group.slices.items()):
        if cell.count >= SUPPORT:
            expected = expected_of(cell.count, everybody.slices[at].count, *compared_with(group, everybody, at))
            if expected is not None:
                grown[at] = expected
    found, usual = together(group.slices[at] for at in grown), sum(grown.values())
    if everybody.before.count >= ORDINARY:
        whole = expected_of(group.new.count, everybody.new.count, group.before.count, everybody.before.count)
        if whole is not None and group.new.count - whole > found.count - usual:
            return group.new, whole, range(min(group.slices), max(group.slices) + 1)
    return found, usual, list(grown)


def compared_with(group: Group, everybody: Group, at: int) -> tuple[int, int]:
    """How many of a group, and of all, signed at the same hours of the days before; if few did, at any other time."""
    hour = at % HOURS_PER_DAY
    all_then = everybody.slices_before.get(hour, Cell()).count
    if all_then >= ORDINARY:
        return group.slices_before.get(hour, Cell()).count, all_then
    return group.count - group.slices[at].count, everybody.count - everybody.slices[at].count


def expected_of(count: int, of: int, ordinary_count: int, ordinary_of: int) -> float | None:
    """How many of these would be ordinary; None if it is not many more that there are, or nothing to compare with."""
    if not ordinary_of:
        return None
    expected = of * ordinary_count / ordinary_of
    if count < LIFT * expected or surprise(count, of, ordinary_count, ordinary_of) < SURPRISE:
        return None
    return expected


def surprise(count: int, of: int, ordinary_count: int, ordinary_of: int) -> float:
    """Dunning's log-likelihood ratio of two proportions: how far chance is from explaining that they differ."""

    def likelihood(hits: int, trials: int, p: float) -> float:
        misses = trials - hits
        return (hits * log(p) if hits else 0) + (misses * log(1 - p) if misses else 0)

    both = (count + ordinary_count) / (of + ordinary_of)
    return 2 * (
        likelihood(count, of, count / of)
        + likelihood(ordinary_count, ordinary_of, ordinary_count / ordinary_of)
        - likelihood(count, of, both)
        - likelihood(ordinary_count, ordinary_of, both)
    )


def uniform_networks(observed: Observed) -> Iterator[Anomaly]:
    """Networks whose signatures are more alike than those of other networks of the same countries."""
    everybody = observed.everybody.new.count
    for value, network in observed.networks.items():
        count, mixes = network.cell.count, network.mixes
        countries = {country: number / count for country, number in mixes["country"].items()}
        shares = {
            "hour": beyond(mixes["hour"], count, hours_elsewhere(observed, mixes["hour"], countries)),
            "domain": most_beyond(mixes["domain"], count, domains_elsewhere(observed, mixes, countries)),
        }
        for kind in ("name", "shape", "words"):
            others = elsewhere(observed.groups[kind], mixes[kind], everybody, count)
            shares[kind] = most_beyond(mixes[kind], count, others)
        alike = tuple(feature for feature in FEATURES if shares[feature] >= ALIKE)
        if alike:
            share, hours = max(shares.values()), mixes["hour"]
            # None, if it is spread so thinly over many days that no two signatures are of one hour.
            first, last = min(hours, default=0), max(hours, default=0)
            start, end = moment(first * SECONDS_PER_HOUR), moment((last + 1) * SECONDS_PER_HOUR)
            yield Anomaly("network", value, network.cell, count * (1 - share), start, end, share=share, alike=alike)


def elsewhere(groups: dict[str, Group], own: Counter[str], everybody: int, owned: int) -> Share:
    """The share of a name, a shape or words among all other signatures."""
    return lambda value: rest(groups[value].new.count if value in groups else 0, own[value], everybody, owned)


def rest(all_with: int, own_with: int, everybody: int, own: int) -> float:
    """The share among all others."""
    others = everybody - own
    return max(all_with - own_with, 0) / others if others > 0 else 1.0


def beyond(mix: Counter, count: int, elsewhere: Share) -> float:
    """How much of a mix is not explained by how it is elsewhere: 0 is the same, 1 is nothing in common."""
    return sum(max(number / count - elsewhere(key), 0) for key, number in mix.items())


def most_beyond(mix: Counter, count: int, elsewhere: Share) -> float:
    """The same for the one value that is furthest from explained: of many it would be chance."""
    return max((number / count - elsewhere(key) for key, number in mix.items()), default=0)


def hours_elsewhere(observed: Observed, own: Counter[int], countries: dict[str, float]) -> Share:
    """The share of an hour among the other signatures of its day: a network has a name for one day."""
    days = {hour // HOURS_PER_DAY for hour in own}
    hours = [day * HOURS_PER_DAY + hour for day in days for hour in range(HOURS_PER_DAY)]
    owned = sum(own.values())
    others = sum(observed.hours[None][hour] for hour in hours) - owned
    of_country = {
        country: sum(observed.hours[country][hour] for hour in hours) - owned * part
        for country, part in countries.items()
    }

    def of_hour(hour: int) -> float:
        if others <= 0:
            return 1.0
        world = max(observed.hours[None][hour] - own[hour], 0) / others
        return sum(
            part * estimated(observed.hours[country][hour] - own[hour] * part, of_country[country], world)
            for country, part in countries.items()
        )

    return of_hour


def domains_elsewhere(observed: Observed, mixes: dict[str, Counter], countries: dict[str, float]) -> Share:
    """The share of a mail domain among the other signatures of the countries of a network."""
    own, owned = mixes["domain"], sum(mixes["country"].values())
    everybody = observed.everybody.new.count

    def of_domain(domain: str) -> float:
        world = rest(observed.domains[None][domain], own[domain], everybody, owned)
        return sum(
            part
            * estimated(
                observed.domains[country][domain] - own[domain] * part,
                observed.countries[country] - owned * part,
                world,
            )
            for country, part in countries.items()
        )

    return of_domain


def estimated(number: float, of: float, world: float) -> float:
    """The share of a country; where it has few signatures, nearer to that of all the world."""
    return (max(number, 0) + WORLD_WEIGHT * world) / (max(of, 0) + WORLD_WEIGHT)


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
