"""Words of support that the site shows: their signers wanted that, and a moderator approved them."""

from petition.models import Signature
from petition.models.signature import SignatureQuerySet

ON_A_PAGE = 20


def shown() -> SignatureQuerySet:
    """Signatures with words to show, the last approved first."""
    approved = Signature.objects.counted().filter(shows_name=True, approved_at__isnull=False)
    return approved.exclude(words="").order_by("-approved_at", "-pk")


def page(number: int) -> tuple[list[Signature], bool]:
    """Signatures on page `number`, which starts at 1, and whether a further page follows.

    Costs one query of a page and a row; counting all pages would read every signature.
    """
    start = (number - 1) * ON_A_PAGE
    found = list(shown()[start : start + ON_A_PAGE + 1])
    return found[:ON_A_PAGE], len(found) > ON_A_PAGE
