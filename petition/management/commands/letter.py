from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import organisation
from petition.counts import export, letter
from petition.models import Action, Petition
from petition.staff import audit


class Command(BaseCommand):
    help = "Write the letter for the addressee: a PDF with the demand and the published counts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--language", default="en", choices=[code for code, _name in settings.LANGUAGES])
        parser.add_argument("--out", required=True, help="the file, for example letter.pdf")
        parser.add_argument("--petition", help="its short name (default: the one opened last)")

    def handle(self, **options: Any) -> str:
        petition = Petition.find(options["petition"])
        if petition is None:
            raise CommandError("There is no such petition.")
        try:
            composed = letter.compose(petition, options["language"])
        except ObjectDoesNotExist:
            raise CommandError(f"The petition has no text in this language: {options['language']}.") from None
        try:
            with export.whole_file(Path(options["out"])) as file:
                letter.write_pdf(composed, file)
        except OSError as error:
            raise CommandError(f"{options['out']} cannot be written: {error.strerror}.") from None
        for lack in organisation.missing_in_letter(composed.addressee):
            self.stderr.write(lack)
        audit.record(None, Action.LETTER_DOWNLOADED, about=petition, detail=composed.language, count=composed.total)
        more = "more than " if composed.before_opening else ""
        return f"Wrote {options['out']}, with {more}{composed.total} signatures."
