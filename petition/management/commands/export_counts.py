import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition.counts import export, tally
from petition.counts.breakdown import GROUPINGS, Question
from petition.models import Action, Petition
from petition.staff import audit

QUIET_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Write the published counts as CSV, XLSX or JSON. Countries, languages, sources and measures are those of "
        "ended weeks, rounded to tens. Days are UTC."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--by", default="day", help=f"any of {','.join(GROUPINGS)}; days and hours stand alone")
        parser.add_argument("--since", default="", help="the first day, 2026-03-01, or hour, 2026-03-01T14")
        parser.add_argument("--until", default="", help="the last day or hour, itself included")
        parser.add_argument("--format", choices=export.FORMATS, help="default: what --out ends in, else csv")
        parser.add_argument("--out", default="-", help="a file; - is the standard output (default)")
        parser.add_argument("--petition", help="its short name (default: the one opened last)")

    def handle(self, **options: Any) -> str | None:
        petition = Petition.find(options["petition"])
        if petition is None:
            raise CommandError("There is no such petition.")
        try:
            by = [name.strip() for name in options["by"].split(",") if name.strip()]
            question = Question.ask(petition.pk, by, options["since"], options["until"])
        except ValidationError as error:
            wrong = [f"--{name}: {message}" for name, messages in error.message_dict.items() for message in messages]
            raise CommandError("\n".join(wrong)) from None
        out = options["out"]
        format_name = options["format"] or (suffix if (suffix := Path(out).suffix[1:]) in export.FORMATS else "csv")
        if out == "-":
            if format_name == "xlsx" and self.stdout.isatty():
                raise CommandError("A workbook is no text for a terminal. Name a file: --out counts.xlsx")
            try:
                self.write(petition, question, format_name, cast(IO[bytes], self.stdout.buffer))
                self.stdout.flush()
            except BrokenPipeError:
                # Whoever read it had enough. Python would complain once more when it flushes at its end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
            return None
        try:
            with export.whole_file(Path(out)) as file:
                written = self.write(petition, question, format_name, file)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from None
        return f"Wrote {written} rows to {out}."

    def write(self, petition: Petition, question: Question, format_name: str, file: IO[bytes]) -> int:
        try:
            with tally.snapshot(), self.progress() as progress:
                written = export.write(export.table(petition, question), format_name, file, progress)
        except BrokenPipeError:
            # Whoever had enough has read some of it.
            self.record(petition, question, format_name, None)
            raise
        self.record(petition, question, format_name, written)
        return written

    def record(self, petition: Petition, question: Question, format_name: str, written: int | None) -> None:
        detail = f"{format_name} {question.query()}"
        audit.record(None, Action.COUNTS_DOWNLOADED, about=petition, detail=detail, count=written)

    @contextmanager
    def progress(self) -> Iterator[Callable[[int], None]]:
        """Say how far it is on stderr, from the first second on, also while the database still adds up."""
        rows = 0
        started, done = time.monotonic(), threading.Event()
        is_terminal = self.stderr.isatty()

        def hear(written: int) -> None:
            nonlocal rows
            rows = written

        def report() -> None:
            pause = QUIET_SECONDS
            while not done.wait(pause):
                said = f"{rows:,} rows in {time.monotonic() - started:.0f} s"
                self.stderr.write(f"\r{said}" if is_terminal else said, ending="" if is_terminal else "\n")
                pause = pause if is_terminal else 2 * pause  # a log file need not hear it each second

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield hear
        finally:
            done.set()
            reporter.join()
            if is_terminal and time.monotonic() - started > QUIET_SECONDS:
                self.stderr.write("")
