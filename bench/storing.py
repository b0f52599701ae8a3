"""Triggers, counts, exports and mail: the work of database and worker alone."""

import io
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from bench import environment, load, signers
from bench.environment import Process
from bench.load import LoadError
from bench.plan import Lane, Plan, seconds_of
from bench.report import Figure, Report, Row, Target
from petition import identity
from petition.counts import breakdown, tally
from petition.counts.breakdown import Question
from petition.models import Measure, Petition, Signature

UNFOLDED = 100_000
# That one worker has to send: three times what the spike takes in. The slow digest allows some 200 for each core.
MAILS_PER_SECOND = 100
SPIKE_MAILS_PER_SECOND = 2_000 / 60
SLOW_MAIL_SECONDS = 0.005


def triggers(plan: Plan, database: str, report: Report) -> None:
    """The confirming UPDATE with the ledger's triggers and without."""
    for connections in plan.connections:
        figures = plan.in_turns(
            {
                "with": _update(database, connections, plan.updates),
                "without": _without_triggers(database, _update(database, connections, plan.updates)),
            }
        )
        against = "same UPDATE without triggers"
        row = Row("pgbench confirming", figures["with"], against, figures["without"], Target(0.6), 0, connections)
        report.add(row)


def _update(database: str, clients: int, updates: int) -> Lane:
    """Confirm pending signatures, each once."""

    def lane(seconds: int) -> float:
        each = updates // clients
        ids = [pk for pk, _petition_id, _created_at in signers.pending(database, clients * each)]
        environment.sql(
            database,
            "DROP TABLE IF EXISTS bench_pending",
            "CREATE TABLE bench_pending (place int PRIMARY KEY, id bigint NOT NULL)",
            f"INSERT INTO bench_pending SELECT place - 1, id FROM unnest(ARRAY{ids}) WITH ORDINALITY AS a (id, place)",  # noqa: S608
            "VACUUM ANALYZE bench_pending",
            "VACUUM ANALYZE petition_signature",
            "VACUUM petition_tallychange",
        )
        variables = ("-D", "n=0", "-D", f"clients={clients}")
        rate = load.pgbench(environment.url(database), "confirm.sql", "-t", str(each), *variables, clients=clients)
        if left := len(ids) - signers.confirmed(ids):
            raise LoadError(f"{left} signatures were not confirmed.")
        return rate

    return lane


def _without_triggers(database: str, lane: Lane) -> Lane:
    def untriggered(seconds: int) -> float:
        environment.sql(database, "ALTER TABLE petition_signature DISABLE TRIGGER USER")
        try:
            return lane(seconds)
        finally:
            environment.sql(database, "ALTER TABLE petition_signature ENABLE TRIGGER USER")

    return untriggered


def counts(plan: Plan, database: str, rows: int, report: Report) -> None:
    """Reading the published number, the exact one that it comes from, and the series, beside one row by its key."""
    environment.fold(database)
    report.add(_count_row(plan, "count read", rows, tally.current))
    report.add(_count_row(plan, "exact count", rows))
    with _unfolded(database, [Measure.SIGNED, Measure.CONFIRMED, Measure.COUNTED]):
        report.add(_count_row(plan, f"exact count, {UNFOLDED:,} changes unfolded", rows))
        scans = _scans(lambda: tally.current("chechnya")) + _scans(lambda: tally.exact("chechnya"))
    with _unfolded(database, [Measure.COUNTED]):
        row = _count_row(plan, f"exact count, {UNFOLDED:,} changes unfolded, each of the count itself", rows)
        report.add(Row(row.work, row.measured, row.against, row.ceiling, None, rows))
    none = Target(0, at_most=True)
    report.add(Row("count read: scans of Signature", Figure((scans,), ""), target=none, rows=rows))
    year = plan.in_turns({"year": lambda seconds: 1000 * _mean_seconds_of(_year)}, " ms")["year"]
    report.add(Row("counts by week and country for a year", year, rows=rows))
    scans = _scans(_year)
    report.add(Row("the same: scans of Signature", Figure((scans,), ""), target=none, rows=rows))


def _count_row(plan: Plan, work: str, rows: int, read: Callable[[str], object] = tally.exact) -> Row:
    row = Signature.objects.values_list("pk", flat=True).first()

    def by_key() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM petition_signature WHERE id = %s", [row])
            cursor.fetchone()

    figures = plan.in_turns(
        {
            "count": lambda seconds: 1e6 * _mean_seconds_of(lambda: read("chechnya")),
            "key": lambda seconds: 1e6 * _mean_seconds_of(by_key),
        },
        " µs",
    )
    return Row(work, figures["count"], "one row by its key", figures["key"], Target(20, at_most=True), rows)


def _mean_seconds_of(work: Callable[[], object], most: float = 0.5) -> float:
    """The time of one call, after a first one that does not count."""
    work()
    calls, started = 0, time.perf_counter()
    while not calls or time.perf_counter() - started < most:
        work()
        calls += 1
    return (time.perf_counter() - started) / calls


@contextmanager
def _unfolded(database: str, measures: list[str]) -> Iterator[None]:
    """A ledger as a stopped folder leaves it; taken away again afterwards, since nobody signed."""
    ((last,),) = environment.sql(database, "SELECT coalesce(max(id), 0) FROM petition_tallychange")
    environment.sql(
        database,
        f"""
        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)
        SELECT (SELECT min(id) FROM petition_petition), date_trunc('hour', now(), 'UTC'), 'DE', 'en', '',
            ('{{{",".join(measures)}}}'::text[])[1 + n % {len(measures)}], 1
        FROM generate_series(1, {UNFOLDED}) AS n
        """,  # noqa: S608
        "VACUUM ANALYZE petition_tallychange",
    )
    yield
    environment.sql(database, f"DELETE FROM petition_tallychange WHERE id > {last}", "VACUUM petition_tallychange")  # noqa: S608


def _year() -> list[object]:
    """Counts of a year as an organiser sees them."""
    since = timezone.now().date() - timedelta(days=365)
    question = Question.ask(Petition.objects.get().pk, ["week", "country"], f"{since}")
    with tally.snapshot():
        return list(breakdown.rows(question))


def _scans(work: Callable[[], object]) -> int:
    """Mentions of the table of signatures in the plans of all queries of `work`."""
    plans: list[str] = []

    def explain(execute: Callable[..., object], sql: str, params: Any, many: bool, context: dict[str, Any]) -> object:
        if not sql.startswith(("EXPLAIN", "SET TRANSACTION")):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.extend(line for (line,) in cursor.fetchall())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        work()
    return sum("petition_signature" in line for line in plans)


def export(plan: Plan, database: str, empty: str, rows: int, report: Report) -> None:
    """Memory is flat if a year takes no more of it than a month, or than a year in which nobody signed."""
    figures = plan.in_turns(
        {
            "year": lambda seconds: _peak_megabytes(database, days=365),
            "month": lambda seconds: _peak_megabytes(database, days=30),
            "nothing": lambda seconds: _peak_megabytes(empty, days=365),
        },
        " MB",
    )
    target = Target(1.2, at_most=True)
    for beside, lane in (("of a month", "month"), ("on an empty table", "nothing")):
        report.add(Row("export of a year: memory", figures["year"], beside, figures[lane], target, rows))
    scans = _scans(_export)
    report.add(
        Row("export of a year: scans of Signature", Figure((scans,), ""), target=Target(0, at_most=True), rows=rows)
    )
    figures = plan.in_turns({"export": lambda seconds: seconds_of(_export)}, " s")
    report.add(Row("export of a year by everything", figures["export"], rows=rows))


def _export() -> None:
    call_command("export_counts", *_options(365), stdout=io.StringIO(), stderr=io.StringIO())


def _options(days: int) -> tuple[str, ...]:
    since = timezone.now().date() - timedelta(days=days)
    by = "week,country,language,source,measure"
    return ("--by", by, "--since", f"{since}", "--format", "csv", "--out", str(environment.VAR / "export.csv"))


def _peak_megabytes(database: str, days: int) -> float:
    command = ("manage.py", "export_counts", *_options(days))
    with environment.process("export", *command, database=database) as started:
        return environment.usage(started).ru_maxrss / 1024


def mail(plan: Plan, database: str, rows: int, report: Report) -> None:
    """Mails that workers send, beside those of one connection that has every message ready."""
    settings.EMAIL_DIGEST_KEY = environment.worker_keys()["EMAIL_DIGEST_KEY"]
    signers.mails(database, plan.mails)
    ready = signers.finished_messages(database)
    with environment.sink(database) as sink:
        figures = plan.in_turns(
            {
                "one": lambda seconds: _drain(sink, database, plan.mails, workers=1),
                "two": lambda seconds: _drain(sink, database, plan.mails, workers=2),
                "alone": lambda seconds: _push(sink, ready),
            }
        )
        target, against = Target(MAILS_PER_SECOND), "one SMTP connection alone"
        bound = f"bound by the slow digest, {_digest_milliseconds():.1f} ms of a core for each"
        report.add(Row("mail drain, one worker", figures["one"], target=target, rows=rows, note=bound))
        report.add(Row("mail drain, one worker", figures["one"], against, figures["alone"], None, rows))
        cores = _cores(plan, sink, database)
        work = "mail drain, cores of one worker at what the spike takes in"
        report.add(Row(work, cores, target=Target(1 / 3, at_most=True), rows=rows, note=bound))
        spike = Figure(tuple(SPIKE_MAILS_PER_SECOND for _ in figures["two"].values))
        report.add(Row("mail drain, two workers", figures["two"], "what the spike takes in", spike, Target(1), rows))
        report.add(Row("mail drain, two workers", figures["two"], "one worker", figures["one"], None, rows))
        with smtplib.SMTP("127.0.0.1", sink.port) as smtp:
            smtp.docmd(f"XDELAY {SLOW_MAIL_SECONDS}")
        few = plan.mails // 3
        figures = plan.in_turns(
            {
                "one": lambda seconds: _drain(sink, database, few, workers=1),
                "alone": lambda seconds: _push(sink, ready[:few]),
            }
        )
    note = f"into a server that takes {1000 * SLOW_MAIL_SECONDS:.0f} ms for each"
    report.add(Row("mail drain, one worker", figures["one"], against, figures["alone"], None, rows, note=note))


def _digest_milliseconds(calls: int = 50) -> float:
    """Processor time of one. It is what a thief of database and key needs for each address that he tries."""
    begun = time.process_time()
    for _ in range(calls):
        identity.email_digest("anna@example.org")
    return 1000 * (time.process_time() - begun) / calls


def _worker(name: str, sink: Process, database: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A worker that empties the outbox and ends."""
    keys = environment.worker_keys() | {"EMAIL_URL": f"smtp://127.0.0.1:{sink.port}"}
    return environment.process(name, "manage.py", "worker", "--once", database=database, **keys)


def _drain(sink: Process, database: str, number: int, workers: int) -> float:
    signers.mails(database, number)
    with smtplib.SMTP("127.0.0.1", sink.port) as smtp, ExitStack() as running:
        smtp.docmd("XRESET")
        started = [running.enter_context(_worker(f"worker-{n}", sink, database)) for n in range(workers)]
        for worker in started:
            worker.wait()
        return _rate(smtp, number)


def _cores(plan: Plan, sink: Process, database: str) -> Figure:
    """Cores that one worker keeps busy while it sends SPIKE_MAILS_PER_SECOND: its processor time for each, times these.

    The start of the worker is taken off, as measured with one that finds nothing to send.
    """

    def seconds_for(number: int) -> float:
        signers.mails(database, number)
        with _worker("worker", sink, database) as started:
            used = environment.usage(started)
        return used.ru_utime + used.ru_stime

    figures = plan.in_turns(
        {"all": lambda seconds: seconds_for(plan.mails), "none": lambda seconds: seconds_for(0)}, " s"
    )
    differences = (a - b for a, b in zip(figures["all"].values, figures["none"].values, strict=True))
    return Figure(tuple(SPIKE_MAILS_PER_SECOND * difference / plan.mails for difference in differences), "")


def _push(sink: Process, messages: list[tuple[str, bytes]]) -> float:
    with smtplib.SMTP("127.0.0.1", sink.port) as smtp:
        smtp.docmd("XRESET")
        for recipient, message in messages:
            smtp.sendmail("confirm@127.0.0.1", [recipient], message)
        return _rate(smtp, len(messages))


def _rate(smtp: smtplib.SMTP, number: int) -> float:
    """Mails a second, from the first that came in to the last."""
    count, first, last = map(float, smtp.docmd("XCOUNT")[1].split())
    if count != number:
        raise LoadError(f"{count:.0f} of {number} mails arrived.")
    return (number - 1) / (last - first)
