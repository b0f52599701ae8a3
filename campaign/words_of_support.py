"""Words of support: what signers wrote, wanted shown, and a moderator approved."""

from petition.models import Signature
from petition.models.signature import SignatureQuerySet

ON_A_PAGE = 20


def shown() -> SignatureQuerySet:
    """Newest approved first."""
    approved = Signature.objects.counted().filter(shows_name=True, approved_at__isnull=False)
    return approved.exclude(words="").order_by("-approved_at", "-pk")


def page(number: int) -> tuple[list[Signature], bool]:
    """The words on this page, the first being 1, and whether there is another one behind it.

    They are not counted: that would read all of them.
    """
    start = (number - 1) * ON_A_PAGE
    found = list(shown()[start : start + ON_A_PAGE + 1])
    return found[:ON_A_PAGE], len(found) > ON_A_PAGE
