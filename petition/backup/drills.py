"""The drill: a dump is restored into a scratch database, recounted there, and the scratch database dropped.

A worker does it once a month with a dump of its own, which goes through the archive's format under a pair of keys that
lives for the drill; a person does it with an archive and the offline key. Nothing readable lies on the disk but the
scratch database, inside PostgreSQL. It has one name, so that what a killed drill leaves behind is found and dropped.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connection, connections
from nacl.public import PrivateKey
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import quote_ident

from petition import offline_key
from petition.counts import tally
from petition.models import Heartbeat, Signature

from . import postgres_tools
from .archive import new_key, pieces, seal, unseal
from .making import BackupError, alone, noted, now

logger = logging.getLogger(__name__)

DRILL_LOCK = 7_401_850_441
UNDER_WAY = 75  # the exit code of a drill that another worker was faster with (EX_TEMPFAIL)
DUE, TRY_AGAIN = timedelta(days=30), timedelta(days=1)


class DrillError(Exception):
    """The restored database is not what was dumped; the message is meant for operators."""


def drill() -> None:
    """Dump, seal, open again, restore, recount, compare. Raises DrillError and what a backup raises."""
    pair = PrivateKey.generate()
    key, label = new_key(pair.public_key, now())
    with noted(Heartbeat.Part.DRILL, Heartbeat.Part.NO_DRILL), scratch() as name:
        # Of one snapshot, so that the two can be compared to the row while people go on signing.
        with tally.snapshot():
            expected = Signature.objects.count()
            with postgres_tools.dump(f"--snapshot={_exported_snapshot()}") as dump:
                sealed = seal(pieces(dump), label, key)
                opened = unseal(sealed, label, offline_key.unlock(pair, label.sealed_key))
                postgres_tools.restore(opened, name)
        with connected_to(name):
            examine()
            if Signature.objects.count() != expected:
                raise DrillError("Signatures are missing from the restored database.")


def drill_with(opened: Iterable[bytes]) -> None:
    """The same with an archive that a person has opened. Raises the same."""
    with noted(Heartbeat.Part.DRILL, Heartbeat.Part.NO_DRILL), scratch() as name:
        postgres_tools.restore(opened, name)
        with connected_to(name):
            examine()


def examine() -> None:
    """Recount: a dump is of one moment, so its tallies agree with its signatures. Raises DrillError."""
    found = tally.recount()
    if found.difference or found.hours or found.days or found.standing:
        raise DrillError("The tallies of the restored database do not agree with its signatures.")


def scratch_name() -> str:
    return f"{connection.settings_dict['NAME']}_drill"


@contextmanager
def scratch() -> Iterator[str]:
    """An empty database beside ours. Raises BackupError if another drill is under way, or we may not make one."""
    name = scratch_name()
    with alone(DRILL_LOCK):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            postgres_tools.require_room(cursor.fetchone()[0])
        _drop(name)
        _execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            yield name
        finally:
            _drop(name)


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """Within it, what asks the database asks this one."""
    ours = connections[DEFAULT_DB_ALIAS]
    other = ours.copy()
    other.settings_dict["NAME"] = name
    connections[DEFAULT_DB_ALIAS] = other
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = ours
        other.close()


def drop_left_over() -> bool:
    """Drop what a drill left behind that was killed; return whether there was any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [scratch_name()])
        if not cursor.rowcount:
            return False
    with suppress(BackupError), alone(DRILL_LOCK):
        _drop(scratch_name())
        return True
    return False


def _drop(name: str) -> None:
    _execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")


def _execute(sql: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, InsufficientPrivilege):
            raise
        raise BackupError('This role may not make a database: ALTER ROLE "petition-worker" CREATEDB;') from None


def _quoted(name: str) -> str:
    connection.ensure_connection()
    return str(quote_ident(name, connection.connection))


def _exported_snapshot() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def is_due() -> bool:
    """Whether no drill has ended well for a month, nor badly for a day."""
    ages = Heartbeat.ages()
    long_ago = DUE + TRY_AGAIN
    return ages.get(Heartbeat.Part.DRILL, long_ago) > DUE and ages.get(Heartbeat.Part.NO_DRILL, long_ago) > TRY_AGAIN


class MonthlyDrill:
    """The drill of a worker, in a process of its own: mail goes on meanwhile, and the digest key stays with us."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def go_on(self) -> None:
        """Begin if it is due, or see how far it is. Waits for nothing."""
        if self.process is None:
            if drop_left_over():
                logger.warning("A drill was killed; its scratch database is dropped")
            if is_due():
                command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "restore", "--drill"]
                variables = {name: value for name, value in os.environ.items() if name != "EMAIL_DIGEST_KEY"}
                try:
                    self.process = subprocess.Popen(command, env=variables)  # noqa: S603
                except OSError as error:
                    logger.error("The monthly drill cannot be started (%s)", type(error).__name__)  # noqa: TRY400
        elif (code := self.process.poll()) is not None:
            self.process = None
            if code < 0:
                # Killed, for its memory perhaps: it could not note that itself.
                Heartbeat.beat(Heartbeat.Part.NO_DRILL)
            if code and code != UNDER_WAY:
                logger.error("The monthly drill of a restore has failed; see above, or run: manage.py restore --drill")

    def stop(self) -> None:
        """End a drill that is under way. It drops its database, and is begun again another time."""
        if self.process:
            self.process.terminate()
            self.process.wait()
