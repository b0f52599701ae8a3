"""The product on this machine, as `make run`, `make test` and `make manage` start it.

Everything it makes lies in VAR_DIR: secrets, the embedded PostgreSQL (unless DATABASE_URL names another one), static
files, mails and logs. `run` is the parent of the web server and the worker, and takes them along however it ends.
"""

# ruff: noqa: S603, T201, every command here is our own, and talking is what this program is for
import errno
import fcntl
import hashlib
import http.client
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn, Self

from config.local import postgres
from petition import offline_key

PROJECT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120
STOP_SECONDS = 10
# What a new database, the files for browsers and the logs of a trial take, and what a second start wants to find.
NEW_BYTES, USED_BYTES = 80_000_000, 8_000_000
ELSEWHERE = "Let another folder hold the files: make run VAR_DIR=/path"
# Of the mailing list's key. On a real site that is made elsewhere, and nobody but the organisers can open the list.
PASSPHRASE = "only for this trial"  # noqa: S105, it protects nothing
UNWRITABLE = {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}


def main() -> int:
    if os.environ.get("LOCAL") != "1":
        raise SystemExit("This is a trial on one machine, started by make run, make test and make manage.")
    os.chdir(PROJECT)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    var = Path(os.environ.get("VAR_DIR") or "var").absolute()
    _on_signals(_interrupt)
    if "MAKELEVEL" in os.environ:
        postgres.end_with(os.getppid(), signal.SIGTERM)  # make cannot pass on the SIGKILL that ends it
    try:
        match sys.argv[1:]:
            case ["run"]:
                run(var)
            case ["test", *arguments]:
                return test(var / "test", arguments)
            case ["manage", *arguments]:
                return manage(var, arguments)
            case ["prepare"]:
                prepare(var)
            case ["collect"]:
                collect_static()
            case _:
                raise SystemExit("python -m config.local run | test [pytest arguments] | manage [manage.py arguments]")
    except postgres.ClusterError as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise SystemExit(f"{error.filename or var}: {error.strerror}. {ELSEWHERE}") from error
    except KeyboardInterrupt:
        return 0 if sys.argv[1] == "run" else 130
    return 0


def run(var: Path) -> NoReturn:
    """Serve until a signal comes or a part ends, which SystemExit then names."""
    wanted = os.environ.get("PORT") or "8000"
    if not (wanted.isdecimal() and 1 <= int(wanted) <= 65535):
        raise SystemExit("PORT must be a number from 1 to 65535.")
    port = int(wanted)
    os.environ |= {"GRANIAN_HOST": "127.0.0.1", "GRANIAN_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    os.environ.setdefault("SITE_URL", f"http://127.0.0.1:{port}")
    with _only_one(var, "run"), _outliving_children(var) as children_lock:
        _check_port(port)
        _check_space(var)
        print("Starting PostgreSQL, then preparing tables, content and static files ...", flush=True)
        os.umask(0o077)  # logs and mails are nobody else's business
        os.environ.setdefault("MAILING_LIST_KEY", _list_key(var / "list.key"))
        with _database(var) as data, Children(var, children_lock) as children:
            what_to_open = children.finish("prepare", "-m", "config.local", "prepare")
            children.start("web", "-m", "config.serve")
            children.start("worker", "manage.py", "worker")
            deadline = time.monotonic() + READY_SECONDS
            while not _is_healthy(port):
                children.check()
                if time.monotonic() > deadline:
                    raise SystemExit(f"The site is not healthy after {READY_SECONDS} seconds. See the logs in {var}.")
                time.sleep(0.1)
            print(what_to_open, flush=True)
            while data is None or postgres.is_running(data):
                children.check()
                time.sleep(0.5)
            raise SystemExit(f"PostgreSQL has ended, see {data / 'postgres.log'}.")


def test(var: Path, arguments: list[str]) -> int:
    """Run pytest, side by side unless it is told otherwise, on a cluster and with files of its own; its exit code."""
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400"}
    # Tests wait for servers and browsers, so twice as many of them as cores keep those busy.
    arguments = ["--numprocesses", str(2 * (os.cpu_count() or 1)), *arguments]
    # They start hundreds of processes, of which each would have to compile the product for itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with _only_one(var, "test"), _database(var, **settings):
        # The tests play the worker too.
        name, keys = (var / "worker.env").read_text().strip().split("=")
        os.environ.setdefault(name, keys)
        return _in_foreground("-m", "config.local", "collect") or _in_foreground("-m", "pytest", *arguments)


def manage(var: Path, arguments: list[str]) -> int:
    """Run a manage.py command, on the server of a `make run` if there is one; its exit code."""
    make_secrets(var)
    with _database(var):
        return _in_foreground("manage.py", *arguments)


def prepare(var: Path) -> None:
    """Bring database and static files up to date, in one process because importing Django takes longer than that."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("load_campaign", stdout=io.StringIO())
    call_command("check", databases=["default"], stdout=io.StringIO())  # now that there is something to look at
    collect_static()
    print(f"Site   {settings.SITE_URL}/")
    print(f"Mails  {settings.SITE_URL}/dev/mail/")
    print(f"Admin  {settings.SITE_URL}/{settings.ADMIN_PATH}/  {_admin_login(var / 'admin-login')}")
    if _list_key(var / "list.key") == settings.MAILING_LIST_KEY:
        print(f"List   {var}/list.key opens what the mailing list exports, passphrase: {PASSPHRASE}")
    print(f"Logs   {var}/*.log\n\nReady, on 127.0.0.1 alone and not on [::1]. Ctrl-C stops it.")


def collect_static() -> None:
    """Collect the static files again if any of them, or what is done to them, has changed."""
    import django
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import call_command

    django.setup()
    found = [Path(storage.path(name)) for finder in get_finders() for name, storage in finder.list([])]
    state = sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in found)
    digest = hashlib.sha256(repr((state, settings.STORAGES)).encode()).hexdigest()
    collected = Path(settings.STATIC_ROOT).with_suffix(".collected")
    if not collected.exists() or collected.read_text() != digest:
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        collected.write_text(digest)


class Children:
    """Processes in groups of their own. Leaving the block ends them and whatever they started."""

    def __init__(self, var: Path, lock: BinaryIO) -> None:
        self.var, self.lock = var, lock
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while not all(map(_has_ended, self.processes.values())) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start(self, name: str, *arguments: str) -> None:
        with self.log(name).open("wb") as log, _signals_wait():
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[self.lock.fileno()],
                preexec_fn=partial(postgres.end_with, os.getpid(), signal.SIGTERM),
            )

    def finish(self, name: str, *arguments: str) -> str:
        """Start a process that ends by itself; what it printed. SystemExit if it fails."""
        self.start(name, *arguments)
        while not _has_ended(self.processes[name]):
            time.sleep(0.02)
        if self.processes[name].wait() == 0:
            del self.processes[name]
        self.check()
        return self.log(name).read_text()

    def check(self) -> None:
        """SystemExit if a process has ended."""
        for name, process in self.processes.items():
            if _has_ended(process):
                said = self.log(name).read_text(errors="replace").splitlines()[-20:]
                raise SystemExit("\n".join([*said, f"The {name} process has ended. Its log: {self.log(name)}"]))

    def log(self, name: str) -> Path:
        return self.var / f"{name}.log"


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Not poll(), which would free the pid: its group may outlive it and is killed by that number.
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@contextmanager
def _only_one(var: Path, name: str) -> Iterator[None]:
    """Take VAR_DIR for this command, with its secrets made."""
    make_secrets(var)
    os.environ["VAR_DIR"] = str(var)
    if (lock := postgres.try_lock(var / f"{name}.lock")) is None:
        raise SystemExit(f"make {name} is already running with the files in {var}.")
    with lock:
        yield


@contextmanager
def _outliving_children(var: Path) -> Iterator[BinaryIO]:
    """The lock that the children inherit. Children of a killed run hold it until they have ended, within seconds."""
    deadline = time.monotonic() + 2 * STOP_SECONDS
    while (lock := postgres.try_lock(var / "children.lock")) is None:
        if time.monotonic() > deadline:
            raise SystemExit("Processes of an earlier run, which was killed, do not end.")
        time.sleep(0.1)
    with lock:
        yield lock


def _check_port(port: int) -> None:
    """SystemExit if we cannot have the port. Another server would silently share it with granian (SO_REUSEPORT)."""
    # Somebody else on [::1] would get what is meant for us by whoever opens "localhost".
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = f"Port {port} is taken. Stop what uses it, or choose another: make run PORT=8001"
            elif family == socket.AF_INET:
                other = f"Port {port}: {error.strerror}. Choose another: make run PORT=8001"
            else:  # a machine without IPv6
                continue
            raise SystemExit(other) from error


def _check_space(var: Path) -> None:
    """SystemExit if the disk is full: PostgreSQL and whoever writes after it would each say so in their own way."""
    is_new = not os.environ.get("DATABASE_URL") and not (var / "postgres" / "cluster").exists()
    needed, free = NEW_BYTES if is_new else USED_BYTES, shutil.disk_usage(var).free
    if free < needed:
        raise SystemExit(f"{var} has {free // 1_000_000} MB left and needs {needed // 1_000_000} MB. {ELSEWHERE}")


@contextmanager
def _database(var: Path, **settings: str) -> Iterator[Path | None]:
    """The folder of the embedded cluster, which runs inside the block; None if DATABASE_URL names another database."""
    os.environ["VAR_DIR"] = str(var)
    if os.environ.get("DATABASE_URL"):
        yield None
    else:
        os.environ.pop("DATABASE_URL", None)
        with postgres.running(var / "postgres", **settings):
            yield var / "postgres"


def make_secrets(var: Path) -> None:
    """Make the keys of this trial, once: what an earlier key hashed or sealed is lost with it."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "secrets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (var / "local.env").exists():
            _write_private(var / "worker.env", f"EMAIL_DIGEST_KEY={secrets.token_hex(32)}\n")
            _write_private(var / "local.env", f"SECRET_KEY={secrets.token_urlsafe(48)}\n")
    if not (var / "worker.env").exists():
        raise SystemExit(f"{var / 'worker.env'} is lost: remove local.env and postgres beside it, to begin anew.")


def _write_private(path: Path, text: str) -> None:
    """Write the file whole or not at all, for our eyes only."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.rename(path)


def _list_key(file: Path) -> str:
    """The public half of a key with which the mailing list can be tried; its file is made when missing."""
    if not file.exists():
        _write_private(file, offline_key.make(PASSPHRASE, "mailing list")[0])
    return str(json.loads(file.read_text())["public"])


def _admin_login(file: Path) -> str:
    """How to log in as `admin`, made when missing. The password is kept in the file."""
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    admin = users.filter(username="admin").first()
    if admin is None:
        password = secrets.token_urlsafe(12)
        _write_private(file, password)
        users.create_superuser("admin", password=password)
    elif not file.exists() or not admin.check_password(password := file.read_text()):
        return "admin, with the password you chose. For a new one: make manage CMD='changepassword admin'"
    return f"admin, password {password}"


def _is_healthy(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=STOP_SECONDS)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def _in_foreground(*arguments: str) -> int:
    """Run a command that shares our terminal; its exit code, 128 + n if signal n ended it."""
    process = subprocess.Popen(
        [sys.executable, *arguments], preexec_fn=partial(postgres.end_with, os.getpid(), signal.SIGINT)
    )

    def pass_on(signum: int, frame: FrameType | None) -> None:
        # The terminal sends Ctrl-C to the whole foreground, and a second one would cut short what the first began.
        if signum != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(signal.SIGINT)

    _on_signals(pass_on)
    code = process.wait()
    _on_signals(_interrupt)
    return code if code >= 0 else 128 - code


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup has hang-ups ignored; a shell that starts us in the background interrupts, but those are meant for us.
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, handler)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """A process that is started inside the block is known when a signal ends us, so that it ends too."""
    caught: list[int] = []
    _on_signals(lambda signum, frame: caught.append(signum))
    try:
        yield
    finally:
        _on_signals(_interrupt)
    if caught:
        _interrupt(caught[0], None)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    _on_signals(lambda signum, frame: None)  # Once is enough: a second signal must not stop the stopping.
    raise KeyboardInterrupt
