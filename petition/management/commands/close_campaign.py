from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import closing, forgetting
from petition.models import Action, Petition
from petition.staff import audit


class Command(BaseCommand):
    help = "End a petition for good: its numbers stay, everything about single people goes. It cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--yes", metavar="SLUG", help="the slug once more, in place of the question")

    def handle(self, **options: Any) -> str:
        petition = Petition.find(options["slug"])
        if petition is None:
            raise CommandError("There is no such petition.")
        typed = options["yes"] or input(
            "Names, words, digests, links and mails of all signers will be deleted. Nobody can withdraw, be found or be"
            " recognised afterwards. With the last petition the sealed mailing list goes as well: is it exported?"
            "\nType the short name of the petition again: "
        )
        if typed != petition.slug:
            raise CommandError("This is another name. Nothing has changed.")
        try:
            ended = closing.end(petition)
        except closing.TooEarlyError:
            raise CommandError(
                "It is not over: close it first, and wait until the last day of confirming has passed."
            ) from None
        audit.record(None, Action.PETITION_ENDED, about=petition, count=ended.kept)
        lines = told(petition, ended)
        if not forgetting.throw_log_away():
            lines.append(
                "PostgreSQL's log still holds what was deleted, and this role may not end it. Do it now, as root:"
                " runuser -u postgres -- psql --command='SELECT pg_switch_wal()' --command=CHECKPOINT"
            )
        return "\n".join(lines)


def told(petition: Petition, ended: closing.Ended) -> list[str]:
    deleted = ", ".join(f"{number} {what}" for what, number in ended.deleted.items() if number) or "nothing else"
    lines = [
        f"{petition} has ended. {ended.kept} signatures are kept as numbers, without anybody's digest or words.",
        f"Deleted: {deleted}.",
        "What can still be done: show, export and recount the numbers; edit the pages. Nothing about single people:"
        " nobody can sign, confirm, withdraw, be looked up, held or restored by her address.",
        "Backups made before this, and the list of withdrawals, still hold digests. Destroy them.",
    ]
    if ended.others:
        lines.append(f"EMAIL_DIGEST_KEY is still needed by: {', '.join(ended.others)}.")
    else:
        lines.append(
            "EMAIL_DIGEST_KEY can be destroyed now, and every copy of it. A worker that goes on takes a new one."
        )
    return lines
