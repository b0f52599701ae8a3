"""Pages, the live number, signing and confirming: what a visitor waits for."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bench import environment, load, signers
from bench.environment import Process
from bench.load import LoadError, wrk
from bench.plan import Lane, Plan
from bench.report import Report, Row, Target

BARE = "/en/bench/bare/"
SIGN_WITHOUT_DATABASE = "/en/bench/sign/"
# Tells the app that a cache stands in front, so that it makes each answer anew.
ANEW = ("Surrogate-Capability", 'nginx="Surrogate/1.0"')
LINKS_PER_SECOND = 2_500


Running = tuple[Process, str]
"""The app and its database."""


@dataclass(frozen=True)
class Site:
    """The product on a database with so many signatures: the app alone, nginx in front, and the ceilings."""

    rows: int
    database: str
    app: Process
    front: Process
    files: str
    ceilings: Process


def get(url: str, *header: str, connections: int) -> Lane:
    return lambda seconds: wrk(url, "get.lua", *header, connections=connections, seconds=seconds).per_second


def inserts(database: str, connections: int) -> Lane:
    """One-row transactions, each on disk before the next of its client."""
    environment.sql(
        database,
        "CREATE TABLE IF NOT EXISTS bench_insert (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)",
    )
    return lambda seconds: load.pgbench(
        environment.url(database), "insert.sql", "-T", str(seconds), clients=connections
    )


def sign(app: Process, database: str, connections: int, cpu: bool = False) -> Lane:
    """People signing, each with an address and a network of their own; with `cpu` the milliseconds that one costs."""

    def lane(seconds: int) -> float:
        (before,) = environment.sql(database, "SELECT count(*) FROM petition_outgoingmail")
        word = secrets.token_hex(4)
        used = cpu_of(app)
        done = wrk(app.url + environment.SIGN, "sign.lua", word, connections=connections, seconds=seconds)
        used = cpu_of(app) - used
        (after,) = environment.sql(database, "SELECT count(*) FROM petition_outgoingmail")
        if after[0] - before[0] < done.requests:
            raise LoadError(f"{done.requests} people were told that they signed; {after[0] - before[0]} did.")
        return 1000 * used / done.requests if cpu else done.per_second

    return lane


def sign_without_database(ceilings: Process, connections: int) -> Lane:
    url = ceilings.url + SIGN_WITHOUT_DATABASE
    return lambda seconds: (
        wrk(url, "sign.lua", secrets.token_hex(4), connections=connections, seconds=seconds).per_second
    )


def open_links(app: Process, database: str, connections: int) -> Lane:
    """Opening the page behind the link in the mail."""

    def lane(seconds: int) -> float:
        links = signers.links(database, 1_000)
        arguments = ("GET", str(links.file), str(load.THREADS))
        return wrk(app.url, "confirm.lua", *arguments, connections=connections, seconds=seconds).per_second

    return lane


def press(app: Process, database: str, connections: int, cpu: bool = False) -> Lane:
    """Pressing the button behind the link, once for each; with `cpu` the milliseconds that one costs."""

    def lane(seconds: int) -> float:
        links = signers.links(database, seconds * LINKS_PER_SECOND)
        used = cpu_of(app)
        arguments = ("POST", str(links.file), str(load.THREADS))
        done = wrk(app.url, "confirm.lua", *arguments, connections=connections, seconds=seconds)
        used = cpu_of(app) - used
        confirmed = signers.confirmed(links.ids)
        # Those that were under way when the load ended, or pressed a second time because no link was left.
        if confirmed < done.requests - connections:
            raise LoadError(f"{done.requests} people were told that they are counted; {confirmed} are.")
        return 1000 * used / done.requests if cpu else done.per_second

    return lane


def cpu_of(app: Process) -> float:
    return environment.cpu_seconds(app.pid) + environment.cpu_seconds(environment.postgres_pid())


def anew(app: Process, path: str, connections: int) -> Lane:
    """The milliseconds of processor time that an answer costs which no cache holds."""

    def lane(seconds: int) -> float:
        used = cpu_of(app)
        done = wrk(app.url + path, "get.lua", *ANEW, connections=connections, seconds=seconds)
        return 1000 * (cpu_of(app) - used) / done.requests

    return lane


def pages(plan: Plan, site: Site, report: Report) -> None:
    """Cacheable answers, from the cache in front and from the app alone."""
    environment.keep_as_files(site.app)
    for connections in plan.connections:
        at16 = connections == plan.connections[0]
        figures = plan.in_turns(
            {
                "page": get(site.front.url + environment.HOME, connections=connections),
                "page file": get(f"{site.files}/page.html", connections=connections),
                "count": get(site.front.url + environment.COUNT, connections=connections),
                "count file": get(f"{site.files}/count.json", connections=connections),
                "app page": get(site.app.url + environment.HOME, connections=connections),
                "app count": get(site.app.url + environment.COUNT, connections=connections),
                "app page anew": get(site.app.url + environment.HOME, *ANEW, connections=connections),
                "app count anew": get(site.app.url + environment.COUNT, *ANEW, connections=connections),
                "bare": get(site.ceilings.url + BARE, connections=connections),
            }
        )
        for work, mine, against, its, limit in (
            ("page GET through nginx", "page", "nginx, same bytes as a file", "page file", 0.8),
            ("count.json through nginx", "count", "nginx, same bytes as a file", "count file", 0.8),
            ("page GET, app alone", "app page", "bare Django view", "bare", 0.9),
            ("count.json, app alone", "app count", "bare Django view", "bare", None),
            ("page GET, made anew each time", "app page anew", "bare Django view", "bare", None),
            ("count.json, made anew each time", "app count anew", "bare Django view", "bare", None),
        ):
            target = Target(limit) if limit and at16 else None
            report.add(Row(work, figures[mine], against, figures[its], target, site.rows, connections))


def signing(plan: Plan, site: Site, report: Report) -> None:
    _writing(
        plan,
        site,
        report,
        "sign POST",
        lambda connections: {
            "work": sign(site.app, site.database, connections),
            "without": sign_without_database(site.ceilings, connections),
            "insert": inserts(site.database, connections),
        },
        (("pgbench one-row inserts", "insert", 0.15), ("same view without the database", "without", 0.35)),
    )


def confirming(plan: Plan, site: Site, report: Report) -> None:
    _writing(
        plan,
        site,
        report,
        "confirm POST",
        lambda connections: {
            "work": press(site.app, site.database, connections),
            "open": open_links(site.app, site.database, connections),
            "bare": get(site.ceilings.url + BARE, connections=connections),
            "insert": inserts(site.database, connections),
        },
        (("pgbench one-row inserts", "insert", 0.15),),
    )


def _writing(
    plan: Plan,
    site: Site,
    report: Report,
    work: str,
    lanes_at: Callable[[int], dict[str, Lane]],
    ceilings: tuple[tuple[str, str, float], ...],
) -> None:
    """Measure at every number of connections in turns, so that these can be compared too."""
    lanes = {
        f"{name} {connections}": lane
        for connections in plan.connections
        for name, lane in lanes_at(connections).items()
    }
    figures = plan.in_turns(lanes)
    for connections in plan.connections:
        at16 = connections == plan.connections[0]
        measured = figures[f"work {connections}"]
        for against, its, limit in ceilings:
            ceiling, target = figures[f"{its} {connections}"], Target(limit) if at16 else None
            report.add(Row(work, measured, against, ceiling, target, site.rows, connections))
        if opened := figures.get(f"open {connections}"):
            bare = figures[f"bare {connections}"]
            report.add(Row("confirm GET", opened, "bare Django view", bare, None, site.rows, connections))
    few, many = plan.connections[0], plan.connections[-1]
    if few == many:
        report.add(Row(work, target=Target(0.95), rows=site.rows, note="64 connections are not part of --quick"))
        return
    figures_at = figures[f"work {many}"], figures[f"work {few}"]
    report.add(Row(work, figures_at[0], f"with {few} connections", figures_at[1], Target(0.95), site.rows, many))


def growth(plan: Plan, empty: Running, full: Running, rows: int, report: Report) -> None:
    """Processor time, of app and PostgreSQL together, for one request on a full table and on an empty one."""
    connections = plan.connections[0]
    works: dict[str, Callable[[Running], Lane]] = {
        "page, CPU for one": lambda running: anew(running[0], environment.HOME, connections),
        "count.json, CPU for one": lambda running: anew(running[0], environment.COUNT, connections),
        "sign, CPU for one": lambda running: sign(*running, connections, cpu=True),
        "confirm, CPU for one": lambda running: press(*running, connections, cpu=True),
    }
    for work, lane_of in works.items():
        figures = plan.in_turns({"full": lane_of(full), "empty": lane_of(empty)}, " ms")
        target = Target(1.15, at_most=True)
        report.add(Row(work, figures["full"], "on an empty table", figures["empty"], target, rows, connections))
