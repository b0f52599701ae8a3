"""The site as it is deployed, on this machine: nginx, granian behind a unix socket, two workers, Debian's PostgreSQL, a
mail server; and a supervisor that starts again what has ended, as systemd does.

Everything is started for real and can be killed, stopped, filled up or lied to.
"""

import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Self

import psycopg2
from django.conf import settings

from petition.models.link import token_digest
from tests.faults.ledger import Row, Signers
from tests.support import nginx, server
from tests.support.mail_server import MailServer

UNITS = nginx.PROJECT / "deploy" / "systemd"
PER_SECOND = 12
RESTART_SECONDS = 1
QUEUE_SECONDS = 60
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"), key=lambda path: int(path.parent.name))
MISSING = nginx.MISSING or (None if (BIN / "postgres").exists() else "Debian's PostgreSQL is not installed")
WAITING = "SELECT count(*) FROM petition_outgoingmail WHERE parked_at IS NULL"
UNCOUNTED = """
    SELECT token_digest FROM unnest(%s) AS told (token_digest) WHERE NOT EXISTS (
        SELECT FROM petition_link link JOIN petition_signature signature ON signature.id = link.signature_id
        WHERE link.token_digest = told.token_digest AND signature.confirmed_at IS NOT NULL
    )
"""


def as_owner(*command: str | Path) -> list[str]:
    """PostgreSQL and PgBouncer refuse to be root; they end with us."""
    if os.getuid() != 0:
        return [*map(str, command)]
    user = ("--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL")
    return ["setpriv", *user, *map(str, command)]


def family(root: int) -> list[int]:
    """A process and all below it, parents first."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


class Service:
    """A process that is started again whenever it ends. `alone` leaves be what it leaves behind, unlike systemd."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, alone: bool = False, **options: Any
    ) -> None:
        self.name, self.command, self.log, self.alone, self.options = name, [*map(str, command)], log, alone, options
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = threading.Event()
        self.starts = 0
        self.before: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        self.wanted.set()
        threading.Thread(target=self.keep, daemon=True).start()
        server.wait_until(lambda: self.process, 10)
        return self

    def __exit__(self, *exception: object) -> None:
        self.wanted.clear()
        self.kill(signal.SIGTERM)
        if self.process:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.signal_group(signal.SIGKILL)

    def keep(self) -> None:
        while self.wanted.is_set():
            self.before()
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    **self.options,
                )
            self.starts += 1
            self.process.wait()
            if not self.alone:
                self.signal_group(signal.SIGKILL)
            if self.wanted.is_set():
                time.sleep(RESTART_SECONDS)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                self.process.send_signal(signum)

    def signal_group(self, signum: int) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)

    def pids(self) -> list[int]:
        return family(self.process.pid) if self.process else []


class Cluster:
    """A PostgreSQL of Debian in a folder of its own, reached through a socket there and on a port of 127.0.0.1."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log, self.port = folder, log, server.free_port()
        self.data = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None

    def make_folder(self) -> None:
        self.folder.mkdir(mode=0o755)
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)

    def make(self) -> None:
        self.make_folder()
        self.run(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"
        )
        shipped = (nginx.PROJECT / "deploy" / "postgresql.conf").read_text()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"\nshared_buffers = 64MB\n{shipped}")

    def run(self, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(as_owner(BIN / program, *arguments), capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def configure(self, **values: str) -> None:
        """For the next start, or for now with reload()."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())

    def reload(self, **values: str) -> None:
        self.configure(**values)
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        where = ("-D", self.data, "-k", self.folder, "-c", "listen_addresses=127.0.0.1", "-p", str(self.port))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                as_owner(BIN / "postgres", *where), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        server.wait_until(self.answers, 60)

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.dsn("postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """All its processes at once, as if the machine had lost its power."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()

    def stop(self, signum: int = signal.SIGINT) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signum)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def wait(self) -> None:
        assert self.process
        self.process.wait(15)

    def pids(self) -> list[int]:
        return family(self.process.pid) if self.process and self.process.poll() is None else []

    def dsn(self, user: str = "petition", database: str = "petition") -> str:
        return f"host={self.folder} port={self.port} user={user} dbname={database if user == 'petition' else user}"

    @property
    def url(self) -> str:
        return f"postgresql://petition@/petition?host={self.folder}&port={self.port}"

    def sql(self, statement: str, *values: Any, user: str = "petition") -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn(user), connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []


class Site:
    """The whole site. What differs from the usual is set before it starts."""

    def __init__(self, made: Path) -> None:
        """`made` is a folder with a migrated cluster, which is copied."""
        self.folder = Path(tempfile.mkdtemp(prefix="petition-faults-"))
        self.folder.chmod(0o755)
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.socket = self.folder / "run" / "web.sock"
        self.project = nginx.PROJECT
        self.cluster = Cluster(self.folder / "postgres", self.logs / "postgres.log")
        subprocess.run(["cp", "-a", made, self.cluster.folder], check=True)
        self.mail = MailServer()
        self.variables: dict[str, str] = {}
        self.of_web: dict[str, str] = {}
        self.of_worker: dict[int, dict[str, str]] = {}
        self.emptied_by_systemd = True
        self.port = server.free_port()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.callback(shutil.rmtree, self.folder, ignore_errors=True)
            started.callback(self.keep_logs)
            started.callback(self.stop_cluster)
            self.socket.parent.mkdir()
            if not self.cluster.pids():
                self.cluster.start()
            started.enter_context(self.mail)
            self.variables.setdefault("DATABASE_URL", self.cluster.url)
            ports = self.port, server.free_port()
            socket = f"unix:{self.socket}"
            started.enter_context(nginx.running(self.folder / "nginx", socket, settings.STATIC_ROOT, ports, workers=2))
            self.web = started.enter_context(self.serve())
            self.workers = [started.enter_context(self.work(number)) for number in (1, 2)]
            server.wait_until(self.is_healthy, 90, 0.2)
            self.started = started.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.started.close()

    def keep_logs(self) -> None:
        """FAULTS_LOGS names a folder for those of all sites, to find out what happened."""
        if folder := os.environ.get("FAULTS_LOGS"):
            shutil.copytree(self.logs, Path(folder) / self.folder.name)

    def stop_cluster(self) -> None:
        for pid in self.cluster.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.cluster.stop()

    def environment(self, **more: str) -> dict[str, str]:
        """As the units set it."""
        return server.environment(
            TRUSTED_PROXIES="unix",
            EMAIL_URL=f"smtp://127.0.0.1:{self.mail.port}",
            DJANGO_SETTINGS_MODULE="config.settings",
            **self.variables | more,
        )

    def serve(self) -> Service:
        command = unit_command("petition-web.service", self.socket)
        started = Service(
            "web",
            command,
            self.logs / "web.log",
            not self.emptied_by_systemd,
            cwd=self.project,
            env=self.environment(**self.of_web),
        )
        if self.emptied_by_systemd:
            started.before = lambda: self.socket.unlink(missing_ok=True)
        return started

    def work(self, number: int) -> Service:
        keys = server.worker_keys() | {
            "OUTBOX_KEYS_DIR": str(self.folder / "outbox-keys"),
            "WITHDRAWN_LIST": str(self.folder / "withdrawals" / "list"),
        }
        values = self.environment(**keys, **self.of_worker.get(number, {}))
        command = [server.PYTHON, "manage.py", "worker"]
        return Service(f"worker {number}", command, self.logs / f"worker-{number}.log", cwd=self.project, env=values)

    def kill_something(self, chance: Random) -> None:
        """The app as a whole, one of its processes, or a worker."""
        victims: list[Callable[[], None]] = [
            self.web.kill,
            self.kill_web_process,
            *(work.kill for work in self.workers),
        ]
        chance.choice(victims)()

    def kill_web_process(self) -> None:
        """One that serves; the app itself goes on and starts another."""
        if children := self.web.pids()[1:]:
            with suppress(ProcessLookupError):
                os.kill(children[-1], signal.SIGKILL)

    def is_healthy(self) -> bool:
        return self.health() is not None and self.health()["status"] == "ok"

    def health(self) -> dict[str, str] | None:
        """What /healthz says; None if it does not answer in two seconds and a little."""
        try:
            answer = server.fetch(self.port, "GET", "/healthz")
            return answer.json()
        except (OSError, ValueError):
            return None

    @contextmanager
    def crowd(self, per_second: float = PER_SECOND, before: float = 2, after: float = 5) -> Iterator[Signers]:
        """People who come all the time, from some seconds before the block until some after it; then they finish."""
        signers = Signers(self.port, self.mail)
        running = threading.Thread(target=signers.run, args=[per_second], daemon=True)
        running.start()
        try:
            # Whatever is broken then was whole before.
            server.wait_until(lambda: len(signers.confirmed) >= per_second * before, 60)
            yield signers
            time.sleep(after)
        finally:
            signers.leaves_at = time.monotonic()
            signers.leaving.set()
            running.join(300)
        assert not running.is_alive(), "people still wait"

    def row(self, signers: Signers, fault: str, **seen: Any) -> Row:
        """What came of it, once the mail has gone out; and the count has to be exact."""
        with suppress(AssertionError):
            server.wait_until(lambda: self.cluster.sql(WAITING) == [(0,)], QUEUE_SECONDS, 1)
        ((owed,),) = self.cluster.sql("SELECT count(*) FROM petition_outgoingmail")
        row = signers.row(fault, owed, self.uncounted)
        row.seen = {**seen, **self.recounted(), **({"mails still owed": owed} if owed else {})}
        return row

    def uncounted(self, tokens: list[str]) -> list[str]:
        digests = [token_digest(token) for token in tokens]
        return [digest for (digest,) in self.cluster.sql(UNCOUNTED, digests)]

    def recounted(self) -> dict[str, str]:
        said = self.manage("recount")
        return {} if "agree" in said else {"recount": said}

    def manage(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [server.PYTHON, "manage.py", *arguments],
            cwd=self.project,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr


def unit_command(unit: str, socket: Path) -> list[str]:
    """The ExecStart of a unit, with the paths of this machine."""
    found = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    assert found
    bin_folder = f"{Path(server.PYTHON).parent}/"
    text = found[1].replace("\\\n", " ").replace("/run/petition/web.sock", str(socket))
    return shlex.split(
        text.replace("/srv/petition/.venv/bin/", bin_folder).replace("/srv/petition/", f"{nginx.PROJECT}/")
    )


def make_cluster(folder: Path) -> Path:
    """A cluster with the tables and the content of a new site, stopped, to be copied."""
    cluster = Cluster(folder, folder.with_suffix(".log"))
    cluster.make()
    cluster.start()
    cluster.sql("CREATE ROLE petition LOGIN", user="postgres")
    cluster.sql("CREATE DATABASE petition OWNER petition", user="postgres")
    # Not all that `make run` prepares: to collect the static files anew would take them from other tests for seconds.
    for command in ("migrate", "load_campaign"):
        subprocess.run(
            [server.PYTHON, "manage.py", command],
            cwd=nginx.PROJECT,
            env=server.environment(DATABASE_URL=cluster.url),
            check=True,
            capture_output=True,
        )
    cluster.stop()
    return folder
