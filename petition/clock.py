"""The one clock is PostgreSQL's: a machine whose own differs from it deletes nothing and publishes nothing.

A worker whose clock ran eight days ahead would take every pending signature for lapsed.
"""

import time
from datetime import datetime
from typing import cast

from django.db import connection

TOLERANCE_SECONDS = 60


class WrongClockError(Exception):
    """The clock of this machine differs from the database's by more than a minute."""


def now() -> datetime:
    """What the database's clock says. Costs one statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cast("datetime", cursor.fetchone()[0])


def seconds_ahead() -> float:
    """By how much our clock is ahead of the database's; negative if it is behind. Costs one statement."""
    with connection.cursor() as cursor:
        asked = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (theirs,) = cursor.fetchone()
        return (asked + time.time()) / 2 - float(theirs)


def is_right() -> bool:
    return abs(seconds_ahead()) <= TOLERANCE_SECONDS


def require_right() -> None:
    """Raises WrongClockError."""
    if abs(ahead := seconds_ahead()) > TOLERANCE_SECONDS:
        raise WrongClockError(f"The clock of this machine differs from the database's by {ahead:.0f} seconds.")
