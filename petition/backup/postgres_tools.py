"""PostgreSQL's own pg_dump and pg_restore, each at one end of a pipe: no dump is ever a file that can be read.

Both have to be of the server's version: an older pg_dump refuses, and a newer pg_restore says things that the server
does not understand.
"""

# ruff: noqa: S603, the commands are PostgreSQL's
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from psycopg2.extensions import make_dsn

from petition.models import (
    CountsExport,
    ForgottenHour,
    Heartbeat,
    Lookup,
    OutboxKey,
    OutgoingMail,
    SubscriptionRequest,
)

# What nobody could use in a restored database, and somebody could in a stolen backup: sealed addresses, the keys that
# they name, logins. Heartbeats and forgotten hours speak of the server that was; files of
# counts can be asked for again. Salts and counters are in tables
# without a log, which are left out as well.
LEFT_OUT = (OutgoingMail, Lookup, OutboxKey, SubscriptionRequest, Session, Heartbeat, ForgottenHour, CountsExport)
OUR_SECRETS = {
    "CACHE_URL",
    "DATABASE_URL",
    "REPLICA_URL",
    "EMAIL_DIGEST_KEY",
    "EMAIL_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
}
NOT_FOR_TOOLS = {"connection_factory", "cursor_factory", "password"}
# A web server gives up a connection on which nothing moves for seconds. A restore waits while the disk is slow.
NOT_FOR_TOOLS |= {"tcp_user_timeout"}


class ToolError(Exception):
    """One of the tools is not there, or has failed; the message is meant for operators and quotes no data."""


def find(name: str) -> str:
    """The path of the tool that has the server's version. Raises ToolError."""
    connection.ensure_connection()
    version = connection.connection.server_version // 10_000
    folders = [settings.POSTGRES_BIN_DIR, f"/usr/lib/postgresql/{version}/bin", *os.get_exec_path()]
    for path in (Path(folder) / name for folder in folders if folder):
        if os.access(path, os.X_OK):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if re.match(rf"\w+ \(PostgreSQL\) {version}\b", said):
                return str(path)
    raise ToolError(
        f"There is no {name} of version {version}, the server's. Install postgresql-client-{version},"
        " or name its folder in POSTGRES_BIN_DIR."
    )


def environment() -> dict[str, str]:
    """Our variables without our secrets: for programs that have no use for them."""
    return {name: value for name, value in os.environ.items() if name not in OUR_SECRETS}


@contextmanager
def dump(*options: str) -> Iterator[IO[bytes]]:
    """A dump of one moment, to be read to its end. Raises ToolError behind the block if it is not whole."""
    left_out = [f"--exclude-table-data={model._meta.db_table}" for model in LEFT_OUT]
    with _running("pg_dump", "--format=custom", "--no-unlogged-table-data", *left_out, *options) as process:
        assert process.stdout is not None  # noqa: S101
        yield process.stdout


def restore(dump: Iterable[bytes], database: str) -> None:
    """Restore a dump in one transaction: all of it or, whatever is raised here or by the dump, nothing."""
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    with _running("pg_restore", *options, database=database) as process:
        _feed(process, dump)


def verify(dump: Iterable[bytes]) -> None:
    """Have pg_restore read a dump to its end, every table of it, and restore nothing. Raises ToolError."""
    with _running("pg_restore", "--file=/dev/null", database=None) as process:
        _feed(process, dump)


def _feed(process: subprocess.Popen[bytes], dump: Iterable[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101
    # Who has given up does not listen; why, it has said.
    with suppress(BrokenPipeError):
        for piece in dump:
            process.stdin.write(piece)
        process.stdin.close()


@contextmanager
def _running(name: str, *options: str, database: str | None = "") -> Iterator[subprocess.Popen[bytes]]:
    """The tool, connected as we are: to our own database, to another one, or (None) to none."""
    variables, where = environment(), list[str]()
    if database is not None:
        values = connection.get_connection_params()
        if password := values.get("password"):
            variables["PGPASSWORD"] = password
        known = {key: value for key, value in values.items() if key not in NOT_FOR_TOOLS}
        where = ["--dbname", make_dsn(**known | ({"dbname": database} if database else {}))]
    with _started([find(name), *options, *where], variables) as process:
        try:
            yield process
        except BaseException:
            # Before its standard input ends, which would tell it to commit.
            process.kill()
            raise
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()
        if process.wait():
            assert process.stderr is not None  # noqa: S101
            raise ToolError(f"{name} has failed. {_without_data(process.stderr.read())}")


@contextmanager
def _started(command: Sequence[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    # What the tools say are a few lines, which the pipe holds until they are read.
    process = subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def _without_data(said: bytes) -> str:
    """The first line of each error: those behind it quote rows."""
    lines = said.decode(errors="replace").splitlines()
    return " ".join(line for line in lines if re.match(r"pg_(dump|restore): (error|hint)", line))


def disk() -> Path | None:
    """A folder on the disk of a PostgreSQL of this machine; None if it may be another machine's."""
    host = str(connection.get_connection_params().get("host", ""))
    folders = [host, "/var/lib/postgresql"] if settings.LOCAL else ["/var/lib/postgresql"]
    if host and not host.startswith("/"):
        return None
    return next((Path(folder) for folder in folders if folder and Path(folder).exists()), None)


def require_room(size: int) -> None:
    """Raises ToolError if a database of this many bytes would not fit beside the other one with room to spare."""
    if (folder := disk()) and shutil.disk_usage(folder).free < 2 * size:
        raise ToolError(f"The disk of PostgreSQL has no room for a second database of {size / 1e6:.0f} MB.")
