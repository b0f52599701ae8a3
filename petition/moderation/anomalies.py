"""Which groups of signatures stand out: more of them than is ordinary, or more alike than people are.

The rule, as a moderator is told it:

1. A group stands here if its share of the signatures is at least three times what it was at the same hours of the days
   before; a network, which has no days before, if at least three quarters of its signatures have in common what others
   from the same countries have not.
2. First comes what has the most signatures beyond the ordinary.

Shares, because in an hour when everybody signs every group grows, and none of them more than the others. That a growth
is no chance is the log-likelihood ratio of two proportions (T. Dunning, Accurate methods for the statistics of surprise
and coincidence, Computational Linguistics 19, 1993), which holds for rare events, as chi squared does not; that it is
large is the lift, with a minimum support. That people behind one address have a mix of mailboxes and hours, and fakes
move in lockstep, is how large networks tell them apart (A. Beutel and others, CopyCatch, WWW 2013; Q. Cao and others,
Uncovering large groups of active malicious accounts, CCS 2014). Being alike is measured as total variation distance.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import log
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

from petition.models.signature import this_hour

# A cell is a group in one hour, or on one day of a month. Fewer in it are nobody's campaign.
SUPPORT = 20
LIFT = 3
# Beyond this, chance would make one cell in a billion.
SURPRISE = 40
# So many at the same hours before are a time to compare with; else everything else is.
ORDINARY = 1_000
CROWD = 30
ALIKE = 0.75
# How far the mix of a country is trusted before there are many signatures from it.
TRUST = 100
SECONDS = 30
MEMORY = "64MB"
HOURS, DAYS = 3_600, 86_400

# How a name is written, for names with more in them than letters: "Anna1984" and "olga_7" are a9 and a_9. Regular
# expressions cost most of all that is done here, so letters are all that they look for.
SHAPE = r"""CASE WHEN translate(name, '0123456789_*+=/#&~|<>^', '') <> name
    THEN replace(replace(replace(
        regexp_replace(translate(name, '012345678', '999999999'), '[[:alpha:]]+', 'a', 'g'),
    '999', '9'), '99', '9'), '99', '9') END"""
NAME = "nullif(lower(btrim(name)), '')"
WORDS = "nullif(lower(btrim(words)), '')"
# What signatures can have in common, and how that is written of a row.
KEYS = {
    "network": "network_digest",
    "domain": "domain_digest",
    "country": "nullif(country, '')",
    "language": "nullif(language, '')",
    "source": "nullif(source, '')",
    "name": NAME,
    "shape": SHAPE,
    "words": WORDS,
}
KINDS = [kind for kind in KEYS if kind != "network"]
FEATURES = ["hour", "domain", "name", "shape", "words"]

# Read once, then counted in several ways. Eight bytes of a digest, or of a hash, are as good as all, and smaller.
READ = f"""
    WITH seen AS MATERIALIZED (
        SELECT id, created_at >= %(since)s AS is_new, extract(epoch FROM created_at)::bigint / 3600 AS hour,
            CASE WHEN created_at >= %(since)s THEN extract(epoch FROM created_at)::bigint / %(slice)s
                ELSE -1 - extract(hour FROM created_at AT TIME ZONE 'UTC')::bigint END AS slice,
            substr(network_digest, 1, 8) AS network, substr(domain_digest, 1, 8) AS domain,
            {KEYS["country"]} AS country, {KEYS["language"]} AS language, {KEYS["source"]} AS source,
            hashtextextended({NAME}, 0) AS name, {SHAPE} AS shape, hashtextextended({WORDS}, 0) AS words,
            confirmed_at IS NOT NULL AS confirmed, held_at IS NOT NULL AS held,
            confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL AS counted
        FROM petition_signature
        WHERE created_at >= %(horizon)s AND (domain_digest IS NOT NULL OR network_digest IS NOT NULL)
    ), crowded AS (
        SELECT network FROM seen WHERE is_new AND network IS NOT NULL GROUP BY network HAVING count(*) >= {CROWD}
    ), domains AS (
        SELECT domain AS known FROM seen WHERE is_new GROUP BY domain HAVING count(*) >= {SUPPORT}
    ), names AS (
        SELECT name AS known FROM seen WHERE is_new GROUP BY name HAVING count(*) >= {SUPPORT}
    ), phrases AS (
        SELECT words AS known FROM seen WHERE is_new GROUP BY words HAVING count(*) >= {SUPPORT}
    ), often AS (
        -- What a few share is in no group, and would be most of all groups.
        SELECT slice, country, language, source, shape, confirmed, held, counted, id,
            domains.known AS domain, names.known AS name, phrases.known AS words
        FROM seen LEFT JOIN domains ON domains.known = domain LEFT JOIN names ON names.known = name
            LEFT JOIN phrases ON phrases.known = words
    )
    SELECT GROUPING(domain, country, language, source, name, shape, words), NULL, slice, country,
        coalesce(domain::text, language, source, name::text, shape, words::text, country),
        count(*), count(*) FILTER (WHERE confirmed), count(*) FILTER (WHERE held), count(*) FILTER (WHERE counted),
        min(id), max(id)
    FROM often
    GROUP BY GROUPING SETS ((slice), (slice, domain), (slice, country), (slice, language), (slice, source),
        (slice, name), (slice, shape), (slice, words))
    HAVING count(*) >= 3
    UNION ALL
    SELECT 1000 + GROUPING(domain, country, hour), NULL, hour, country, domain::text, count(*), 0, 0, 0, 0, 0
    FROM seen
    WHERE is_new
    GROUP BY GROUPING SETS ((hour), (hour, country), (country), (country, domain), (domain))
    HAVING count(*) >= 3
    UNION ALL
    SELECT 2000 + GROUPING(hour, domain, country, name, shape, words), network::text, hour, country,
        coalesce(domain::text, name::text, shape, words::text),
        count(*), count(*) FILTER (WHERE confirmed), count(*) FILTER (WHERE held), count(*) FILTER (WHERE counted),
        min(id), max(id)
    FROM seen JOIN crowded USING (network)
    WHERE is_new
    GROUP BY GROUPING SETS ((network), (network, hour), (network, domain), (network, country), (network, name),
        (network, shape), (network, words))
    HAVING count(*) >= 2
"""  # noqa: S608

GROUPS = {127 - 2**bit: kind for bit, kind in enumerate(reversed(KINDS))}
ALL_OF_SLICE, ALL_OF_NETWORK = 127, 2_063
OF_NETWORK = {2_031: "hour", 2_047: "domain", 2_055: "country", 2_059: "name", 2_061: "shape", 2_062: "words"}
HOUR, COUNTRY_HOUR, COUNTRY, COUNTRY_DOMAIN, DOMAIN = 1_006, 1_004, 1_005, 1_001, 1_003


class TooMuch(Exception):  # noqa: N818  (it names what is the case)
    """There are too many signatures in this time to look through them while somebody waits."""


@dataclass(frozen=True)
class Span:
    """A time to look at, and the time before that it is compared with. Without one, its days are compared."""

    name: str
    lasts: timedelta
    before: timedelta

    @property
    def slice_seconds(self) -> int:
        return HOURS if self.before else DAYS

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
class Cell:
    """Some of the signatures of a group: how many, in which state, and the first and the last number among them."""

    count: int = 0
    confirmed: int = 0
    held: int = 0
    counted: int = 0
    first: int = 0
    last: int = 0

    def __add__(self, other: "Cell") -> "Cell":
        if not (self.count and other.count):
            return self if self.count else other
        return Cell(
            self.count + other.count,
            self.confirmed + other.confirmed,
            self.held + other.held,
            self.counted + other.counted,
            min(self.first, other.first),
            max(self.last, other.last),
        )


def together(cells: Iterable[Cell]) -> Cell:
    return sum(cells, Cell())


@dataclass(frozen=True)
class Signal:
    """A group that stands out: `expected` of it would be ordinary. Of a network, `share` is alike, in `alike`."""

    kind: str
    value: str
    cell: Cell
    expected: float
    since: datetime
    until: datetime
    share: float = 0
    alike: tuple[str, ...] = ()

    @property
    def surplus(self) -> float:
        return self.cell.count - self.expected


@dataclass
class Found:
    signatures: int
    signals: list[Signal]
    # Whether there was anything to compare with: a site of an hour has no ordinary yet.
    compares: bool = True


def find(span: Span) -> Found:
    """What stands out in this time, first what has most beyond the ordinary.

    Reads every signature of the time and of that before it, once. Raises TooMuch after 30 seconds.
    """
    since = span.since()
    values: dict[str, Any] = {"since": since, "horizon": span.horizon(), "slice": span.slice_seconds}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            bounds = {"statement_timeout": f"{1000 * SECONDS:.0f}ms", "work_mem": MEMORY, "jit": "off"}
            for name, value in bounds.items():
                cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
            cursor.execute(READ, values)
            counts = Counts(cursor.fetchall())
            for name in bounds:
                cursor.execute(f"SET LOCAL {name} TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuch from error
        raise
    signals = [*bursts(counts, span), *lockstep(counts)]
    signals.sort(key=lambda signal: (-signal.surplus, signal.kind, signal.value))
    compares = not span.before or bool(counts.before().count) or len(counts.new_slices()) > 1
    return Found(counts.new().count, signals, compares)


class Counts:
    """What READ says, sorted by what it is about."""

    def __init__(self, rows: Iterable[tuple]) -> None:
        self.slices: dict[int, Cell] = {}
        self.groups: dict[str, dict[str, dict[int, Cell]]] = {kind: defaultdict(dict) for kind in KINDS}
        self.ordinary: dict[int, Counter] = defaultdict(Counter)
        self.networks: dict[str, Cell] = {}
        self.of_network: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        for about, network, at, country, value, *counted in rows:
            if about == ALL_OF_SLICE:
                self.slices[at] = Cell(*counted)
            elif about == ALL_OF_NETWORK:
                self.networks[network] = Cell(*counted)
            elif about in OF_NETWORK:
                feature = OF_NETWORK[about]
                # Where a network lacks a feature, its signatures have nothing in common by that.
                key = at if feature == "hour" else country if feature == "country" else value
                if key is not None or feature == "country":
                    self.of_network[network][feature][key] = counted[0]
            elif about in GROUPS:
                if value is not None:
                    self.groups[GROUPS[about]][value][at] = Cell(*counted)
            else:
                self.ordinary[about][self._key(about, at, country, value)] = counted[0]

    @staticmethod
    def _key(about: int, at: int, country: str, value: str) -> object:
        return {
            HOUR: at,
            COUNTRY_HOUR: (country, at),
            COUNTRY: country,
            COUNTRY_DOMAIN: (country, value),
            DOMAIN: value,
        }[about]

    @cached_property
    def everybody(self) -> int:
        return together(self.slices.values()).count

    def new_slices(self) -> list[int]:
        return sorted(at for at in self.slices if at >= 0)

    def new(self) -> Cell:
        return together(self.slices[at] for at in self.new_slices())

    def before(self) -> Cell:
        return together(cell for at, cell in self.slices.items() if at < 0)


def bursts(counts: Counts, span: Span) -> Iterator[Signal]:
    """Groups that have grown: in some hours, or over the whole time."""
    new, before = counts.new(), counts.before()
    for kind, groups in counts.groups.items():
        for value, cells in groups.items():
            mine = together(cell for at, cell in cells.items() if at >= 0)
            if mine.count < SUPPORT:
                continue
            grown: dict[int, float] = {}
            for at, cell in cells.items():
                if at >= 0 and cell.count >= SUPPORT:
                    ordinary = compared_with(counts, cells, at)
                    expected = expected_of(cell.count, counts.slices[at].count, *ordinary)
                    if expected is not None:
                        grown[at] = expected
            hot, usual = together(cells[at] for at in grown), sum(grown.values())
            if before.count >= ORDINARY:
                mine_before = sum(cell.count for at, cell in cells.items() if at < 0)
                whole = expected_of(mine.count, new.count, mine_before, before.count)
                if whole is not None and mine.count - whole > hot.count - usual:
                    hot, usual, grown = mine, whole, {at: 0 for at in cells if at >= 0}
            if hot.count:
                start, end = (moment(at * span.slice_seconds) for at in (min(grown), max(grown) + 1))
                yield Signal(kind, value, hot, usual, start, end)


def compared_with(counts: Counts, cells: dict[int, Cell], at: int) -> tuple[int, int]:
    """How many of a group, and of all, signed at the same hours of the days before; if few did, at any other time."""
    then = -1 - at % 24
    all_then = counts.slices.get(then, Cell()).count
    if all_then >= ORDINARY:
        return cells.get(then, Cell()).count, all_then
    return together(cells.values()).count - cells[at].count, counts.everybody - counts.slices[at].count


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


def lockstep(counts: Counts) -> Iterator[Signal]:
    """Networks whose signatures are more alike than those of other networks of the same countries."""
    totals = {kind: {value: sum(cell.count for at, cell in cells.items() if at >= 0) for value, cells in groups.items()}
              for kind, groups in counts.groups.items() if kind in FEATURES}  # fmt: skip
    everybody = counts.new().count
    for network, cell in counts.networks.items():
        mixes = counts.of_network[network]
        countries = {country: number / cell.count for country, number in mixes["country"].items()}
        shares = {
            "hour": beyond(mixes["hour"], cell.count, hours_elsewhere(counts, mixes["hour"], countries)),
            "domain": most_beyond(mixes["domain"], cell.count, domains_elsewhere(counts, mixes, countries, everybody)),
        }
        for kind in ("name", "shape", "words"):
            shares[kind] = most_beyond(
                mixes[kind], cell.count, elsewhere(totals[kind], mixes[kind], everybody, cell.count)
            )
        alike = tuple(feature for feature in FEATURES if shares[feature] >= ALIKE)
        if alike:
            share = max(shares.values())
            hours = mixes["hour"]
            start, end = moment(min(hours, default=0) * HOURS), moment((max(hours, default=0) + 1) * HOURS)
            yield Signal("network", network, cell, cell.count * (1 - share), start, end, share, alike)


def elsewhere(everywhere: dict[str, int], own: Counter, everybody: int, owned: int) -> Callable[[object], float]:
    """The share of a name, a shape or words among all other signatures."""
    return lambda value: rest(everywhere.get(str(value), 0), own[value], everybody, owned)


def rest(all_with: int, own_with: int, everybody: int, own: int) -> float:
    """The share among all others."""
    others = everybody - own
    return max(all_with - own_with, 0) / others if others > 0 else 1.0


def beyond(mix: Counter, count: int, elsewhere: Callable[[object], float]) -> float:
    """How much of a mix is not explained by how it is elsewhere: 0 is the same, 1 is nothing in common."""
    return sum(max(number / count - elsewhere(key), 0) for key, number in mix.items())


def most_beyond(mix: Counter, count: int, elsewhere: Callable[[object], float]) -> float:
    """The same for the one value that is furthest from explained: of many it would be chance."""
    return max((number / count - elsewhere(key) for key, number in mix.items()), default=0)


def hours_elsewhere(counts: Counts, own: Counter, countries: dict[str, float]) -> Callable[[object], float]:
    """The share of an hour among the other signatures of its day: a network has a name for one day."""
    days = {hour // 24 for hour in own}
    hours = [day * 24 + hour for day in days for hour in range(24)]
    by_hour, by_country = counts.ordinary[HOUR], counts.ordinary[COUNTRY_HOUR]
    owned = sum(own.values())
    others = sum(by_hour[hour] for hour in hours) - owned
    of_country = {
        country: sum(by_country[country, hour] for hour in hours) - owned * part for country, part in countries.items()
    }

    def of_hour(hour: object) -> float:
        if others <= 0:
            return 1.0
        world = max(by_hour[hour] - own[hour], 0) / others
        return sum(
            part
            * (max(by_country[country, hour] - own[hour] * part, 0) + TRUST * world)
            / (max(of_country[country], 0) + TRUST)
            for country, part in countries.items()
        )

    return of_hour


def domains_elsewhere(
    counts: Counts, mixes: dict[str, Counter], countries: dict[str, float], everybody: int
) -> Callable[[object], float]:
    """The share of a mail domain among the other signatures of the countries of a network."""
    own, owned = mixes["domain"], sum(mixes["country"].values())
    by_domain, by_country = counts.ordinary[DOMAIN], counts.ordinary[COUNTRY_DOMAIN]
    all_of_country = counts.ordinary[COUNTRY]

    def of_domain(domain: object) -> float:
        world = rest(by_domain[domain], own[domain], everybody, owned)
        return sum(
            part
            * (max(by_country[country, domain] - own[domain] * part, 0) + TRUST * world)
            / (max(all_of_country[country] - owned * part, 0) + TRUST)
            for country, part in countries.items()
        )

    return of_domain


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
