"""`make nodes`: the site on several machines, rehearsed on one, each in a network namespace of its own.

nginx, three app nodes, two workers, PgBouncer and PostgreSQL on each of two database nodes, of which the second follows
the first synchronously, and a third that follows later and is read by pages. First limits and switches are tried on
all app nodes. Then people sign while one node of each kind is killed, the primary last, and they note what they were
told. `--figures` measures one node and three under the same load instead, in processor time for each journey.

Needs root, nginx, Debian's PostgreSQL 15 or newer, and pgbouncer. The namespaces end with the process.
"""

# ruff: noqa: S603, S607, T201, every command here is our own, and talking is what this program is for
import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from bench import environment
from bench.journeys import Crowd
from bench.sink import Sink
from config.local import postgres
from config.local.run import PROJECT, make_secrets
from tests.support import nginx

VAR = PROJECT / "var" / "nodes"
LOGS = VAR / "logs"
WORLD, FRONT, APPS, WORKERS = "10.99.0.1", "10.99.0.2", ("10.99.0.11", "10.99.0.12", "10.99.0.13"), "10.99.0.21"
PRIMARY, SYNCHRONOUS, LATER = DATABASES = ("10.99.0.31", "10.99.0.32", "10.99.0.33")
VISITORS = "10.98.0.0/16"
PORT, APP_PORT, MAIL_PORT, POOL_PORT = 8080, 8000, 2525, 6432
# The pooler first; behind it the server itself, in case the pooler alone is gone.
PATIENCE = "target_session_attrs=read-write&connect_timeout=2&tcp_user_timeout=4000"
HOSTS = ",".join(f"{host}:{port}" for host in (PRIMARY, SYNCHRONOUS) for port in (POOL_PORT, 5432))
URL = f"postgresql://petition@{HOSTS}/petition?{PATIENCE}"
REPLICA_URL = f"postgresql://petition@{LATER}/petition"
PROMOTE_SECONDS = 1  # what a watchdog takes to notice; a person takes longer
AFTER_SECONDS = 10  # what fails later than that after a kill was not in flight

CURL = ("curl", "--silent", "-H", "Host: 127.0.0.1")
BOUNCER = """[databases]
petition = host={host} port=5432 dbname=petition
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = session
max_client_conn = 500
default_pool_size = 100
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make nodes", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--per-second", type=float, default=6, help="journeys")
    parser.add_argument("--figures", action="store_true", help="processor time for each journey, one node and three")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.inside:
        needed = ("nginx", "pgbouncer", "unshare", "nsenter", "setpriv", "curl")
        if missing := [name for name in needed if not shutil.which(name)] or os.geteuid():
            raise SystemExit(f"This needs root, and these programs: {missing or needed}")
        arguments = ["unshare", "--net", sys.executable, "-m", "bench.nodes", "--inside", *sys.argv[1:]]
        os.execvp("unshare", arguments)  # noqa: S606
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, environment._leave)
    shutil.rmtree(VAR, ignore_errors=True)
    LOGS.mkdir(parents=True)
    make_secrets(VAR)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "addr", "add", f"{WORLD}/16", "dev", "br0")
    run("ip", "link", "set", "br0", "up")
    # All of them are we, so that each visitor has an address.
    run("ip", "route", "add", "local", VISITORS, "dev", "lo")
    with ExitStack() as running:
        result = figures(running, chosen) if chosen.figures else rehearse(running, chosen)
    (VAR.parent / "nodes.json").write_text(json.dumps(result, indent=1))


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Node:
    """A machine: a network namespace that lives as long as its holder."""

    def __init__(self, address: str) -> None:
        self.address, self.name = address, f"n{address.rpartition('.')[2]}"
        end = partial(postgres.end_with, os.getpid(), signal.SIGKILL)
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=end)
        self.started: list[subprocess.Popen[bytes]] = []
        while (space := self._space(self.holder.pid)) == self._space(os.getpid()):
            time.sleep(0.01)
        self.space = space
        run("ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "link", "set", self.name, "master", "br0", "up")
        for line in (f"addr add {address}/16 dev eth0", "link set eth0 up", "link set lo up"):
            run(*self.inside("ip", *line.split()))
        run(*self.inside("ip", "route", "add", "default", "via", WORLD))

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *command]

    def start(self, name: str, *command: str, user: str = "", **variables: str) -> None:
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        with (LOGS / f"{self.name}-{name}.log").open("ab") as log:
            self.started.append(
                subprocess.Popen(
                    [*self.inside(*drop, *command)],
                    cwd=PROJECT,
                    env=os.environ | variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=partial(postgres.end_with, os.getpid(), signal.SIGKILL),
                )
            )

    def pids(self) -> dict[int, str]:
        """The processes of this machine, by their names."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            with suppress(OSError):
                if pid != self.holder.pid and self._space(pid) == self.space:
                    found[pid] = (process / "comm").read_text().strip()
        return found

    def kill(self, name: str = "") -> None:
        """SIGKILL to all of its processes at once, or to those of this name."""
        while pids := [pid for pid, found in self.pids().items() if name in found]:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for started in self.started:
                started.poll()

    def end(self) -> None:
        self.kill()
        self.holder.kill()

    def cpu_seconds(self) -> dict[str, float]:
        used: dict[str, float] = defaultdict(float)
        for pid, name in self.pids().items():
            with suppress(OSError):
                values = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
                used[name] += sum(map(int, values[11:15])) / os.sysconf("SC_CLK_TCK")
        return used

    @staticmethod
    def _space(pid: int) -> int:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino


@dataclass
class Site:
    """The machines by their addresses, and how many of each kind are in use."""

    nodes: dict[str, Node]
    apps: tuple[str, ...]
    url: str
    replica_url: str
    workers: int
    variables: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        secret = dict(line.split("=", 1) for line in (VAR / "local.env").read_text().split())
        self.variables = secret | {
            **{"VAR_DIR": str(VAR), "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "bench.nodes_settings"},
            **{"SITE_URL": "https://petition.example.org", "ALLOWED_HOSTS": "127.0.0.1", "DATABASE_URL": self.url},
            **{"EMAIL_URL": f"smtp://{WORLD}:{MAIL_PORT}", "TRUSTED_PROXIES": f"{FRONT}/32", "HOLD_PER_NETWORK": "0"},
            **({"REPLICA_URL": self.replica_url} if self.replica_url else {}),
        }

    def start_app(self, address: str) -> None:
        host = ("--host", address, "--port", str(APP_PORT))
        self.nodes[address].start("app", sys.executable, "-m", "config.serve", *host, **self.variables)

    def start_worker(self, number: int) -> None:
        keys = environment.worker_keys(VAR) | {
            "OUTBOX_KEYS_DIR": str(VAR / "outbox-keys"),
            "WITHDRAWN_LIST": str(VAR / "withdrawals" / "list"),
        }
        self.nodes[WORKERS].start(f"worker-{number}", sys.executable, "manage.py", "worker", **self.variables, **keys)

    def start_pooler(self, address: str) -> None:
        file = VAR / f"pgbouncer-{address}.ini"
        users = VAR / "users.txt"
        users.write_text('"petition" ""\n')
        file.write_text(BOUNCER.format(host=address, port=POOL_PORT, users=users))
        self.nodes[address].start("pgbouncer", "pgbouncer", str(file), user="postgres")

    def start_front(self) -> None:
        """The shipped nginx, with the lines for several servers that docs/nodes.md writes."""
        folder = VAR / "nginx"
        text = nginx.site(folder, "APP", VAR / "static")
        for queue in ("max_conns=32", "max_conns=128", "max_conns=256"):
            servers = "\n    ".join(f"server {app}:{APP_PORT} {queue};" for app in self.apps)
            text = text.replace(f"server APP {queue};", servers)
        text = text.replace("listen [::]:80;", "").replace("listen [::]:443 ssl backlog=4096;", "")
        text = text.replace("listen 443 ssl", f"listen {FRONT}:{PORT}").replace("listen 80;", f"listen {FRONT}:81;")
        conf = nginx.write(folder, nginx.without_tls(text), workers=2)
        self.nodes[FRONT].start("nginx", *nginx.command(conf))

    def start(self) -> None:
        for app in self.apps:
            self.start_app(app)
        for number in range(self.workers):
            self.start_worker(number)
        self.start_front()
        for app in self.apps:
            wait_for(f"http://{app}:{APP_PORT}/healthz", self.nodes[FRONT])
        wait_for(f"http://{FRONT}:{PORT}/en/", self.nodes[FRONT])

    def ask(self, app: str, path: str, *options: str) -> str:
        """An answer of this app node to nginx; only nginx is believed where a visitor came from."""
        command = (*CURL, "--max-time", "20", "-H", 'Surrogate-Capability: nginx="1"', *options)
        return run(*self.nodes[FRONT].inside(*command, f"http://{app}:{APP_PORT}{path}"))


def wait_for(url: str, node: Node) -> None:
    deadline = time.monotonic() + 60
    command = node.inside(*CURL, "--fail", "--max-time", "5", "-o", "/dev/null", url)
    while subprocess.call(command):
        if time.monotonic() > deadline:
            said = subprocess.run(
                node.inside(*CURL, "--include", "--max-time", "5", url), capture_output=True, text=True
            )
            raise SystemExit(f"{url} does not answer as it should; see the logs in {LOGS}.\n{said.stdout}")
        time.sleep(0.2)


class Server:
    """PostgreSQL on a node."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name, self.data = node, name, VAR / "postgres" / name
        self.programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]

    def make(self) -> None:
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.99.0.0/16 trust\nhost replication all 10.99.0.0/16 trust\n")
        self.start()

    def follow(self, *hosts: str) -> None:
        self._run("pg_basebackup", "-h", hosts[0], "-U", "postgres", "-D", str(self.data), "-c", "fast", "-R")
        # It finds its primary as the apps do.
        source = f"host={','.join(hosts)} user=postgres application_name={self.name} target_session_attrs=read-write"
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{source} connect_timeout=2'\n")
        self.start()

    def start(self) -> None:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = (
            *(f"listen_addresses={self.node.address}", "max_connections=300", "wal_keep_size=256MB"),
            *("wal_receiver_status_interval=1", "wal_retrieve_retry_interval=1s", "log_min_error_statement=panic"),
            *("log_error_verbosity=terse", "unix_socket_directories="),
        )
        settings = [part for option in options for part in ("-c", option)]
        self.node.start("postgres", str(self.programs / "postgres"), "-D", str(self.data), *settings, user="postgres")
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("SELECT 1")
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"PostgreSQL did not start; see {LOGS}.") from None
                time.sleep(0.1)
            else:
                return

    def ask(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        url = f"postgresql://postgres@{self.node.address}/{database}?connect_timeout=2"
        with closing(psycopg2.connect(url)) as session, session.cursor() as cursor:
            session.autocommit = True
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, name: str, *arguments: str) -> None:
        drop = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        run(*self.node.inside(*drop, str(self.programs / name), *arguments))


def databases(nodes: dict[str, Node]) -> list[Server]:
    """A primary, its synchronous standby, and the one that follows later."""
    home = VAR / "postgres"
    home.mkdir()
    shutil.chown(home, "postgres")
    os.environ["HOME"] = "/tmp"  # noqa: S108, where psql and its like look for files of ours
    servers = [Server(nodes[address], name) for address, name in zip(DATABASES, ("db1", "db2", "db3"), strict=True)]
    first, *others = servers
    first.make()
    first.ask("CREATE ROLE petition LOGIN", "CREATE DATABASE petition OWNER petition")
    for server in others:
        server.follow(PRIMARY, SYNCHRONOUS)
    return servers


def make_nodes(running: ExitStack) -> dict[str, Node]:
    nodes = {address: Node(address) for address in (FRONT, *APPS, WORKERS, *DATABASES)}
    for node in nodes.values():
        running.callback(node.end)
    return nodes


def prepare() -> None:
    print("tables and pages ...", flush=True)
    local = {"LOCAL": "1", "VAR_DIR": str(VAR), "DATABASE_URL": f"postgresql://petition@{PRIMARY}/petition"}
    run(sys.executable, "-m", "config.local", "prepare", env=os.environ | local)


def rehearse(running: ExitStack, chosen: argparse.Namespace) -> dict[str, Any]:
    nodes = make_nodes(running)
    servers = databases(nodes)
    site = Site(nodes, APPS, URL, REPLICA_URL, workers=2)
    prepare()
    servers[0].ask("ALTER SYSTEM SET synchronous_standby_names = 'db2'", "SELECT pg_reload_conf()")
    for address in (PRIMARY, SYNCHRONOUS):
        site.start_pooler(address)
    site.start()
    held = across_nodes(site, servers[0])
    print(*held, sep="\n", flush=True)
    kills = Kills(site, servers)
    crowd, mails = asyncio.run(load(chosen.seconds, chosen.per_second, kills.go))
    return judge(crowd, mails, kills, servers[1]) | {"across nodes": held}


def across_nodes(site: Site, primary: Server) -> list[str]:
    """What one app node is told holds on all of them."""
    said, form = [], ("-o", "/dev/null", "-w", "%{http_code}", "-X", "POST")
    codes = [
        site.ask(
            site.apps[number % 3], "/en/petitions/chechnya/confirm-code/", *form, "-H", "X-Forwarded-For: 10.98.1.1",
            "-d", "code=0000000000",
        )
        for number in range(7)
    ]  # fmt: skip
    said.append(f"seven codes from one address over three nodes: {' '.join(codes)}")
    primary.ask("UPDATE petition_switches SET burst_per_network = '4/m'", database="petition")
    primary.ask(
        "INSERT INTO petition_switches_translation (language_code, banner, master_id)"
        " SELECT 'en', 'Told once.', id FROM petition_switches",
        database="petition",
    )
    begun = time.monotonic()
    while not all("Told once." in site.ask(app, "/en/") for app in site.apps):
        if time.monotonic() - begun > 30:
            raise SystemExit("A banner does not show on every node.")
    said.append(f"a banner on all three nodes: {time.monotonic() - begun:.1f} s")
    signs = [
        site.ask(
            site.apps[number % 3], environment.SIGN, *form, "-H", "X-Forwarded-For: 10.98.1.2",
            "-d", f"email=limit{number}@example.org&consent=on&website=",
        )
        for number in range(6)
    ]  # fmt: skip
    said.append(f"six signatures from one address, four a minute allowed: {' '.join(signs)}")
    primary.ask("UPDATE petition_switches SET burst_per_network = ''", database="petition")
    if codes != ["422"] * 5 + ["429"] * 2 or signs != ["303"] * 4 + ["429"] * 2:
        raise SystemExit("\n".join(["A limit is not one limit.", *said]))
    return said


class Kills:
    """One node of each kind, while people sign; `done` says when, by the same clock as their diary."""

    def __init__(self, site: Site, servers: list[Server]) -> None:
        self.site, self.servers = site, servers
        self.done: list[tuple[float, str]] = []

    async def go(self, seconds: float) -> None:
        nodes, pause = self.site.nodes, seconds / 10
        steps: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
            ("app node", nodes[APPS[1]].kill, lambda: self.site.start_app(APPS[1])),
            ("worker", self.one_worker, lambda: self.site.start_worker(2)),
            ("PgBouncer", lambda: nodes[PRIMARY].kill("pgbouncer"), lambda: self.site.start_pooler(PRIMARY)),
            ("standby that is read", nodes[LATER].kill, self.servers[2].start),
            ("primary", nodes[PRIMARY].kill, self.promote),
        ]
        for name, kill, mend in steps:
            await asyncio.sleep(pause)
            self.done.append((time.monotonic(), name))
            await asyncio.to_thread(kill)
            await asyncio.sleep(PROMOTE_SECONDS if name == "primary" else pause / 2)
            await asyncio.to_thread(mend)
            print(f"killed: {name}", flush=True)

    def one_worker(self) -> None:
        pid = min(self.site.nodes[WORKERS].pids())
        os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        self.servers[1].ask("SELECT pg_promote()")


def visitor() -> str:
    return f"10.98.{random.randint(2, 250)}.{random.randint(1, 254)}"  # noqa: S311


async def load(
    seconds: float, per_second: float, beside: Callable[[float], Coroutine[Any, Any, None]]
) -> tuple[Crowd, Counter[str]]:
    crowd, mails = Crowd(PORT, FRONT, visitor), Counter[str]()

    def take(recipient: str, message: bytes) -> None:
        mails[recipient] += 1
        crowd.take_mail(recipient, message)

    server = await Sink(take).serve(MAIL_PORT, WORLD)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.come(60 * per_second, seconds))
        tasks.create_task(crowd.look(time.monotonic() + seconds))
        tasks.create_task(beside(seconds))
    server.close()
    return crowd, mails


def judge(crowd: Crowd, mails: Counter[str], kills: Kills, primary: Server) -> dict[str, Any]:
    diary = crowd.diary
    ((counted,),) = primary.ask(
        "SELECT count(*) FROM petition_signature WHERE confirmed_at IS NOT NULL", database="petition"
    )
    told, repeated = len(diary.counted_at), sum(number - 1 for number in mails.values())
    print(f"\n{diary.started:,} journeys, {diary.finished:,} finished; told that they are counted {told:,}, in the")
    print(f"database of the promoted standby {counted:,}; mails sent twice {repeated}")
    print("\n| killed | seconds until the last one noticed | who noticed |\n| --- | ---: | --- |")
    rows, late = [], []
    ends = [at for at, _name in kills.done[1:]] + [float("inf")]
    for (at, name), end in zip(kills.done, ends, strict=True):
        noticed = [(when - at, what) for when, what in diary.failed_at if at <= when < end]
        last = max((when for when, what in noticed if not what.startswith("mail")), default=0.0)
        what = Counter(what for _when, what in noticed)
        rows.append({"killed": name, "seconds": last, "noticed": what})
        late += [what for when, what in noticed if when > AFTER_SECONDS and not what.startswith("mail")]
        print(f"| {name} | {last:.1f} | {'; '.join(f'{n} x {w}' for w, n in what.items()) or 'nobody'} |")
    print("look:", diary.errors["look: failed"], "of", sum(map(len, diary.shown.values())), flush=True)
    # A mail that was claimed by whoever was killed comes later, and is not lost as long as its row is there.
    ((waiting,),) = primary.ask("SELECT count(*) FROM petition_outgoingmail", database="petition")
    without_mail = sum(number for what, number in diary.errors.items() if what.startswith("mail"))
    print(f"mails that had not come after a minute: {without_mail}, in the queue: {waiting}", flush=True)
    if told > counted or without_mail > waiting or late:
        raise SystemExit(f"LOST: {told - counted} confirmations, {without_mail - waiting} mails; too late: {late}")
    return {
        **{"journeys": diary.started, "finished": diary.finished, "told": told, "counted": counted},
        **{"repeated": repeated, "waiting": waiting, "kills": rows},
    }


def figures(running: ExitStack, chosen: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of processor time for each journey, by program, of one node of each kind and of all."""
    nodes = make_nodes(running)
    servers = databases(nodes)
    direct = f"postgresql://petition@{PRIMARY}/petition"
    forms = {
        "one node of each": Site(nodes, APPS[:1], direct, "", workers=1),
        "three app nodes": Site(nodes, APPS, direct, "", workers=2),
        "and PgBouncer": Site(nodes, APPS, URL, "", workers=2),
        "and a synchronous standby, pages from another": Site(nodes, APPS, URL, REPLICA_URL, workers=2),
    }
    prepare()
    for server in servers[1:]:
        server.node.kill()
    result: dict[str, Any] = {}
    for name, site in forms.items():
        if site.url == URL:
            site.start_pooler(PRIMARY)
        if site.replica_url:
            for server in servers[1:]:
                server.start()
            servers[0].ask("ALTER SYSTEM SET synchronous_standby_names = 'db2'", "SELECT pg_reload_conf()")
        site.start()
        before = cpu(nodes)

        async def rest(seconds: float) -> None:
            await asyncio.sleep(seconds)

        crowd, _mails = asyncio.run(load(chosen.seconds, chosen.per_second, rest))
        finished = crowd.diary.finished
        result[name] = {part: 1000 * (seconds - before[part]) / finished for part, seconds in cpu(nodes).items()}
        sign = milliseconds(crowd.diary.seconds["sign"])
        parts, total = {part: round(value, 1) for part, value in result[name].items()}, sum(result[name].values())
        print(f"{name}: {finished} of {crowd.diary.started}, {total:.1f} ms each, sign {sign}\n   {parts}", flush=True)
        for address in (FRONT, *APPS, WORKERS):
            nodes[address].kill()
        nodes[PRIMARY].kill("pgbouncer")
    return result


def milliseconds(values: list[float]) -> str:
    from bench.spike import percentile

    return " / ".join(f"{1000 * percentile(values, p):.0f}" for p in (50, 95)) + " ms"


def cpu(nodes: dict[str, Node]) -> dict[str, float]:
    used: dict[str, float] = defaultdict(float)
    kinds = {FRONT: "nginx", WORKERS: "worker", **dict.fromkeys(APPS, "app"), PRIMARY: "primary"}
    for address, node in nodes.items():
        for name, seconds in node.cpu_seconds().items():
            part = "pgbouncer" if "pgbouncer" in name else kinds.get(address, "standbys")
            used[part] += seconds
    return used


if __name__ == "__main__":
    main()
