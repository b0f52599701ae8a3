"""Words of support that the site shows: their signers wanted that, and a moderator approved them."""

from django.utils.translation import get_language

from petition.models import ShownWords
from petition.models.shown_words import ShownWordsQuerySet

ON_A_PAGE = 20


def shown() -> ShownWordsQuerySet:
    """Words to show, the last approved first; those of one hour in the order of their numbers, which are random."""
    public = ShownWords.objects.public().exclude(words="").select_related("signature")
    return public.order_by("-approved_at", "-pk")


def page(number: int) -> tuple[list[ShownWords], bool]:
    """Words on page `number`, which starts at 1, and whether a further page follows.

    Costs three queries: how many are in the language of the page, and the rows of a page and one.
    """
    start = (number - 1) * ON_A_PAGE
    found = in_their_order(start, start + ON_A_PAGE + 1)
    return found[:ON_A_PAGE], len(found) > ON_A_PAGE


def in_their_order(start: int, end: int) -> list[ShownWords]:
    """Those of these places: all in the language of the page, then those in others."""
    language = get_language() or ""
    own, foreign = shown().filter(language=language), shown().exclude(language=language)
    number = own.count()
    return [*own[start:end], *foreign[max(start - number, 0) : max(end - number, 0)]]
