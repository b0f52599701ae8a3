from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import rehearsal
from petition.models import Action
from petition.staff import audit


class Command(BaseCommand):
    help = (
        "Rehearse signing on this server, and list what is missing before a launch. It runs on a scratch database and"
        " mails nobody; the published number never moves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do it outside LOCAL too")
        parser.add_argument("--seconds", type=float, default=20, help="so long people sign (%(default)s)")
        parser.add_argument("--workers", type=int, default=2, help="processes of the app, as in its unit (%(default)s)")

    def handle(self, **options: Any) -> str:
        try:
            rehearsal.require_peace(options["yes"])
            measured = rehearsal.measure(options["seconds"], options["workers"])
        except rehearsal.RefusedError as error:
            raise CommandError(str(error)) from None
        audit.record(None, Action.REHEARSED, about="scratch database", count=measured.answers[303])
        lines = [
            f"{measured.signatures:.0f} signatures a second, {measured.mails:.0f} mails a second with one worker,"
            f" first limit: {measured.first_limit}.",
            "The machine that signed was this one too, so real visitors, who bring their own, leave it more.",
            "",
            "Before a launch:",
            *(f"  [{'!' if kind == 'missing' else '?'}] {said}" for kind, said in rehearsal.checklist()),
        ]
        return "\n".join(lines)
