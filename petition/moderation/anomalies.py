"""Anomalies: groups of signatures that stand out, as more than is ordinary, or as more alike than people are.

The rule, as a moderator is told it:

1. A group stands here if its share of the signatures is at least three times what it was at the same hours of the days
   before.
2. A network, which has no days before, if it has many more confirmed signatures in an hour than the large ones usually
   have, in number and in share; or if at least three quarters of its signatures have in common what others from the
   same countries have not.
3. Networks, mail domains, names and words come first, then what news can fill: countries, languages and links. Of each,
   first what has the most signatures beyond the ordinary. What no longer counts comes last.

Shares, because in an hour when everybody signs every group grows, and none of them more than the others. That a growth
is no chance is the log-likelihood ratio of two proportions (T. Dunning, Accurate methods for the statistics of surprise
and coincidence, Computational Linguistics 19, 1993), which holds for rare events, as chi squared does not; that it is
large is the lift, with a minimum support. That people behind one address have a mix of mailboxes and hours, and fakes
are alike, is how large networks tell them apart (A. Beutel and others, CopyCatch, WWW 2013; Q. Cao and others,
Uncovering large groups of active malicious accounts, CCS 2014). Being alike is measured as total variation distance.

How large a network may be in an hour, the others tell: a digest stands for a network on one day alone, so it has no
past of its own. In number it is compared with all networks and hours of the 30 days, so that a campus or a telephone
company is as large as ever; in share with the largest network of its countries on other days, so that an hour in which
everybody of a country signs is none in which its telephone company stands out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import log
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext_lazy, ngettext

from petition.models.signature import this_hour
from petition.moderation import anomaly_groups
from petition.moderation.anomaly_groups import (
    FEATURES,
    NARROW,
    SUPPORT,
    WIDE,
    Cell,
    FullHour,
    Group,
    Largest,
    Network,
    Observed,
    together,
)
from petition.postgres.timeouts import read_within

# How many times its ordinary share a group must have.
LIFT = 3
# The least log-likelihood ratio. Chance alone would exceed it once in a billion.
SURPRISE = 40
# With fewer signatures than this, the same hours of the days before are no time to compare with, and all others are.
ORDINARY = 1_000
# The share of a network that must be alike.
ALIKE = 0.75
# In how many signatures one network may be larger in an hour than is usual; and how many times larger, in number and in
# share, one has to be to stand out. The share is that of the largest network of a country, so it need not be far above.
RARE = 1_000
NUMBER_LIFT = 2
SHARE_LIFT = 1.5
# The same in number, for one that has nothing but its hour in common.
HOUR_LIFT = 1.5
# Which part of a wide group a narrow one has to make up to explain it, and of how much all of them together do.
EXPLAINS = 0.1
EXPLAINED = 0.7
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
    """A group that stands out: `expected` of it would be ordinary. Of a network, `share` is alike, in `alike`; or it
    has `peak` in an hour, in which all together have `everybody`, and the large ones usually `usual`.

    Of any other, its signatures were made in `hours` hours between `since` and `until`. `explained` says which narrow
    groups a wide one consists of, and how many of each.
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
    peak: int = 0
    usual: int = 0
    everybody: int = 0
    explained: tuple[tuple["Anomaly", int], ...] = ()

    @property
    def surplus(self) -> float:
        return self.cell.count - self.expected

    @property
    def is_wide(self) -> bool:
        return self.kind in WIDE

    @property
    def is_over(self) -> bool:
        """Whether fewer than a group of it count or are held any more, so that nothing is left to decide."""
        if self.cell.confirmed >= SUPPORT and self.cell.counted + self.cell.held < SUPPORT:
            return True
        settled = sum(count for narrow, count in self.explained if narrow.is_over)
        return settled >= EXPLAINED * self.surplus


@dataclass
class Found:
    signatures: int
    anomalies: list[Anomaly]
    # Whether there was anything to compare with: a site of an hour has no ordinary yet.
    compares: bool = True


def find(span: Span) -> Found:
    """The anomalies of this time: first what is not over, narrow groups before wide ones, and of these what has most
    beyond the ordinary.

    Reads every signature of the time and of that before it, once. Raises TimeLimitError after 30 seconds.
    """
    with read_within(LIMIT_SECONDS):
        observed = anomaly_groups.read(span.since(), span.horizon(), span.slice_seconds)
        found = explain([*grown_groups(observed, span), *networks(observed)])
    everybody = observed.everybody
    found.sort(key=lambda anomaly: (anomaly.is_over, anomaly.is_wide, -anomaly.surplus, anomaly.kind, anomaly.value))
    compares = not span.before or bool(everybody.before.count) or len(everybody.slices) > 1
    return Found(everybody.new.count, found, compares)


def reason(anomaly: Anomaly) -> str:
    """The sentence that tells a moderator why this stands in the list."""
    count = anomaly.cell.count
    if anomaly.peak:
        text = ngettext(
            "One network: %(count)s confirmed in an hour, of %(everybody)s; the largest usually have %(usual)s.",
            "One network: %(count)s confirmed in an hour, of %(everybody)s; the largest usually have %(usual)s.",
            anomaly.peak,
        )
        numbers = {"count": anomaly.peak, "everybody": anomaly.everybody, "usual": anomaly.usual}
        return text % {name: intcomma(number) for name, number in numbers.items()}
    if anomaly.kind == "network":
        text = ngettext(
            "%(percent)d%% of %(count)s signature share what others from the same countries do not: %(features)s.",
            "%(percent)d%% of %(count)s signatures share what others from the same countries do not: %(features)s.",
            count,
        )
        features = ", ".join(str(FEATURE_NAMES[feature]) for feature in anomaly.alike)
        return text % {"percent": int(100 * anomaly.share), "count": intcomma(count), "features": features}
    expected = round(anomaly.expected)
    if expected:
        text = ngettext(
            "%(count)s signature in %(time)s; going by this group’s share at other times,"
            " about %(expected)s would be expected.",
            "%(count)s signatures in %(time)s; going by this group’s share at other times,"
            " about %(expected)s would be expected.",
            count,
        )
    else:
        text = ngettext(
            "%(count)s signature in %(time)s; going by this group’s share at other times, none would be expected.",
            "%(count)s signatures in %(time)s; going by this group’s share at other times, none would be expected.",
            count,
        )
    return text % {"count": intcomma(count), "time": duration(anomaly.hours), "expected": intcomma(expected)}


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
            if cell.count and kind == "domain":
                # Where its country signs more than ever, so do those who have their mailboxes at its providers.
                expected = max(expected, of_countries(value, slices, observed))
            if cell.count >= max(LIFT * expected, 1):
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


def of_countries(domain: str, slices: Sequence[int], observed: Observed) -> float:
    """How many mailboxes of this domain would be ordinary in these slices, as their signatures are of which country."""
    rows = anomaly_groups.mailboxes_of_countries(domain)
    everybody, countries = observed.everybody, observed.groups["country"]
    has_before = bool(everybody.before.count)
    before, elsewhere = Counter[str](), Counter[str]()
    for is_new, at, country, count in rows:
        if not is_new if has_before else at not in slices:
            before[country] += count
    all_before = everybody.before.count if has_before else everybody.new.count
    for country, group in countries.items():
        other = (cell.count for at, cell in group.slices.items() if at not in slices)
        elsewhere[country] = group.before.count if has_before else sum(other)
    if not has_before:
        all_before -= sum(everybody.slices[at].count for at in slices if at in everybody.slices)
    world = before.total() / all_before if all_before else 0
    return sum(
        group.slices[at].count * estimated(before[country], elsewhere[country], world)
        for country, group in countries.items()
        for at in slices
        if at in group.slices
    )


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


def surprise(count: float, of: float, ordinary_count: float, ordinary_of: float) -> float:
    """Dunning's log-likelihood ratio of two proportions: how far chance is from explaining that they differ."""

    def likelihood(hits: float, trials: float, p: float) -> float:
        misses = trials - hits
        return (hits * log(p) if hits else 0) + (misses * log(1 - p) if misses else 0)

    both = (count + ordinary_count) / (of + ordinary_of)
    return 2 * (
        likelihood(count, of, count / of)
        + likelihood(ordinary_count, ordinary_of, ordinary_count / ordinary_of)
        - likelihood(count, of, both)
        - likelihood(ordinary_count, ordinary_of, both)
    )


def networks(observed: Observed) -> Iterator[Anomaly]:
    """Networks that stand out by their size in an hour or by being alike; by what has more beyond the ordinary."""
    both = [*large_networks(observed), *uniform_networks(observed)]
    both.sort(key=lambda anomaly: (anomaly.value, -anomaly.surplus))
    for _value, same in groupby(both, key=lambda anomaly: anomaly.value):
        yield next(same)


def large_networks(observed: Observed) -> Iterator[Anomaly]:
    """Networks that have many more confirmed signatures in some hours than the large ones usually have."""
    of_network: dict[str, dict[int, FullHour]] = {}
    for (value, hour), full in observed.full_hours.items():
        of_network.setdefault(value, {})[hour] = full
    for value, hours in of_network.items():
        usual = usual_size(observed, [full.cell.counted for full in hours.values()])
        expected = {
            hour: ordinary
            for hour, full in sorted(hours.items())
            if full.cell.count >= NUMBER_LIFT * usual
            and (ordinary := expected_of_network(full, hour, observed)) is not None
        }
        if expected:
            peak = max(expected, key=lambda hour: (hours[hour].cell.count, hour))
            yield Anomaly(
                "network",
                value,
                together(hours[hour].cell for hour in expected),
                sum(expected.values()),
                moment(min(expected) * SECONDS_PER_HOUR),
                moment((max(expected) + 1) * SECONDS_PER_HOUR),
                hours=len(expected),
                peak=hours[peak].cell.count,
                usual=usual,
                everybody=observed.confirmed[peak].total(),
            )


def usual_size(observed: Observed, own: list[int]) -> int:
    """The size of a network in an hour that one of RARE signatures is above; of what counts, without its own."""
    sizes = observed.sizes - Counter(own)
    above = observed.everybody.count // RARE
    for size in sorted(sizes, reverse=True):
        above -= sizes[size]
        if above < 0:
            return size
    return 0


def expected_of_network(full: FullHour, hour: int, observed: Observed) -> float | None:
    """How many of these the largest network would have, by its countries' signatures in this hour from elsewhere.

    None, if that is not many fewer than there are. Each country weighs as much as it has in the network, so that a few
    from a large one explain nothing.
    """
    day, count = hour // HOURS_PER_DAY, full.cell.count
    world_share, world_of = largest_share(observed.largest[None], day)
    if not world_of:
        return None
    share = others = of = 0.0
    for country, number in full.countries.items():
        own_share, own_of = largest_share(observed.largest[country], day)
        part = number / count
        share += part * estimated(own_share * own_of, own_of, world_share)
        others += part * (observed.confirmed[hour][country] - number)
        of += part * (own_of + WORLD_WEIGHT)
    expected = others * share / (1 - share) if share < 1 else float(count)
    if count < SHARE_LIFT * expected or surprise(count, count + others, share * of, of) < SURPRISE:
        return None
    return expected


def largest_share(days: list[Largest], but: int) -> tuple[float, int]:
    """The share that the largest network has of a country on most days but this, and of how many that is known.

    The median by signatures, so that the fakes of a day do not make those of the next one usual.
    """
    others = sorted((day.count / day.of, day.of) for day in days if day.day != but)
    of = sum(number for _share, number in others)
    passed = 0
    for share, number in others:
        passed += number
        if 2 * passed >= of:
            return share, of
    return 0, 0


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
        if alike and not (alike == ("hour",) and is_usual_hour(network, observed)):
            share, hours = max(shares.values()), mixes["hour"]
            # None, if it is spread so thinly over many days that no two signatures are of one hour.
            first, last = min(hours, default=0), max(hours, default=0)
            start, end = moment(first * SECONDS_PER_HOUR), moment((last + 1) * SECONDS_PER_HOUR)
            yield Anomaly("network", value, network.cell, count * (1 - share), start, end, share=share, alike=alike)


def is_usual_hour(network: Network, observed: Observed) -> bool:
    """Whether this is no more in its largest hour than networks usually have: a lecture hall has one hour a day."""
    cell = network.cell
    peak = max(network.mixes["hour"].values(), default=0) * cell.confirmed / cell.count
    return peak < HOUR_LIFT * usual_size(observed, [round(peak)])


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


def explain(found: list[Anomaly]) -> list[Anomaly]:
    """The same anomalies; a wide one says which narrow ones are a part of it, in the transaction that has read them."""
    narrow = {kind: [anomaly.value for anomaly in found if anomaly.kind == kind] for kind in NARROW}
    wide = [(anomaly.kind, anomaly.value) for anomaly in found if anomaly.is_wide]
    if not wide or not any(narrow.values()):
        return found
    shared = anomaly_groups.shared(narrow, wide)
    explained = []
    for anomaly in found:
        parts = [(other, shared[anomaly.kind, anomaly.value, other.kind, other.value]) for other in found]
        parts = [(other, count) for other, count in parts if count >= max(SUPPORT, EXPLAINS * anomaly.surplus)]
        parts.sort(key=lambda part: -part[1])
        explained.append(replace(anomaly, explained=tuple(parts)))
    return explained
