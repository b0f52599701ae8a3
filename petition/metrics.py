"""Metrics for Prometheus: what the web servers of this machine have counted, and how the site stands by the database.

They are for the operator alone. Yet who kept every number of every minute could tell when a single person signed, and
the times of signatures are stored to the hour on purpose. So what went well is told in tens, as the public number is;
what went wrong is told exactly.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error, connection
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from petition import clock, health
from petition.models import Heartbeat
from petition.postgres import timeouts

ANSWER_SECONDS = 3.0
TENS = 10
# Of `petition_requests`, and of `petition_mail`.
WENT_WELL = {"1xx", "2xx", "3xx", "sent", "put_off", "hit", "miss"}
MOST_ROWS = 100_000

Rows = list[tuple[Any, ...]]

# Each in one statement, whose columns but the last are labels.
GAUGES = {
    "petition_mail_waiting": ("Mails that wait to be sent, in tens.", (), "SELECT waiting / 10 * 10 FROM mail"),
    "petition_mail_parked": ("Mails that a server refused for good, in tens.", (), "SELECT parked / 10 * 10 FROM mail"),
    "petition_mail_oldest_seconds": (
        # The time of the oldest one would tell when one person signed.
        "For how long the tenth oldest mail has been due that was never tried.",
        (),
        "SELECT late FROM mail",
    ),
    "petition_ledger_rows": (
        "Changes of the tallies that are not folded yet, in tens.",
        (),
        f"SELECT count(*) / 10 * 10 FROM (SELECT FROM petition_tallychange LIMIT {MOST_ROWS}) AS unfolded",  # noqa: S608
    ),
    "petition_published": (
        "The public number.",
        ("petition",),
        "SELECT slug, counted FROM petition_publishedcount JOIN petition_petition p ON p.id = petition_id",
    ),
    "petition_database_bytes": (
        "The size of the database.",
        (),
        "SELECT pg_database_size(current_database()) / 1000000 * 1000000",
    ),
    "petition_database_sessions": (
        "Connections to the database by what they do.",
        ("state",),
        """
        SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' GROUP BY 1
        """,
    ),
    "petition_database_sessions_limit": (
        "How many connections there may be.",
        (),
        "SELECT current_setting('max_connections')::int",
    ),
    "petition_database_waits": (
        "Statements that wait now, by what for.",
        ("kind",),
        """
        SELECT kind, count(pid) FROM unnest(ARRAY['IO', 'IPC', 'LWLock', 'Lock']) AS kind LEFT JOIN pg_stat_activity
            ON wait_event_type = kind AND state = 'active' AND datname = current_database()
        GROUP BY 1
        """,
    ),
}
COUNTERS = {
    "petition_signatures": (
        "What happened to signatures, in tens.",
        ("event",),
        """
        SELECT measure, sum(amount)::bigint / 10 * 10 FROM (
            SELECT measure, amount FROM petition_hourtally UNION ALL SELECT measure, amount FROM petition_tallychange
        ) AS events WHERE measure <> 'counted' GROUP BY 1
        """,
    ),
    "petition_mail": (
        "What became of mails, by provider; those that were sent in tens.",
        ("provider", "result"),
        "SELECT provider, result, amount FROM petition_mailtally",
    ),
}
MAIL = """
    WITH mail AS (
        SELECT count(*) FILTER (WHERE parked_at IS NULL) AS waiting, count(parked_at) AS parked,
            coalesce(floor(greatest(extract(epoch FROM statement_timestamp() - (
                SELECT due_at FROM petition_outgoingmail WHERE parked_at IS NULL AND attempts = 0
                ORDER BY due_at OFFSET 9 LIMIT 1)), 0)), 0) AS late
        FROM petition_outgoingmail
    )
"""


class Site(Collector):
    """All metrics of this machine and its database, read when they are asked for."""

    def collect(self) -> Iterator[Metric]:
        yield from of_the_web_servers()
        # Whatever the database does, what the web servers say is there.
        yield from health.within(ANSWER_SECONDS, of_the_database) or [of_health({"database": "hangs"})]

    def describe(self) -> Iterable[Metric]:
        return ()


def of_the_web_servers() -> Iterator[Metric]:
    try:
        collector = MultiProcessCollector(None, settings.METRICS_DIR)  # type: ignore[no-untyped-call]
    except ValueError:
        return  # No web server has run here yet.
    for metric in collector.collect():  # type: ignore[no-untyped-call]
        metric.samples = [sample._replace(value=in_tens(sample)) for sample in metric.samples]
        yield metric


def in_tens(sample: Any) -> float:
    """The value of a sample, in tens unless it tells what went wrong; seconds in whole ones."""
    value = float(sample.value)
    if sample.name.endswith("_sum"):
        return float(int(value))
    is_exact = not sample.name.endswith(("_bucket", "_count")) and not WENT_WELL & set(sample.labels.values())
    return value if is_exact else value // TENS * TENS


def of_the_database() -> list[Metric]:
    said = health.look()
    found = [of_health(said)]
    if said.get("migrations") == "ok":
        # Health has just said what is away. A statement that takes too long takes only itself and the rest along.
        with suppress(Error), timeouts.limited(health.STATEMENT_SECONDS):
            found.extend(_read())
    return found


def of_health(said: dict[str, str]) -> Metric:
    rows: Rows = [(part, int(word == "ok")) for part, word in said.items()]
    return gauge("petition_health", "What /healthz says of each part: 1 is ok.", ("part",), rows)


def _read() -> Iterator[Metric]:
    ages = [(part, age.total_seconds()) for part, age in Heartbeat.ages().items() if part not in Heartbeat.UNTOLD]
    yield gauge("petition_heartbeat_age_seconds", "Since when a part did its work.", ("part",), ages)
    ahead = [(clock.seconds_ahead(),)]
    yield gauge("petition_clock_ahead_seconds", "By how much our clock is ahead of the database's.", (), ahead)
    with connection.cursor() as cursor:
        for name, (about, labels, sql) in GAUGES.items():
            cursor.execute(MAIL + sql if "FROM mail" in sql else sql)
            yield gauge(name, about, labels, cursor.fetchall())
        for name, (about, labels, sql) in COUNTERS.items():
            cursor.execute(sql)
            counter = CounterMetricFamily(name, about, labels=labels)
            for *values, number in cursor.fetchall():
                counter.add_metric(values, number)
            counter.samples = [sample._replace(value=in_tens(sample)) for sample in counter.samples]
            yield counter


def gauge(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    metric = GaugeMetricFamily(name, about, labels=labels)
    for *values, number in rows:
        metric.add_metric(values, float(number))
    return metric
