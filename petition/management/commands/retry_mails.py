from typing import Any

from django.core.management.base import BaseCommand

from petition.models import Action, OutgoingMail
from petition.staff import audit


class Command(BaseCommand):
    help = "Have all parked mails tried again, as the button in the admin does: due now, in random order."

    def handle(self, **options: Any) -> str:
        number = OutgoingMail.objects.parked().try_again()
        audit.record(None, Action.MAIL_TRIED_AGAIN, count=number)
        return f"{number} parked mails are due now."
