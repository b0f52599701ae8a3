"""Reviewing: a moderator approves or hides a name and words. The count does not know of it."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.crypto import salted_hmac

from petition.models import ShownWords


def fingerprint(shown: ShownWords) -> str:
    """A digest of all that a moderator saw: the words, and what had been decided on them. It tells neither."""
    seen = repr((shown.pk, shown.name, shown.words, shown.approved_at is not None))
    return salted_hmac("petition.review", seen, algorithm="sha256").hexdigest()[:20]


def decide(seen: Mapping[int, str], *, approve: bool) -> list[ShownWords]:
    """Approve these names and words, or erase them, each given with the fingerprint of what was seen; return which.

    Whatever changed in between is left as it is: the decision of another moderator, or words that nobody has read.
    """
    with transaction.atomic():
        rows = ShownWords.objects.filter(pk__in=seen).select_related("signature__petition")
        locked = rows.order_by("pk").select_for_update(of=("self",))
        unchanged = [row for row in locked if fingerprint(row) == seen[row.pk]]
        chosen = ShownWords.objects.filter(pk__in=[row.pk for row in unchanged])
        if approve:
            chosen.approve()
        else:
            chosen.hide()
    return unchanged
