import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from petition.doctor import database, machine, mail, outside
from petition.doctor.findings import Finding, Level, fail


class Command(BaseCommand):
    help = (
        "Judge this machine, the database, the site from outside and the mail, and say what to do: a line for each."
        " It ends with 1 if anything fails."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--mail", metavar="ADDRESS", help="send a test mail to a mailbox of yours")
        parser.add_argument("--headers", metavar="FILE", help="judge the source of that mail; - for what comes in")

    def handle(self, **options: Any) -> None:
        findings = []
        for finding in examine(options):
            findings.append(finding)
            self.stdout.write(str(finding))
        counted = {level: sum(finding.level == level for finding in findings) for level in Level}
        self.stdout.write(", ".join(f"{number} {level}" for level, number in counted.items()))
        if counted[Level.FAIL]:
            sys.exit(1)


def examine(options: dict[str, Any]) -> Iterator[Finding]:
    if options["headers"]:
        yield from mail.judge(source_in(options["headers"]))
        return
    if options["mail"]:
        yield mail.send_test(options["mail"])
        return
    try:
        yield machine.of_the_clock()
        yield from database.examine()
    except Error as error:
        # Its text may quote a password, or rows.
        yield fail(
            "database", f"away ({type(error).__name__})", "Is PostgreSQL running, and does DATABASE_URL name it?"
        )
    yield from machine.examine()
    yield from outside.examine()
    yield from mail.examine()


def source_in(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(errors="replace")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
