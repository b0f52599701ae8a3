"""Counters that all processes share: how often something happened, forgotten after a while."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import InterfaceError, OperationalError, connection
from django.utils.functional import cached_property

from petition.postgres.prepared import Prepared

logger = logging.getLogger(__name__)

COUNT = """
    INSERT INTO {table} AS stored (cache_key, value, expires)
    -- In the order of the keys, so that two who count the same ones never wait for each other.
    -- To the end of an hour, so that no row tells when it was first counted.
    SELECT key, uses, date_trunc('hour', now() + make_interval(secs => seconds)) + interval '1 hour'
    FROM unnest(%(keys)s::text[], %(seconds)s::float8[], %(uses)s::bigint[]) AS counted (key, seconds, uses)
    ORDER BY key
    ON CONFLICT (cache_key) DO UPDATE SET
        value = CASE WHEN stored.expires > now() THEN stored.value ELSE 0 END + EXCLUDED.value,
        expires = CASE WHEN stored.expires > now() THEN stored.expires ELSE EXCLUDED.expires END
    RETURNING cache_key, value
"""
ADD = """
    INSERT INTO {table} AS stored (cache_key, value, expires) VALUES (%s, %s, now() + make_interval(secs => %s))
    ON CONFLICT (cache_key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires
    WHERE stored.expires <= now()
"""

INCREASE = "UPDATE {table} SET value = value + %s WHERE cache_key = %s AND expires > now() RETURNING value"


class CountersAwayError(OperationalError):
    """Nothing can be counted: no limit is kept meanwhile, so nothing that has a limit may be done."""


@contextmanager
def reached() -> Iterator[None]:
    """Whatever fails within is a CountersAwayError, unless the whole database is away.

    A table that is gone and each client of Redis have errors of their own.
    """
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.warning("The counters of limits cannot be reached (%s)", type(error).__name__)
        raise CountersAwayError from error


def count(lifetimes: dict[str, int], uses: Mapping[str, int] | None = None) -> dict[str, int]:
    """Add one, or its number of `uses`, to each of these counters and return where they stand.

    `lifetimes` are the seconds that a counter lives from its first use at least, and in PostgreSQL to the end of that
    hour: who counts within a shorter time has it in the key. One statement in PostgreSQL, two for each counter in
    another cache. Raises CountersAwayError.
    """
    uses = uses or dict.fromkeys(lifetimes, 1)
    with reached():
        cache = caches["default"]
        if isinstance(cache, PostgresCache):
            return cache.count(lifetimes, uses)
        return {
            key: uses[key] if cache.add(key, uses[key], seconds) else cache.incr(key, uses[key])
            for key, seconds in lifetimes.items()
        }


def stands_at(key: str) -> int:
    """Where this counter stands; 0 if nothing was, or it has expired. Counts nothing. Raises CountersAwayError."""
    with reached():
        return int(caches["default"].get(key) or 0)


class PostgresCache(BaseCache):
    """A cache of counters in an UNLOGGED table, for `count` and for django-ratelimit; each method is one statement.

    Django's own database cache reads and then writes, so threads that count one key lose counts; and its culling would
    drop live counters. Here expired rows are deleted by `manage.py purge`. A crash of PostgreSQL empties the table.
    """

    def __init__(self, table: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.table = connection.ops.quote_name(table)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        with connection.cursor() as cursor:
            cursor.execute(self._about(ADD), [self.make_and_validate_key(key, version=version), value, seconds])
            return bool(cursor.rowcount == 1)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with connection.cursor() as cursor:
            sql = self._about("SELECT value FROM {table} WHERE cache_key = %s AND expires > now()")
            cursor.execute(sql, [self.make_and_validate_key(key, version=version)])
            row = cursor.fetchone()
        return int(row[0]) if row else default

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        with connection.cursor() as cursor:
            cursor.execute(self._about(INCREASE), [delta, self.make_and_validate_key(key, version=version)])
            row = cursor.fetchone()
        if row is None:
            raise ValueError("There is no such key to increment.")
        return int(row[0])

    def count(self, lifetimes: dict[str, int], uses: Mapping[str, int]) -> dict[str, int]:
        """As the function of this name."""
        keys = {self.make_and_validate_key(key): key for key in lifetimes}
        values = {"keys": list(keys), "seconds": list(lifetimes.values()), "uses": [uses[key] for key in lifetimes]}
        with connection.cursor() as cursor:
            self._count.execute(cursor, values)
            return {keys[key]: value for key, value in cursor.fetchall()}

    @cached_property
    def _count(self) -> Prepared:
        return Prepared("count", self._about(COUNT))

    def delete(self, key: Any, version: int | None = None) -> bool:
        # Nothing of ours forgets one counter, but django-parler sees to it that none of its keys is left.
        with connection.cursor() as cursor:
            sql = self._about("DELETE FROM {table} WHERE cache_key = %s")
            cursor.execute(sql, [self.make_and_validate_key(key, version=version)])
            return bool(cursor.rowcount == 1)

    def clear(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self._about("DELETE FROM {table}"))

    def delete_expired(self) -> int:
        """Delete what has expired; return how many."""
        with connection.cursor() as cursor:
            cursor.execute(self._about("DELETE FROM {table} WHERE expires <= now()"))
            return int(cursor.rowcount)

    def _about(self, sql: str) -> str:
        return sql.format(table=self.table)
