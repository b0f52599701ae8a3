"""A read replica: the standby from which pages, the public number and series are read, if there is one (`REPLICA_URL`).

Signing, confirming, withdrawing, forms, links, staff and workers never ask it: what they must know is always the
primary's. A replica that lags or is away costs nobody a page, which then comes from the primary. And while the primary
is away the pages go on from a replica that had kept up with it. One that had not is no help: it might show the name of
somebody who has withdrawn since.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django.db.backends.utils import CursorWrapper

logger = logging.getLogger(__name__)

Found = TypeVar("Found")
Arguments = ParamSpec("Arguments")

PRIMARY, REPLICA = "default", "replica"
# With the time for which pages are kept, nobody sees a number that is older than ten seconds.
LAG_SECONDS = 3
LOOK_SECONDS = 1
AWAY_SECONDS = 5  # for so long one that failed is not asked again
AWAY = (OperationalError, InterfaceError)
# By how much it is behind; NULL if it is no standby, or has replayed nothing yet. Workers commit each second.
LAG = """
    SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 WHERE pg_is_in_recovery()
"""

_using: ContextVar[str] = ContextVar("database", default=PRIMARY)


class Router:
    """Reads go where `read` sends them, and everything else to the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return _using.get()

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return PRIMARY

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, database: str, app_label: str, **hints: Any) -> bool:
        return database == PRIMARY


def using() -> str:
    """The name of the database that is read here and now."""
    return _using.get()


def cursor() -> CursorWrapper:
    """For SQL that reads: as `connection.cursor`, where `read` has sent us."""
    return connections[_using.get()].cursor()


@contextmanager
def reading(database: str) -> Iterator[None]:
    token = _using.set(database)
    try:
        yield
    finally:
        _using.reset(token)


class Watch:
    """What this process knows of the two; all times are by the clock that nobody sets."""

    def __init__(self) -> None:
        self.look_at = self.primary_at = 0.0
        self.is_fresh = False
        self.fresh_at = self.primary_seen_at = float("-inf")

    def replica_is_fresh(self) -> bool:
        """Whether the replica was a moment ago no further behind than LAG_SECONDS. Asks it once a second."""
        now = time.monotonic()
        if now >= self.look_at:
            # Meanwhile, and if it hangs, the other threads do without it.
            self.look_at, self.is_fresh = now + AWAY_SECONDS, False
            try:
                with connections[REPLICA].cursor() as cursor:
                    cursor.execute(LAG)
                    (lag,) = cursor.fetchone() or (None,)
            except AWAY as error:
                self.replica_failed(error)
            else:
                self.look_at = now + LOOK_SECONDS
                # Far in the future, the clocks of the two machines differ, and nobody knows how old it is.
                self.is_fresh = lag is not None and abs(lag) <= LAG_SECONDS
        if self.is_fresh:
            self.fresh_at = now
        return self.is_fresh

    def replica_failed(self, error: Exception) -> None:
        self.look_at, self.is_fresh = time.monotonic() + AWAY_SECONDS, False
        connections[REPLICA].close()
        logger.warning("The replica is away (%s); pages are read from the primary", type(error).__name__)

    def primary_is_away(self) -> bool:
        return time.monotonic() < self.primary_at

    def primary_failed(self) -> None:
        self.primary_at = time.monotonic() + LOOK_SECONDS

    def primary_answered(self) -> None:
        self.primary_seen_at = time.monotonic()

    def replica_stands_in(self) -> bool:
        """Whether the replica had kept up when the primary was last seen: one that was fresh has seen it, too."""
        return self.fresh_at > self.primary_seen_at


watch = Watch()


def read(ask: Callable[[], Found]) -> Found:
    """What `ask` returns, which reads and changes nothing: it may be asked of both, one after the other.

    Raises what `ask` raises; OperationalError or InterfaceError if neither database answers.
    """
    if REPLICA not in settings.DATABASES or _using.get() == REPLICA:
        return ask()
    if watch.replica_is_fresh() or (watch.primary_is_away() and watch.replica_stands_in()):
        try:
            with reading(REPLICA):
                return ask()
        except AWAY as error:
            watch.replica_failed(error)
    try:
        found = ask()
    except AWAY:
        watch.primary_failed()
        if not watch.replica_stands_in():
            raise
        with reading(REPLICA):
            return ask()
    watch.primary_answered()
    return found


def readable(view: Callable[Arguments, Found]) -> Callable[Arguments, Found]:
    """A view, or another function that changes nothing, which may read the replica."""

    @wraps(view)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Found:
        return read(lambda: view(*args, **kwargs))

    return wrapper
