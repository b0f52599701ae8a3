"""Time-outs of statements, for what a person waits for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled

SET = "SELECT set_config('statement_timeout', %s, true)"


class TimeLimitError(Exception):
    """PostgreSQL ended a statement because the time was up."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """A transaction whose statements may take so long, all of them together.

    Raises TimeLimitError, and undoes the transaction, when they take longer. Each statement costs one more, which sets
    its `statement_timeout`; the one from before is set again at the end, even inside another transaction.
    """
    end = time.monotonic() + seconds

    def limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        milliseconds = max(1000 * (end - time.monotonic()), 1)  # 0 would mean no limit
        context["cursor"].cursor.execute(SET, [f"{milliseconds:.0f}ms"])
        return execute(sql, params, many, context)

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()
            with connection.execute_wrapper(limited):
                yield
            cursor.execute(SET, before)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TimeLimitError from error
        raise
