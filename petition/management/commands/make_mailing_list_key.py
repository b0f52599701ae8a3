from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import offline_key


class Command(BaseCommand):
    help = "Make the organisers' key of the mailing list as a file under a passphrase. Not on a server."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="where the key goes; it is never overwritten")

    def handle(self, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError(
                "This may be the server, which must never have the secret half. On a computer of the organisers, run:"
                " python petition/offline_key.py make-list list.key"
            )
        problem = offline_key.main(["make-list", options["file"]])
        if problem:
            raise CommandError(str(problem))
