"""The parts under measurement, started as production starts them, with files of their own in var/bench.

The PostgreSQL is durable and set as `make run` sets it. It holds one database for each number of signatures, so that an
empty one and a full one can be measured in turns. A seeded one is kept for the next run, without what the bench wrote.
"""

# ruff: noqa: S603, S608, T201, every command and statement here is our own, and talking is what this program is for
import gzip
import hashlib
import http.client
import logging
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import django
import pgtrigger
import psycopg2

from config.local import postgres
from config.local.run import PROJECT, make_secrets
from tests.support import nginx

VAR = PROJECT / "var" / "bench"
LOGS = VAR / "logs"
CEILING = VAR / "ceiling"
HOME = "/en/"
COUNT = "/petitions/chechnya/count.json"
SIGN = "/en/petitions/chechnya/sign/"
START_SECONDS = 60
STOP_SECONDS = 15


@dataclass(frozen=True)
class Process:
    """A server on 127.0.0.1; `pid` is the root of its processes."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running() -> Iterator[None]:
    """PostgreSQL, secrets and static files; and this process as one of the product's."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _leave)
    if "MAKELEVEL" in os.environ:
        postgres.end_with(os.getppid(), signal.SIGTERM)
    for folder in (LOGS, CEILING):
        folder.mkdir(parents=True, exist_ok=True)
    make_secrets(VAR)
    os.environ |= {"LOCAL": "1", "VAR_DIR": str(VAR), "TRUSTED_PROXIES": "127.0.0.1/32", "PYTHONUNBUFFERED": "1"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ.pop("DATABASE_URL", None)
    if (lock := postgres.try_lock(VAR / "bench.lock")) is None:
        raise SystemExit("A bench is running already.")
    with lock, postgres.running(VAR / "postgres"):
        django.setup()
        yield


def _leave(signum: int, frame: object) -> NoReturn:
    raise SystemExit(f"Stopped by {signal.Signals(signum).name}.")


def url(database: str) -> str:
    return postgres.url(VAR / "postgres").replace("/petition?", f"/{database}?")


def postgres_pid() -> int:
    return int((VAR / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


def sql(database: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run each in a transaction of its own; the rows of the last."""
    with closing(psycopg2.connect(url(database))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def use(database: str) -> None:
    """Let the ORM of this process talk to another database, and seal with the keys of its worker."""
    from django.conf import settings
    from django.db import connection

    from petition.mail import keys

    connection.close()
    connection.settings_dict["NAME"] = database
    settings.OUTBOX_KEYS_DIR = keys_of(database)
    keys._newest = None


def keys_of(database: str) -> str:
    """A directory for its outbox keys: a worker destroys those that its database does not know."""
    return str(VAR / "outbox-keys" / database)


def publish_a_key() -> None:
    """Do what the first start of a worker does, so that people can sign before one runs."""
    from petition.mail.keys import Keyring

    Keyring().rotate()


def prepare(rows: int, fresh: bool = False, days: int | None = None) -> str:
    """The name of a migrated database with so many signatures, of so many days, and nothing of an earlier bench."""
    database, recipe = f"rows_{rows}" + (f"_of_{days}_days" if days else ""), _recipe()
    # Empty is empty: even dead rows would weigh. A full one is only made anew when it would come out otherwise.
    if fresh or rows == 0 or _recipe(database) != recipe:
        sql("petition", f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
    run("-m", "config.local", "prepare", database=database)
    if _recipe(database) is None:
        started = time.monotonic()
        of_days = ["--days", str(days)] if days else []
        run("manage.py", "seed_signatures", str(rows), *of_days, database=database)
        print(f"Seeded {rows:,} signatures in {time.monotonic() - started:.0f} seconds.", flush=True)
        sql(
            database,
            "CREATE TABLE bench_seeds AS SELECT id FROM petition_signature",
            "ALTER TABLE bench_seeds ADD PRIMARY KEY (id)",
            f"COMMENT ON DATABASE {database} IS '{recipe}'",
        )
    use(database)
    publish_a_key()
    logging.getLogger("pgtrigger").setLevel(logging.WARNING)
    pgtrigger.install()
    pgtrigger.prune()
    clear(database)
    return database


def clear(database: str) -> None:
    """Remove what a bench wrote after the seeds, and leave no vacuum for later to disturb what is measured."""
    written = "petition_outgoingmail, petition_link, petition_cache"
    # Ids are random, so they do not tell which came later.
    others = "NOT EXISTS (SELECT FROM bench_seeds seed WHERE seed.id = signature.id)"
    sql(database, f"DELETE FROM petition_signature signature WHERE {others}", f"TRUNCATE {written}")
    fold(database)
    # Millions of changes at once, which no worker lets come together, leave the ledger an index of empty pages.
    sql(database, "REINDEX TABLE petition_tallychange", "VACUUM ANALYZE", "CHECKPOINT")


def fold(database: str) -> None:
    """Fold the ledger as the worker does every second, which does not run while single things are measured."""
    from petition.counts import tally

    use(database)
    while tally.fold():
        pass


def _recipe(database: str | None = None) -> str | None:
    """The origin of a seeded database, or that of one seeded now; None while it is unfinished or missing."""
    if database:
        query = f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{database}'"
        return next((comment for (comment,) in sql("petition", query)), None)
    sources = [PROJECT / "petition" / "management" / "commands" / "seed_signatures.py"]
    sources += sorted((PROJECT / "petition" / "migrations").glob("0*.py"))
    lines = {line for source in sources for line in source.read_text().splitlines()}
    # Triggers are put up anew each time, and seeds need not be.
    lines = {line for line in lines if "pgtrigger" not in line and not line.startswith("#")}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def variables(database: str, **more: str) -> dict[str, str]:
    return os.environ | {"DATABASE_URL": url(database), "OUTBOX_KEYS_DIR": keys_of(database)} | more


def run(*arguments: str, database: str, **more: str) -> str:
    """The output of one of our programs. SystemExit if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=variables(database, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def process(name: str, *arguments: str, database: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our programs in a process group of its own, until the block is left."""
    with (LOGS / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=variables(database, **more),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=partial(postgres.end_with, os.getpid(), signal.SIGTERM),
        )
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def usage(started: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """The processor time and memory that a process took, once it has ended. SystemExit if it fails."""
    _pid, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{started.args!r} failed; see the logs in {LOGS}.")
    return used


@contextmanager
def web(database: str, settings: str = "config.settings", **more: str) -> Iterator[Process]:
    """The app server exactly as `make run` starts it."""
    port = free_port()
    more |= {"GRANIAN_HOST": "127.0.0.1", "GRANIAN_PORT": str(port), "DJANGO_SETTINGS_MODULE": settings}
    with process(f"web-{database}-{settings}", "-m", "config.serve", database=database, **more) as started:
        _wait_for(port, "/healthz")
        yield Process(port, started.pid)


@contextmanager
def cache(app: Process) -> Iterator[tuple[Process, str]]:
    """The shipped nginx in front of the app; and where the same nginx serves what lies in CEILING as files."""
    ports, ceiling_port = (free_port(), free_port()), free_port()
    files = f"""
    server {{
        listen 127.0.0.1:{ceiling_port};
        root {CEILING};
        access_log off;
        # As the site does.
        keepalive_requests 1;
        location = /page.html {{ gzip_static on; }}
        location = /count.json {{ keepalive_requests 3; }}
    }}
    """
    folder, static, workers = VAR / f"nginx-{ports[0]}", VAR / "static", os.cpu_count() or 1
    with nginx.running(folder, f"127.0.0.1:{app.port}", static, ports, workers=workers, more=files):
        yield Process(ports[0], int((folder / "nginx.pid").read_text())), f"http://127.0.0.1:{ceiling_port}"
    shutil.copy(folder / "error.log", LOGS / "nginx.log")
    shutil.rmtree(folder)


@contextmanager
def sink(database: str) -> Iterator[Process]:
    port = free_port()
    with process("sink", "-m", "bench.sink", str(port), database=database) as started:
        _wait_for(port)
        yield Process(port, started.pid)


def keep_as_files(app: Process) -> None:
    """Lay the answers of the app down as files, compressed where they came compressed, for nginx to serve."""
    page, encoding = fetch(app, HOME)
    if encoding != "gzip":
        raise SystemExit("The page did not come compressed.")
    (CEILING / "page.html.gz").write_bytes(page)
    (CEILING / "page.html").write_bytes(gzip.decompress(page))
    (CEILING / "count.json").write_bytes(fetch(app, COUNT)[0])


def fetch(server: Process, path: str) -> tuple[bytes, str]:
    """The bytes of an answer as they came, and its encoding."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{path} answered {answer.status}")
        return body, answer.headers.get("Content-Encoding", "")


def worker_keys(var: Path = VAR) -> dict[str, str]:
    """Variables that only a worker may have."""
    return dict([(var / "worker.env").read_text().strip().split("=")])


def visitor_address() -> str:
    """Any address of 127.0.0.0/8: every one of them is this machine."""
    return f"127.{random.randint(1, 250)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, path: str = "") -> None:
    """Return once the port answers; with a path, once that is served."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            if not path:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                return
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", path)
                if connection.getresponse().status == http.HTTPStatus.OK:
                    return
        time.sleep(0.1)
    raise SystemExit(f"A server did not start; see the logs in {LOGS}.")


def cpu_seconds(root: int) -> float:
    """The processor time that a process and everything below it have used so far, ended children included."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of the program may hold anything, so what follows the last bracket counts.
            values = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], used[pid] = int(values[1]), sum(map(int, values[11:15]))
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(used.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, object]:
    """Hardware, load and versions that the figures were measured with."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    version = sql("petition", "SHOW server_version")[0][0]
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": git.stdout.strip(),
        "cores": os.cpu_count(),
        "processor": model[1] if model else "",
        "load_before": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "django": django.get_version(),
        "postgresql": version,
    }
