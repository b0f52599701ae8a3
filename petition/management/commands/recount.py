from typing import Any

from django.core.management.base import BaseCommand

from petition.counts import tally


class Command(BaseCommand):
    help = "Prove the tallies against the signatures, and repair them. Safe at any time."

    def handle(self, **options: Any) -> str:
        found = tally.recount()
        if not (found.difference or found.hours or found.days or found.standing):
            return f"The tallies agree with {found.counted} counted signatures."
        return (
            f"Repaired the tallies: {found.counted} signatures are counted; the total was off by {-found.difference}. "
            f"{found.hours} hours, {found.days} days and {found.standing} of the numbers of waiting, held and "
            "invalidated signatures were wrong."
        )
