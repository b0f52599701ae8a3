from typing import Any

from django.core.management.base import BaseCommand
from nacl.public import PrivateKey


class Command(BaseCommand):
    help = "Print a new pair of keys for sealing recipients. Only the worker may hold the secret one."
    requires_system_checks = []

    def handle(self, **options: Any) -> str:
        key = PrivateKey.generate()
        return f"RECIPIENT_PUBLIC_KEY={key.public_key.encode().hex()}\nRECIPIENT_SECRET_KEYS={key.encode().hex()}"
