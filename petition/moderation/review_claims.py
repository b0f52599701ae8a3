"""Cards of the review for each moderator: what one has before her is left out for the others, for ten minutes.

A card that two decide on is no harm (`review.decide` lets the second one change nothing), only reading for nothing. So
a claim binds nobody, and where all cards are taken they are shown all the same.
"""

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from petition.models import ReviewClaim, ShownWords
from petition.models.shown_words import ShownWordsQuerySet


def take(account_id: int, queue: ShownWordsQuerySet, number: int, *, may_share: bool) -> tuple[list[ShownWords], bool]:
    """The first rows of the queue that nobody else has, one more than `number` if there are, and whether others have
    these: which is so if there are no others and `may_share`.

    The first `number` are this account's from now on, and what it had before is given back: it looks at one page.
    """
    with transaction.atomic():
        _one_after_the_other()
        ReviewClaim.objects.ended().delete()
        ReviewClaim.objects.of(account_id).delete()
        rows = list(queue.filter(~Exists(ReviewClaim.objects.filter(pk=OuterRef("pk"))))[: number + 1])
        if not rows and may_share:
            return list(queue[: number + 1]), True
        claims = [ReviewClaim(signature_id=shown.pk, account_id=account_id) for shown in rows[:number]]
        ReviewClaim.objects.bulk_create(claims)
    return rows, False


def give_back(account_id: int) -> None:
    ReviewClaim.objects.of(account_id).delete()


def _one_after_the_other() -> None:
    # Two at once would find the same cards free. It takes some milliseconds, and nobody else uses this table.
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE petition_reviewclaim IN SHARE ROW EXCLUSIVE MODE")
