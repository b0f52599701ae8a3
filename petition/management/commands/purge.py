from typing import Any

from django.core.management.base import BaseCommand

from petition import retention


class Command(BaseCommand):
    help = "Delete what has had its time: lapsed signatures, abuse signals, parked mails, old salts and counters."

    def handle(self, **options: Any) -> str:
        return "Purged " + ", ".join(f"{number} {what}" for what, number in retention.purge().items()) + "."
