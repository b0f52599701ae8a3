"""Groups of signatures that have something in common, counted in PostgreSQL. `anomalies` says which of them stand out.

The signatures of the time and of that before it are read once, into a temporary table; three queries count them in it.
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
WORK_MEM = "64MB"

# In what a group can stand out, beside networks, and in what the signatures of a network can be alike.
KINDS = [kind for kind in KEYS if kind != "network"]
FEATURES = ["hour", "domain", "name", "shape", "words"]

# For these queries alone: they are large, and there is no time to compile them.
PREPARE = f"SET LOCAL work_mem = '{WORK_MEM}'; SET LOCAL jit = off"

# A slice is an hour or a day of the time; of the time before, an hour from 0 to 23 of all its days. Eight bytes of a
# digest, or of a hash, are as good as all, and smaller.
READ = f"""
    CREATE TEMPORARY TABLE anomaly_signatures AS
    SELECT id, created_at >= %(since)s AS is_new, extract(epoch FROM created_at)::bigint / 3600 AS hour,
        CASE WHEN created_at >= %(since)s THEN extract(epoch FROM created_at)::bigint / %(slice_seconds)s
            ELSE extract(hour FROM created_at AT TIME ZONE 'UTC')::bigint END AS slice,
        substr(network_digest, 1, 8) AS network, substr(domain_digest, 1, 8) AS domain,
        country, nullif(petition_signature.language, '') AS language, {KEYS["source"]} AS source,
        hashtextextended({NAME}, 0) AS name, {SHAPE} AS shape, hashtextextended({WORDS}, 0) AS words,
        confirmed_at IS NOT NULL AS confirmed, held_at IS NOT NULL AS held,
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
    return f"SELECT {column} FROM anomaly_signatures WHERE is_new GROUP BY {column} HAVING count(*) >= {least}"


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
EVERYBODY = f"""
    SELECT {about("hour", "domain")}, country, count(*)
    FROM anomaly_signatures
    WHERE is_new
    GROUP BY GROUPING SETS ((hour), (hour, country), (country), (country, domain), (domain))
    HAVING count(*) >= 3
"""
NETWORKS = f"""
    SELECT network::text, {about("country", *FEATURES)}, {CELL}
    FROM anomaly_signatures JOIN ({frequent("network", CROWD)}) AS crowded USING (network)
    WHERE is_new
    GROUP BY network, GROUPING SETS ((), (country), {", ".join(f"({feature})" for feature in FEATURES)})
    HAVING count(*) >= 2
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
class Observed:
    """All that is counted. `hours` and `domains` are those of a country; None is all the world."""

    everybody: Group = field(default_factory=Group)
    groups: dict[str, dict[str, Group]] = field(default_factory=lambda: {kind: defaultdict(Group) for kind in KINDS})
    countries: Counter[str] = field(default_factory=Counter)
    hours: dict[str | None, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    domains: dict[str | None, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    networks: dict[str, Network] = field(default_factory=lambda: defaultdict(Network))


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
    return observed


def read_groups(cursor: Any, observed: Observed) -> None:
    cursor.execute(GROUPS)
    for kind, value, is_new, at, *numbers in cursor.fetchall():
        # Those that lack something have nothing in common by that.
        if kind == ALL or value:
            group = observed.everybody if kind == ALL else observed.groups[kind][value]
            (group.slices if is_new else group.slices_before)[at] = Cell(*numbers)


def read_everybody(cursor: Any, observed: Observed) -> None:
    cursor.execute(EVERYBODY)
    for feature, value, country, count in cursor.fetchall():
        if feature == "hour":
            observed.hours[country][int(value)] = count
        elif feature == "domain":
            observed.domains[country][value] = count
        else:
            observed.countries[country] = count


def read_networks(cursor: Any, observed: Observed) -> None:
    cursor.execute(NETWORKS)
    for digest, feature, value, *numbers in cursor.fetchall():
        network = observed.networks[digest]
        if feature == ALL:
            network.cell = Cell(*numbers)
        elif value is not None:
            network.mixes[feature][int(value) if feature == "hour" else value] = numbers[0]
