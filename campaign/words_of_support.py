"""Words of support that the site shows: their signers wanted that, and a moderator approved them."""

from petition.models import ShownWords
from petition.models.shown_words import ShownWordsQuerySet

ON_A_PAGE = 20


def shown() -> ShownWordsQuerySet:
    """Words to show, the last approved first; those of one hour in the order of their numbers, which are random."""
    public = ShownWords.objects.public().exclude(words="").select_related("signature")
    return public.order_by("-approved_at", "-pk")


def page(number: int) -> tuple[list[ShownWords], bool]:
    """Words on page `number`, which starts at 1, and whether a further page follows.

    Costs one query of a page and a row; counting all pages would read every signature.
    """
    start = (number - 1) * ON_A_PAGE
    found = list(shown()[start : start + ON_A_PAGE + 1])
    return found[:ON_A_PAGE], len(found) > ON_A_PAGE
