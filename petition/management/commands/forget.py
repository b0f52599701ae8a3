from typing import Any

from django.core.management.base import BaseCommand, CommandError

from petition import clock, forgetting
from petition.models.signature import this_hour


class Command(BaseCommand):
    help = "Have PostgreSQL forget what was deleted, and the order of rows, as the worker does when an hour has ended."

    def handle(self, **options: Any) -> str:
        try:
            written = forgetting.forget(this_hour())
        except forgetting.LaterError:
            raise CommandError("Something was in use. What was done stays done; try again.") from None
        except clock.WrongClockError as error:
            raise CommandError(f"{error} Nothing was done.") from error
        return f"Forgotten; {written} signatures were written anew in random order."
