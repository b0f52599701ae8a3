import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import withdrawn_list


class Command(BaseCommand):
    help = "Erase again, in a restored database, what was withdrawn since its backup. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the list of a worker (WITHDRAWN_LIST), or - for what comes in")

    def handle(self, **options: Any) -> str:
        try:
            withdrawn, unreadable = withdrawn_list.read(lines_of(options["file"]))
        except OSError as error:
            raise CommandError(f"The list cannot be read ({type(error).__name__}).") from None
        if unreadable and not withdrawn:
            raise CommandError("This is no list of withdrawals. Nothing was changed.")
        if unreadable:
            self.stderr.write(f"{unreadable} lines cannot be read and were passed by: those people are counted again.")
        applied = withdrawn_list.apply(withdrawn)
        return (
            f"Read {applied.entries} withdrawals. Erased {applied.signatures} signatures that had come back, and what"
            f" {applied.links} links knew of their addresses. {applied.boxes} left the mailing list. The counts have"
            " followed."
        )


def lines_of(file: str) -> list[str]:
    return (sys.stdin.read() if file == "-" else Path(file).read_text(errors="replace")).splitlines()
