import base64
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import connection
from django.utils.functional import cached_property

from petition.postgres.prepared import Prepared

FOREVER = datetime.max.replace(tzinfo=UTC)

COUNT = """
    INSERT INTO {table} AS stored (cache_key, value, expires)
    -- In the order of the keys, so that two who count the same ones never wait for each other.
    SELECT key, uses, now() + make_interval(secs => seconds)
    FROM unnest(%(keys)s::text[], %(seconds)s::float8[], %(uses)s::bigint[]) AS counted (key, seconds, uses)
    ORDER BY key
    ON CONFLICT (cache_key) DO UPDATE SET
        value = CASE WHEN stored.expires > now() THEN stored.value::bigint ELSE 0 END + EXCLUDED.value::bigint,
        expires = CASE WHEN stored.expires > now() THEN stored.expires ELSE EXCLUDED.expires END
    RETURNING cache_key, value
"""


def count(lifetimes: dict[str, int], uses: Mapping[str, int] | None = None) -> dict[str, int]:
    """Add one, or its number of `uses`, to each of these counters and return where they stand.

    `lifetimes` are the seconds that a counter lives from its first use. One statement in PostgreSQL, two for each
    counter in another cache.
    """
    uses = uses or dict.fromkeys(lifetimes, 1)
    cache = caches["default"]
    if isinstance(cache, PostgresCache):
        return cache.count(lifetimes, uses)
    return {
        key: uses[key] if cache.add(key, uses[key], seconds) else cache.incr(key, uses[key])
        for key, seconds in lifetimes.items()
    }


class PostgresCache(DatabaseCache):
    """Django's database cache with an atomic `add` and `incr`, each one statement.

    The stock cache reads and then writes, so threads that count one key lose counts. Its culling is left out: it would
    drop live counters. Expired rows are deleted by `manage.py purge`. The table is UNLOGGED: a crash of PostgreSQL
    empties it.
    """

    _table: str

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._upsert(key, value, timeout, version, "WHERE stored.expires <= now()")

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._upsert(key, value, timeout, version)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self._table} SET value = value::bigint + %s"  # noqa: S608
                " WHERE cache_key = %s AND expires > now() RETURNING value",
                [delta, self.make_and_validate_key(key, version=version)],
            )
            row = cursor.fetchone()
        if row is None:
            raise ValueError("There is no such key to increment.")
        return int(row[0])

    def count(self, lifetimes: dict[str, int], uses: Mapping[str, int]) -> dict[str, int]:
        """As the function of this name."""
        keys = {self.make_and_validate_key(key): key for key in lifetimes}
        with connection.cursor() as cursor:
            self._count.execute(
                cursor,
                {"keys": list(keys), "seconds": list(lifetimes.values()), "uses": [uses[key] for key in lifetimes]},
            )
            return {keys[key]: int(value) for key, value in cursor.fetchall()}

    @cached_property
    def _count(self) -> Prepared:
        return Prepared("count", COUNT.format(table=self._table))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self._table} SET expires = %s WHERE cache_key = %s AND expires > now()",  # noqa: S608
                [self._expires(timeout), self.make_and_validate_key(key, version=version)],
            )
            return cursor.rowcount == 1

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        named = {self.make_and_validate_key(key, version=version): key for key in keys}
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT cache_key, value FROM {self._table} WHERE cache_key = ANY(%s) AND expires > now()",  # noqa: S608
                [list(named)],
            )
            return {named[key]: _decoded(value) for key, value in cursor.fetchall()}

    def delete_expired(self) -> int:
        """Delete what has expired; return how many."""
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {self._table} WHERE expires <= now()")  # noqa: S608
            return cursor.rowcount

    def _upsert(self, key: Any, value: Any, timeout: Any, version: int | None, condition: str = "") -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self._table} AS stored (cache_key, value, expires) VALUES (%s, %s, %s)"  # noqa: S608
                " ON CONFLICT (cache_key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires"
                f" {condition}",
                [self.make_and_validate_key(key, version=version), _encoded(value), self._expires(timeout)],
            )
            return cursor.rowcount == 1

    def _expires(self, timeout: Any) -> datetime:
        seconds = self.get_backend_timeout(timeout)
        return FOREVER if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _encoded(value: Any) -> str:
    # Digits, so that PostgreSQL can add to them.
    return str(value) if type(value) is int else base64.b64encode(pickle.dumps(value)).decode()


def _decoded(text: str) -> Any:
    return int(text) if text.lstrip("-").isdigit() else pickle.loads(base64.b64decode(text))  # noqa: S301
