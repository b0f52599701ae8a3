from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import clock, retention


class Command(BaseCommand):
    help = "Delete what has had its time: lapsed signatures, abuse signals, parked mails, old salts and counters."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--agree", action="store_true", help="delete unusually many lapsed signatures as well")

    def handle(self, **options: Any) -> str:
        try:
            purged = retention.purge(is_agreed=options["agree"])
        except clock.WrongClockError as error:
            raise CommandError(f"{error} Nothing was deleted.") from error
        said = "Purged " + ", ".join(f"{number} {what}" for what, number in purged.items()) + "."
        if retention.LAPSED not in purged:
            said += " Unusually many signatures have lapsed at once: look at the clock, then run it with --agree."
        return said
