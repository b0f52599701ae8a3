"""The list of withdrawals, which lies beside the database and outlives its loss.

Whoever restores a backup would count those again who have withdrawn since. So the worker appends each erasure to a file
(WITHDRAWN_LIST) within a second, and `manage.py apply_withdrawals` repeats them on what was restored. A line is an hour
and a digest: of a petition's number and the digest of an address, of the number of a row that was disowned, or of what
left the mailing list. Without a row to compare it with it says nothing, nor whether there was one. Lines go with the
oldest backup (BACKUP_DAYS).
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from petition.models import OutgoingMail, Signature, Withdrawn

logger = logging.getLogger(__name__)

BATCH = 1_000
HOUR_FORMAT = "%Y-%m-%dT%HZ"
LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\dZ) ([0-9a-f]{64})")

# What was stored in the hour of the withdrawal goes as well: she who signed again within that hour signs once more.
SAME_ADDRESS = """
    unnest(%(digests)s::text[], %(hours)s::timestamptz[]) AS withdrawn (digest, hour)
    WHERE encode(sha256(convert_to(stored.petition_id || ':', 'UTF8') || stored.email_digest), 'hex') = withdrawn.digest
        AND stored.created_at <= withdrawn.hour
"""
FIND = f"""
    SELECT stored.id FROM petition_signature stored, {SAME_ADDRESS}
    UNION SELECT id FROM petition_signature
    WHERE encode(sha256(convert_to('row:' || id, 'UTF8')), 'hex') = ANY(%(digests)s)
"""  # noqa: S608
FORGET_BOXES = """
    DELETE FROM petition_subscription
    WHERE encode(sha256(convert_to('box:', 'UTF8') || leave_digest), 'hex') = ANY(%(digests)s)
"""
FORGET_LINKS = f"UPDATE petition_link stored SET email_digest = NULL FROM {SAME_ADDRESS}"  # noqa: S608


@dataclass(frozen=True)
class Applied:
    """Of so many `entries` of the list, `signatures` were erased again, `links` forgot whose they are, and `boxes` left
    the mailing list.
    """

    entries: int
    signatures: int
    links: int
    boxes: int = 0


def write() -> int:
    """Move what was erased since the last time into the list; return how many. Costs one statement if nothing was.

    A crash in between leaves lines twice, and loses none.
    """
    if not settings.WITHDRAWN_LIST or not Withdrawn.objects.exists():
        return 0
    try:
        with transaction.atomic():
            rows = list(Withdrawn.objects.select_for_update(skip_locked=True)[:BATCH])
            _append(f"{row.hour.astimezone(UTC):{HOUR_FORMAT}} {row.digest}\n" for row in rows)
            Withdrawn.objects.filter(pk__in=[row.pk for row in rows]).delete()
    except OSError as error:
        # The mail goes on, and the rows wait for the disk to have room again.
        logger.error("The list of withdrawals cannot be written (%s)", type(error).__name__)  # noqa: TRY400
        return 0
    return len(rows)


def _append(lines: Iterable[str]) -> None:
    path = Path(settings.WITHDRAWN_LIST)
    with _alone(path), _private(path, os.O_APPEND) as file:
        # Sorted, so that the file does not tell who came first.
        file.write("".join(sorted(lines)))
        file.flush()
        os.fsync(file.fileno())


def forget_old() -> int:
    """Take the lines out of the list that no backup needs any more; return how many."""
    path = Path(settings.WITHDRAWN_LIST)
    if not settings.WITHDRAWN_LIST or not path.exists():
        return 0
    since = f"{timezone.now() - timedelta(days=settings.BACKUP_DAYS):{HOUR_FORMAT}}"
    with _alone(path):
        lines = path.read_text().splitlines(keepends=True)
        kept = sorted(line for line in lines if line >= since)
        if len(kept) < len(lines):
            new = path.with_name(f"{path.name}.new")
            with _private(new, os.O_TRUNC) as file:
                file.writelines(kept)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
    return len(lines) - len(kept)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Workers of one machine share the list. The lock has a file of its own, since the list is replaced."""
    with _private(path.with_name(f"{path.name}.lock"), os.O_TRUNC) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _private(path: Path, flags: int) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600), "w")


def read(lines: Iterable[str]) -> tuple[dict[str, datetime], int]:
    """The digests of a list with the last hour of each, and how many lines are none of it: a crash may tear one."""
    withdrawn: dict[str, datetime] = {}
    unreadable = 0
    for line in lines:
        if match := LINE.fullmatch(line):
            hour = datetime.strptime(match[1], HOUR_FORMAT).replace(tzinfo=UTC)
            withdrawn[match[2]] = max(hour, withdrawn.get(match[2], hour))
        else:
            unreadable += 1
    return withdrawn, unreadable


def apply(withdrawn: dict[str, datetime]) -> Applied:
    """Erase again what these addresses had stored up to their hour. Reads every signature once; may be repeated."""
    values: dict[str, Any] = {"digests": list(withdrawn), "hours": list(withdrawn.values())}
    with connection.cursor() as cursor:
        cursor.execute(FIND, values)
        found = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(FORGET_LINKS, values)
        links = cursor.rowcount
        cursor.execute(FORGET_BOXES, values)
        boxes = cursor.rowcount
    erased = 0
    for start in range(0, len(found), BATCH):
        ids = found[start : start + BATCH]
        OutgoingMail.objects.filter(signature_id__in=ids).delete()
        erased += Signature.objects.filter(pk__in=ids).erase()
    return Applied(len(withdrawn), erased, links, boxes)
