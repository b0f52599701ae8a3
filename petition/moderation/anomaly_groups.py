"""Groups of signatures that have something in common, counted in PostgreSQL. `anomalies` says which of them stand out.

The signatures of the time and of that before it are read once, into a temporary table; queries count them in it.
Networks with several confirmed signatures on a day, by the hour, have a second, small one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection

from petition.moderation.similar import KEYS, NAME, SHAPE, WORDS

# Fewer signatures than this are ignored: in a group, and in an hour of it, or a day of a month.
SUPPORT = 20
# A network with fewer signatures than this is not looked at.
CROWD = 30
# Nor is an hour in which it has fewer confirmed than this. What is usual is read from those with SEVERAL on a day, in
# one row of four if there are more than MANY: the largest of a quiet day of a small petition has some ten.
FULL_HOUR = 50
SEVERAL = 3
MANY = 100_000
WORK_MEM = "64MB"

# In what a group can stand out, beside networks, and in what the signatures of a network can be alike.
KINDS = [kind for kind in KEYS if kind != "network"]
FEATURES = ["hour", "domain", "name", "shape", "words"]
# Groups that somebody has made up, and groups that news can fill.
NARROW = ("network", "domain", "name", "shape", "words")
WIDE = ("country", "language", "source")

# For these queries alone: they are large, and there is no time to compile them.
PREPARE = f"SET LOCAL work_mem = '{WORK_MEM}'; SET LOCAL jit = off"

# A slice is an hour or a day of the time; of the time before, an hour from 0 to 23 of all its days. Eight bytes of a
# digest, or of a hash, are as good as all, and smaller. `date_part` counts in floats, which is faster than `extract`.
READ = f"""
    CREATE TEMPORARY TABLE anomaly_signatures AS
    SELECT id, created_at >= %(since)s AS is_new, date_part('epoch', created_at)::bigint / 3600 AS hour,
        CASE WHEN created_at >= %(since)s THEN date_part('epoch', created_at)::bigint / %(slice_seconds)s
            ELSE date_part('hour', created_at AT TIME ZONE 'UTC')::bigint END AS slice,
        substr(network_digest, 1, 8) AS network, substr(domain_digest, 1, 8) AS domain,
        country, nullif(petition_signature.language, '') AS language, {KEYS["source"]} AS source,
        hashtextextended({NAME}, 0) AS name, {SHAPE} AS shape, hashtextextended({WORDS}, 0) AS words,
        confirmed_at IS NOT NULL AS confirmed, held_at IS NOT NULL AND invalidated_at IS NULL AS held,
        confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL AS counted
    FROM petition_signature LEFT JOIN petition_shownwords ON signature_id = id
    WHERE created_at >= %(horizon)s AND (domain_digest IS NOT NULL OR network_digest IS NOT NULL)
"""
CELL = """count(*), count(*) FILTER (WHERE confirmed), count(*) FILTER (WHERE held), count(*) FILTER (WHERE counted),
        max(id)"""
ALL = "all"


def about(*columns: str) -> str:
    """The column that a row of GROUPING SETS is about, or `all` if it is about none of them, and its value as text."""
    cases = " ".join(f"WHEN GROUPING({column}) THEN '{column}'" for column in columns)
    return f"CASE 0 {cases} ELSE '{ALL}' END, coalesce({', '.join(f'{column}::text' for column in columns)})"


def frequent(column: str, least: int) -> str:
    """The values of this column that so many new signatures share."""
    rows = f"FROM anomaly_signatures WHERE is_new AND {column} IS NOT NULL"
    return f"SELECT {column} {rows} GROUP BY {column} HAVING count(*) >= {least}"


# What a few share is in no group, and would be most of all groups.
GROUPS = f"""
    WITH domains AS ({frequent("domain", SUPPORT)}), names AS ({frequent("name", SUPPORT)}),
    phrases AS ({frequent("words", SUPPORT)}),
    shared AS (
        SELECT is_new, slice, country, language, source, shape, confirmed, held, counted, id,
            domains.domain, names.name, phrases.words
        FROM anomaly_signatures seen LEFT JOIN domains ON domains.domain = seen.domain
            LEFT JOIN names ON names.name = seen.name LEFT JOIN phrases ON phrases.words = seen.words
    )
    SELECT {about(*KINDS)}, is_new, slice, {CELL}
    FROM shared
    GROUP BY is_new, slice, GROUPING SETS ((), {", ".join(f"({kind})" for kind in KINDS)})
    HAVING count(*) >= 3
"""
HOURS = """
    SELECT hour, country, count(*), count(*) FILTER (WHERE confirmed), count(*) FILTER (WHERE counted)
    FROM anomaly_signatures WHERE is_new = %s GROUP BY hour, country
"""
DOMAINS = """
    SELECT country, domain::text, count(*)
    FROM anomaly_signatures WHERE is_new AND domain IS NOT NULL
    GROUP BY GROUPING SETS ((country, domain), (domain)) HAVING count(*) >= 3
"""
NETWORKS = f"""
    SELECT network::text, {about("country", *FEATURES)}, {CELL}
    FROM anomaly_signatures JOIN ({frequent("network", CROWD)}) AS crowded USING (network)
    WHERE is_new
    GROUP BY network, GROUPING SETS ((), (country), {", ".join(f"({feature})" for feature in FEATURES)})
    HAVING count(*) >= 2
"""

# A digest stands for a network on one day alone: on another day it is another one. Which ones are large enough to say
# what is usual, one of `step` rows tells, whose numbers are random; those that are looked at are all there.
CROWDS = f"""
    CREATE TEMPORARY TABLE anomaly_crowds AS
    SELECT network, hour, country, is_new, count(*) AS confirmed, count(*) FILTER (WHERE held) AS held,
        count(*) FILTER (WHERE counted) AS counted, max(id) AS example
    FROM anomaly_signatures JOIN (
        SELECT network, hour / 24 AS day FROM anomaly_signatures
        WHERE confirmed AND network IS NOT NULL AND id %% %(step)s = 0
        GROUP BY network, hour / 24 HAVING count(*) >= {SEVERAL}
        UNION
        SELECT network, hour / 24 FROM anomaly_signatures WHERE is_new AND network = ANY(%(looked_at)s::bytea[])
    ) AS several USING (network)
    WHERE confirmed AND hour / 24 = day
    GROUP BY network, hour, country, is_new
"""
SIZES = """
    SELECT size, count(*)
    FROM (SELECT sum(counted)::int AS size FROM anomaly_crowds GROUP BY network, hour) AS sizes
    GROUP BY size
"""
FULL_HOURS = f"""
    SELECT network::text, hour, country, confirmed, confirmed, held, counted, example
    FROM anomaly_crowds JOIN (
        SELECT network, hour FROM anomaly_crowds
        WHERE is_new GROUP BY network, hour HAVING sum(confirmed) >= {FULL_HOUR}
    ) AS full_hours USING (network, hour)
"""
# The largest network of a country on each day, of those that count; without a country, of all the world.
LARGEST = """
    SELECT country, day, max(counted)::int FROM (
        SELECT network, hour / 24 AS day, country, sum(counted) AS counted
        FROM anomaly_crowds GROUP BY GROUPING SETS ((network, hour / 24, country), (network, hour / 24))
    ) AS networks
    GROUP BY country, day
"""
# Of the signatures of these narrow groups, how many each has in each wide one.
SHARED = """
    SELECT network::text, domain::text, name::text, shape, words::text, country, language, source, count(*)
    FROM anomaly_signatures
    WHERE is_new AND (network = ANY(%s::bytea[]) OR domain = ANY(%s::bytea[]) OR name = ANY(%s::bigint[])
        OR shape = ANY(%s::text[]) OR words = ANY(%s::bigint[]))
    GROUP BY network, domain, name, shape, words, country, language, source
"""
MAILBOXES_OF_COUNTRIES = """
    SELECT is_new, slice, country, count(*) FROM anomaly_signatures WHERE domain = %s::bytea
    GROUP BY is_new, slice, country
"""


@dataclass(frozen=True)
class Cell:
    """Some of the signatures of a group: how many, in which state, and the number of one of them."""

    count: int = 0
    confirmed: int = 0
    held: int = 0
    counted: int = 0
    example: int = 0

    def __add__(self, other: "Cell") -> "Cell":
        if not (self.count and other.count):
            return self if self.count else other
        return Cell(
            self.count + other.count,
            self.confirmed + other.confirmed,
            self.held + other.held,
            self.counted + other.counted,
            max(self.example, other.example),
        )


def together(cells: Iterable[Cell]) -> Cell:
    return sum(cells, Cell())


@dataclass
class Group:
    """Signatures that share something, by their slice: an hour or a day of the time, an hour from 0 to 23 before it."""

    slices: dict[int, Cell] = field(default_factory=dict)
    slices_before: dict[int, Cell] = field(default_factory=dict)

    @cached_property
    def new(self) -> Cell:
        return together(self.slices.values())

    @cached_property
    def before(self) -> Cell:
        return together(self.slices_before.values())

    @property
    def count(self) -> int:
        return self.new.count + self.before.count


@dataclass
class Network:
    """A network of one day, and how many of its signatures have each hour, country, domain, name, shape and words."""

    cell: Cell = Cell()
    mixes: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))


@dataclass
class FullHour:
    """The confirmed signatures of a network in an hour, and of which countries they are."""

    cell: Cell = Cell()
    countries: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Largest:
    """The largest network of a country on a day: how many signatures it had, of how many that counted."""

    day: int
    count: int
    of: int


@dataclass
class Observed:
    """All that is counted. `hours` and `domains` are those of a country; None is all the world."""

    everybody: Group = field(default_factory=Group)
    groups: dict[str, dict[str, Group]] = field(default_factory=lambda: {kind: defaultdict(Group) for kind in KINDS})
    countries: Counter[str] = field(default_factory=Counter)
    hours: dict[str | None, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    domains: dict[str | None, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    networks: dict[str, Network] = field(default_factory=lambda: defaultdict(Network))
    # Of networks and hours, how many have so many signatures that count; and those that have many confirmed ones.
    sizes: Counter[int] = field(default_factory=Counter)
    full_hours: dict[tuple[str, int], FullHour] = field(default_factory=lambda: defaultdict(FullHour))
    # The confirmed signatures of an hour by country; those of a country that count, by day, and its largest networks.
    confirmed: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    counted: dict[str | None, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    largest: dict[str | None, list[Largest]] = field(default_factory=lambda: defaultdict(list))


def read(since: datetime, horizon: datetime, slice_seconds: int) -> Observed:
    """Count the signatures from `since` on by all that they share, and compare them with those from `horizon` on.

    Leaves a temporary table and settings behind, for `read_within` to undo. Any role may make such a table, unless that
    right was taken away.
    """
    observed = Observed()
    with connection.cursor() as cursor:
        cursor.execute(PREPARE)
        cursor.execute(READ, {"since": since, "horizon": horizon, "slice_seconds": slice_seconds})
        read_groups(cursor, observed)
        read_everybody(cursor, observed)
        read_networks(cursor, observed)
        # Without a network that several share there is none to be large, nor alike.
        if observed.networks:
            read_full_hours(cursor, observed)
    return observed


def read_groups(cursor: Any, observed: Observed) -> None:
    cursor.execute(GROUPS)
    for kind, value, is_new, at, *numbers in cursor.fetchall():
        # Those that lack something have nothing in common by that.
        if kind == ALL or value:
            group = observed.everybody if kind == ALL else observed.groups[kind][value]
            (group.slices if is_new else group.slices_before)[at] = Cell(*numbers)


def read_everybody(cursor: Any, observed: Observed) -> None:
    read_hours(cursor, observed, is_new=True)
    cursor.execute(DOMAINS)
    for country, domain, count in cursor.fetchall():
        observed.domains[country][domain] = count


def read_hours(cursor: Any, observed: Observed, *, is_new: bool) -> None:
    cursor.execute(HOURS, [is_new])
    for hour, country, count, confirmed, counted in cursor.fetchall():
        for place in (country, None):
            observed.counted[place][hour // 24] += counted
            if is_new:
                observed.hours[place][hour] += count
        if is_new:
            observed.countries[country] += count
            observed.confirmed[hour][country] = confirmed


def read_networks(cursor: Any, observed: Observed) -> None:
    cursor.execute(NETWORKS)
    for digest, feature, value, *numbers in cursor.fetchall():
        network = observed.networks[digest]
        if feature == ALL:
            network.cell = Cell(*numbers)
        elif value is not None:
            network.mixes[feature][int(value) if feature == "hour" else value] = numbers[0]


def read_full_hours(cursor: Any, observed: Observed) -> None:
    """The sizes of networks in an hour. What is usual for a country is read only if some hour has many of one."""
    step = 4 if observed.everybody.count > MANY else 1
    cursor.execute(CROWDS, {"step": step, "looked_at": list(observed.networks)})
    cursor.execute(FULL_HOURS)
    for digest, hour, country, *numbers in cursor.fetchall():
        full = observed.full_hours[digest, hour]
        full.cell += Cell(*numbers)
        full.countries[country] += numbers[0]
    cursor.execute(SIZES)
    observed.sizes.update(dict(cursor.fetchall()))
    if not observed.full_hours:
        return
    read_hours(cursor, observed, is_new=False)
    cursor.execute(LARGEST)
    largest = {(country, day): count for country, day, count in cursor.fetchall()}
    for country, days in observed.counted.items():
        for day, of in days.items():
            if of:
                observed.largest[country].append(Largest(day, largest.get((country, day), 0), of))


def mailboxes_of_countries(domain: str) -> list[tuple[bool, int, str, int]]:
    """How many of a mail domain there are in each slice and country, in the transaction that has `read` them."""
    with connection.cursor() as cursor:
        cursor.execute(MAILBOXES_OF_COUNTRIES, [domain])
        return cursor.fetchall()


def shared(narrow: dict[str, list[str]], wide: list[tuple[str, str]]) -> Counter[tuple[str, str, str, str]]:
    """How many signatures of these narrow groups are in these wide ones: by kind and value of both.

    In the transaction that has `read` them.
    """
    found: Counter[tuple[str, str, str, str]] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(SHARED, [narrow.get(kind, []) for kind in NARROW])
        for *values, count in cursor.fetchall():
            row = dict(zip((*NARROW, *WIDE), values, strict=True))
            for kind, value in wide:
                if row[kind] != value:
                    continue
                for other in NARROW:
                    if row[other] in narrow.get(other, []):
                        found[kind, value, other, row[other]] += count
    return found
