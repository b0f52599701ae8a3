from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition.models import Action
from petition.staff import audit, second_factor


class Command(BaseCommand):
    help = "Forget the second factor of an account whose phone is lost, when no other administrator can do it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="kept in the audit log for two years; name no signer")

    def handle(self, **options: Any) -> str:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError("There is no such account.")
        if not second_factor.reset(user):
            return "This account had no second factor; nothing has changed."
        audit.record(None, Action.SECOND_FACTOR_RESET, about=user, reason=options["reason"])
        return "The next login of this account sets up a new second factor."
