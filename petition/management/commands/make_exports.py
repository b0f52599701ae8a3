import os
from typing import Any

from django.core.management.base import BaseCommand

from petition.counts import prepared


class Command(BaseCommand):
    help = "Make the large files of counts that somebody has asked for in the admin. A worker starts this."
    requires_system_checks = []

    def handle(self, **options: Any) -> str:
        os.nice(10)  # Whoever signs goes first.
        made = 0
        while prepared.make_next():
            made += 1
        return f"Made {made} files."
