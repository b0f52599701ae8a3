"""Large files of counts, made by a worker for whoever asked, and kept for a day (`CountsExport`).

A worker claims one, first takes all rows out of the database, so that no transaction is open while it writes them, and
says each second how far it is. What a killed worker has begun, another one begins anew.
"""

import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import parse_qs

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from petition.counts import export, tally
from petition.counts.breakdown import Question
from petition.models import CountsExport
from petition.models.counts import LEFT_SECONDS, MOST_TRIES

logger = logging.getLogger(__name__)

SAY_SECONDS = 1

CLAIM = """
    UPDATE petition_countsexport SET taken_at = now(), tries = tries + 1, written = 0, rows = NULL WHERE id = (
        SELECT id FROM petition_countsexport
        WHERE made_at IS NULL AND tries < %s AND (taken_at IS NULL OR taken_at < now() - %s * interval '1 second')
        ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""


def question_of(asked: CountsExport) -> Question:
    values = {name: texts[0] for name, texts in parse_qs(asked.query).items()}
    return Question.ask(asked.petition_id, values["by"].split(","), values.get("since", ""), values.get("until", ""))


def make_next() -> bool:
    """Make the one that waits longest; return whether there was one."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [MOST_TRIES, LEFT_SECONDS])
        row = cursor.fetchone()
    if row is None:
        return False
    asked = CountsExport.objects.select_related("petition").get(pk=row[0])
    with TemporaryFile() as spool:
        with tally.snapshot():
            table = export.table(asked.petition, question_of(asked))
            rows = 0
            for row in table.rows:
                pickle.dump(row, spool)
                rows += 1
        spool.seek(0)
        CountsExport.objects.filter(pk=asked.pk).update(rows=rows, taken_at=Now())
        file, _written = export.temporary(
            replace(table, rows=_spooled(spool, rows)), asked.format, Progress(asked).hear
        )
    with file:
        CountsExport.objects.filter(pk=asked.pk, made_at=None).update(
            file=file.read(), name=export.file_name(table, asked.format), made_at=Now(), written=rows
        )
    logger.info("Made %s of %s rows", asked, rows)
    return True


class Maker:
    """The process of a worker that makes what waits: mail goes on meanwhile, and the digest key stays with us."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def go_on(self) -> None:
        """Begin if something waits. Waits for nothing itself."""
        if self.process is not None and self.process.poll() is not None:
            if self.process.returncode:
                logger.error("Making a file of counts has failed; see above, or run: manage.py make_exports")
            self.process = None
        if self.process is None and CountsExport.objects.waiting().exists():
            command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "make_exports"]
            variables = {name: value for name, value in os.environ.items() if name != "EMAIL_DIGEST_KEY"}
            try:
                self.process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)  # noqa: S603
            except OSError as error:
                logger.error("No process can be started for a file of counts (%s)", type(error).__name__)  # noqa: TRY400

    def stop(self) -> None:
        """End it; another worker begins what it was at anew."""
        if self.process:
            self.process.terminate()
            self.process.wait()


def _spooled(spool: IO[bytes], rows: int) -> Iterator[Any]:
    for _row in range(rows):
        yield pickle.load(spool)  # noqa: S301, written a moment ago by this process


class Progress:
    """How far it is, said once a second: often enough for a bar, and for others to see that somebody is at it."""

    def __init__(self, asked: CountsExport) -> None:
        self.asked, self.said_at = asked, time.monotonic()

    def hear(self, written: int) -> None:
        if time.monotonic() >= self.said_at + SAY_SECONDS:
            self.said_at = time.monotonic()
            CountsExport.objects.filter(pk=self.asked.pk).update(written=written, taken_at=Now())
