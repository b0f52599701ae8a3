"""Making a backup: dumped, sealed, read back, handed on, noted; and old ones deleted."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import Error, connection

from petition import offline_key
from petition.models import Heartbeat

from . import postgres_tools
from .archive import Label, new_key, pieces, seal, sealed_pieces, unseal

NAME = "petition-{:%Y-%m-%dT%H%MZ}.backup"
PATTERN = re.compile(r"petition-(\d{4}-\d\d-\d\dT\d{4}Z)\.backup")
UNFINISHED = "unfinished.backup"
# One backup, or drill, at a time. Any numbers will do, as long as nothing else uses them.
BACKUP_LOCK = 7_401_850_440
HOOK_SECONDS = 6 * 3_600


class BackupError(Exception):
    """No backup was made, or it went nowhere; the message is meant for operators."""


class UnderWayError(BackupError):
    """Another process is at it, so nothing has failed."""


@dataclass(frozen=True)
class Made:
    path: Path
    size: int
    deleted: int


def make() -> Made:
    """Write a backup to BACKUP_DIR, prove that it can be read, and hand it to BACKUP_HOOK.

    Only then is it noted as made. Raises BackupError, ToolError, OfflineKeyError, ArchiveError and OSError.
    """
    public = offline_key.public_half(settings.BACKUP_KEY)
    folder = Path(settings.BACKUP_DIR)
    with noted(Heartbeat.Part.BACKUP, Heartbeat.Part.NO_BACKUP), alone(BACKUP_LOCK):
        made_at = now()
        key, label = new_key(public, made_at)
        path, unfinished = folder / NAME.format(made_at), folder / UNFINISHED
        try:
            write(unfinished, label, key)
            read_back(unfinished, label, key)
        except BaseException:
            # On a full disk nobody can sign.
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.rename(path)
        # Before the hook, which may fail for days: who withdrew is in the old ones.
        deleted = forget_old(folder, made_at)
        _hand_on(path)
        return Made(path, path.stat().st_size, deleted)


def write(path: Path, label: Label, key: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(bytes(label))
        with postgres_tools.dump() as dump:
            file.writelines(seal(pieces(dump), label, key))
        file.flush()
        os.fsync(file.fileno())


def read_back(path: Path, label: Label, key: bytes) -> None:
    """Decrypt what lies on the disk, with the key that only this run still has, and have pg_restore read all of it."""
    with path.open("rb") as file:
        if Label.read(file) != label:
            raise BackupError("What was written is not what lies on the disk.")
        postgres_tools.verify(unseal(sealed_pieces(file), label, key))


def _hand_on(path: Path) -> None:
    if not settings.BACKUP_HOOK:
        return
    command = [*shlex.split(settings.BACKUP_HOOK), str(path)]
    try:
        done = subprocess.run(command, env=postgres_tools.environment(), timeout=HOOK_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupError(f"BACKUP_HOOK: {type(error).__name__}. The backup lies on this machine alone.") from None
    if done.returncode:
        raise BackupError(f"BACKUP_HOOK ended with {done.returncode}. The backup lies on this machine alone.")


def forget_old(folder: Path, now: datetime) -> int:
    """Delete backups that are older than BACKUP_DAYS, since who withdrew is still in them. A newer one is there."""
    old = [path for path, made_at in backups(folder) if now - made_at >= timedelta(days=settings.BACKUP_DAYS)]
    for path in old:
        path.unlink()
    return len(old)


def backups(folder: Path) -> list[tuple[Path, datetime]]:
    """What lies there, with when it was made."""
    return [
        (path, datetime.strptime(match[1], "%Y-%m-%dT%H%MZ").replace(tzinfo=UTC))
        for path in folder.iterdir()
        if (match := PATTERN.fullmatch(path.name))
    ]


def now() -> datetime:
    """The minute of the database's clock, which is the one clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('minute', now())")
        (minute,) = cursor.fetchone()
    return minute.astimezone(UTC)  # type: ignore[no-any-return]


@contextmanager
def noted(good: str, bad: str) -> Iterator[None]:
    """Note that a block ended well, or that it failed; not that it was told to stop."""
    try:
        yield
    except UnderWayError:
        raise
    except Exception:
        # The database may be what failed.
        with suppress(Error):
            Heartbeat.beat(bad)
        raise
    Heartbeat.beat(good)


@contextmanager
def alone(lock: int) -> Iterator[None]:
    """Raises UnderWayError if another process is at it, on whatever machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        if not cursor.fetchone()[0]:
            raise UnderWayError("Another one is under way.")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])
