"""Time-outs, for what a person waits for.

A statement that takes long is ended by PostgreSQL (`read_within`). A database that hangs ends nothing: neither its
`statement_timeout` nor libpq covers a COMMIT that waits for a standby, or a server that is stopped. So within `limited`
each statement has its time on our side, and then the connection is cut. While a statement hangs, one of those that
begin alike tries in each pause, and the others fail at once: otherwise all threads of a process would wait.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions
from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

# What one statement may take: so that all threads together are free again, and /healthz answers, within two seconds.
VISITOR_SECONDS = 1.5
STAFF_SECONDS = 30
# How often it is looked whether somebody waits for too long.
TICK_SECONDS = 0.1
PAUSE_SECONDS = 1.0
# So long has whoever tries again.
TRY_SECONDS = 1.0
# So much of a statement tells it from others: its name, if it is prepared.
KIND_LENGTH = 32


class HangsError(psycopg2.OperationalError):
    """The database did not answer in the time that there was. Django raises an OperationalError from it."""


def is_hang(error: BaseException) -> bool:
    return isinstance(error, HangsError) or isinstance(error.__cause__, HangsError)


class Connection(psycopg2.extensions.connection):
    """A connection whose commits have their time. It knows where it leads, and how another one is made."""

    place: str
    another: Callable[[], "Connection"]

    def commit(self) -> None:
        answer(self, "COMMIT", super().commit)

    def rollback(self) -> None:
        answer(self, "ROLLBACK", super().rollback)


class Cursor(psycopg2.extensions.cursor):
    """A cursor whose statements have their time."""

    connection: Connection

    def execute(self, query: Any, values: Any = None) -> None:
        execute = super().execute
        answer(self.connection, str(query)[:KIND_LENGTH], lambda: execute(query, values))


@dataclass
class Wait:
    """One thread that waits for an answer."""

    connection: Connection
    until: float
    is_cut: bool = False

    def cut(self) -> None:
        self.is_cut = True
        # A copy, since the number may be another file's by the time it is used.
        with (
            suppress(OSError, psycopg2.Error),
            socket.socket(fileno=os.dup(self.connection.fileno())) as link,
        ):
            link.shutdown(socket.SHUT_RDWR)


_thread = threading.local()
_waits: dict[int, Wait] = {}
# When what hangs may be tried again, by the place and how it begins.
_hanging: dict[tuple[str, str], float] = {}
# Where no new connection is tried for anybody until one was found: a thread of its own tries, since libpq waits two
# seconds at least.
_lost: dict[str, threading.Event] = {}
_watcher: threading.Thread | None = None
# Nobody is cut whose answer has just come, and nothing is begun twice.
_lock = threading.Lock()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Give each statement of this thread so many seconds, commits too, and a new connection what libpq gives it."""
    before = getattr(_thread, "seconds", None)
    _thread.seconds = seconds
    try:
        yield
    finally:
        _thread.seconds = before


def connect(place: str, another: Callable[[], Connection]) -> Connection:
    """A new connection. Raises HangsError soon while connecting hangs there."""
    is_limited = getattr(_thread, "seconds", None) is not None
    found = _lost.get(place)
    # What hung may have been that one statement, and then it is found within milliseconds.
    if is_limited and found and not found.wait(2 * TICK_SECONDS):
        raise HangsError("Nobody answers there.")
    begun_at = time.monotonic()
    try:
        connection = another()
    except psycopg2.OperationalError as error:
        if not is_limited or time.monotonic() - begun_at < PAUSE_SECONDS:
            raise
        _look_for(place, another)
        raise HangsError("Nobody answered.") from error
    connection.place, connection.another = place, another
    return connection


def answer(connection: Connection, kind: str, ask: Callable[[], None]) -> None:
    """Ask, and wait. Raises HangsError when its time is up, or another of its kind has just waited in vain."""
    seconds = getattr(_thread, "seconds", None)
    if seconds is None:
        ask()
        return
    begun_at = time.monotonic()
    what = connection.place, kind
    if (again_at := _hanging.get(what)) is not None:
        if begun_at < again_at:
            raise HangsError("It has just been asked in vain.")
        # This one finds out, and the others do not meanwhile. What may take long, as in the admin, has its time for it.
        if seconds <= VISITOR_SECONDS:
            seconds = min(seconds, TRY_SECONDS)
        _hanging[what] = begun_at + seconds + PAUSE_SECONDS
    _watch()
    wait = _waits[threading.get_ident()] = Wait(connection, begun_at + seconds)
    try:
        ask()
    except psycopg2.Error as error:
        if wait.is_cut:
            _hanging[what] = time.monotonic() + PAUSE_SECONDS
            _look_for(connection.place, connection.another)
            raise HangsError("It did not answer.") from error
        _hanging.pop(what, None)
        raise
    finally:
        with _lock:
            del _waits[threading.get_ident()]
    _hanging.pop(what, None)


def _watch() -> None:
    """Start the thread that cuts, once in each process."""
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        with _lock:
            if _watcher is None or not _watcher.is_alive():
                _watcher = threading.Thread(target=_cut_those_who_wait_too_long, name="database timeouts", daemon=True)
                _watcher.start()


def _cut_those_who_wait_too_long() -> None:
    while True:
        time.sleep(TICK_SECONDS)
        with _lock:
            for wait in list(_waits.values()):
                if not wait.is_cut and wait.until < time.monotonic():
                    wait.cut()


def _look_for(place: str, another: Callable[[], Connection]) -> None:
    """Let nobody wait for a connection to this place until one has been made."""

    def look() -> None:
        while True:
            try:
                another().close()
            except Exception:  # noqa: BLE001  (whatever it is: if this thread ended, nobody would be let in again)
                time.sleep(TICK_SECONDS)
            else:
                _lost.pop(place).set()
                return

    with _lock:
        if place not in _lost:
            _lost[place] = threading.Event()
            try:
                threading.Thread(target=look, name="looking for the database", daemon=True).start()
            except RuntimeError:
                # No more threads may be started: then everybody looks for herself.
                _lost.pop(place).set()


class TimeLimitError(Exception):
    """PostgreSQL ended a statement because the time was up."""


@contextmanager
def read_within(seconds: float) -> Iterator[None]:
    """A transaction that reads, whose statements may take so long, all of them together.

    Raises TimeLimitError when they take longer. The transaction, or its part of one around it, is undone in the end,
    and with it every setting and temporary table that it made. Each statement costs one more, which sets its
    `statement_timeout`.
    """
    end = time.monotonic() + seconds

    def ended_in_time(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        milliseconds = max(1000 * (end - time.monotonic()), 1)  # 0 would mean no limit
        with connection.wrap_database_errors:
            context["cursor"].cursor.execute(f"SET LOCAL statement_timeout = {milliseconds:.0f}")
        return execute(sql, params, many, context)

    try:
        # PostgreSQL's own time is up first.
        with limited(seconds + PAUSE_SECONDS), transaction.atomic():
            with connection.execute_wrapper(ended_in_time):
                yield
            transaction.set_rollback(True)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TimeLimitError from error
        raise
