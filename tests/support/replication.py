"""A primary and its standby with the tables of the test: real servers, to be killed and paused."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from django.db import connection

from config.local import postgres

START_SECONDS = 60


class Cluster:
    """A server on a socket in its own folder. `database` is that of the test."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        postgres._make_private(folder, folder)
        self.server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{postgres.NAME}@/{self.database}?host={quote(str(self.folder))}"

    def make(self) -> None:
        """A cluster of its own, with the tables of the database of the test."""
        self._run("initdb", *postgres.INITDB, "-U", postgres.NAME, "-D", str(self.folder / "cluster"))
        self.start("postgres")
        self.ask(f'CREATE DATABASE "{self.database}"', database="postgres")
        dump = self.folder / "dump.sql"
        values = connection.settings_dict
        host = str(values["HOST"] or values["OPTIONS"]["host"])
        self._run("pg_dump", "-h", host, "-U", str(values["USER"]), "-f", str(dump), self.database)
        self._run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(dump), self.url)

    def follow(self, primary: "Cluster") -> None:
        options = ("-h", str(primary.folder), "-U", postgres.NAME, "-D", str(self.folder / "cluster"))
        self._run("pg_basebackup", "--no-sync", "-c", "fast", "-R", *options)
        self.start()

    def _run(self, name: str, *arguments: str) -> None:
        with self._log() as log:
            done = postgres._child(self.folder, log, name, *arguments).wait(START_SECONDS)
        assert done == 0, f"{name}: {(self.folder / 'server.log').read_text()}"

    def start(self, database: str = "") -> None:
        settings = postgres.SETTINGS | {"fsync": "off", "max_connections": "100", "wal_receiver_status_interval": "1"}
        # A worker throws the log away when an hour has ended, perhaps before a standby that was paused has all of it.
        settings["wal_keep_size"] = "256MB"
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with self._log() as log:
            self.server = postgres._child(
                *(self.folder, log, "postgres", "-D", str(self.folder / "cluster"), "-k", str(self.folder)), *options
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("SELECT 1", database=database)
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not start."
                time.sleep(0.1)
            else:
                return

    def ask(self, statement: str, database: str = "") -> list[tuple[Any, ...]]:
        url = self.url.replace(f"/{self.database}?", f"/{database or self.database}?")
        with closing(psycopg2.connect(url)) as session, session.cursor() as cursor:
            session.autocommit = True
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """As when the machine goes: SIGKILL to the server, and its children follow at once."""
        if self.server:
            self.server.send_signal(signal.SIGKILL)
            self.server.wait()
            self.server = None

    def stop(self) -> None:
        if self.server:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait(START_SECONDS)
            self.server = None

    def start_again(self) -> None:
        """After `kill`: what its children held is free once the last of them has noticed."""
        (self.folder / "cluster" / "postmaster.pid").unlink(missing_ok=True)
        for socket in self.folder.glob(".s.PGSQL.*"):
            socket.unlink()
        time.sleep(1)
        self.start()

    def _log(self) -> Any:
        return postgres._open(self.folder / "server.log")


@contextmanager
def primary_and_standby() -> Iterator[tuple[Cluster, Cluster]]:
    home = Path(tempfile.mkdtemp(prefix="petition-", dir="/tmp"))
    home.chmod(0o755)
    database = str(connection.settings_dict["NAME"])
    primary, standby = (Cluster(home / name, database) for name in ("primary", "standby"))
    try:
        primary.make()
        standby.follow(primary)
        yield primary, standby
    finally:
        for cluster in (standby, primary):
            cluster.stop()
        shutil.rmtree(home)
