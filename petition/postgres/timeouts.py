"""Time-outs of statements, for what a person waits for."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg2.errors import QueryCanceled


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

    def limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        milliseconds = max(1000 * (end - time.monotonic()), 1)  # 0 would mean no limit
        context["cursor"].cursor.execute(f"SET LOCAL statement_timeout = {milliseconds:.0f}")
        return execute(sql, params, many, context)

    try:
        with transaction.atomic():
            with connection.execute_wrapper(limited):
                yield
            transaction.set_rollback(True)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TimeLimitError from error
        raise
