"""Reviewing: a moderator approves or hides a name and words. The count does not know of it."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.crypto import salted_hmac

from petition.models import Signature
from petition.models.signature import SHOWABLE


def fingerprint(signature: Signature) -> str:
    """A digest of all that a moderator saw: the words, and what had been decided on them. It tells neither."""
    decision = (signature.reviewed_at is not None, signature.approved_at is not None)
    seen = repr((signature.pk, signature.name, signature.words, signature.shows_name, decision))
    return salted_hmac("petition.review", seen, algorithm="sha256").hexdigest()[:20]


def decide(seen: Mapping[int, str], *, approve: bool) -> list[Signature]:
    """Approve or hide these signatures, each given with the fingerprint of what was seen of it; return which.

    Whatever changed in between is left as it is: the decision of another moderator, or words that nobody has read.
    """
    with transaction.atomic():
        rows = Signature.objects.confirmed().filter(SHOWABLE, pk__in=seen).select_related("petition")
        locked = rows.order_by("pk").select_for_update(of=("self",))
        unchanged = [row for row in locked if fingerprint(row) == seen[row.pk]]
        Signature.objects.filter(pk__in=[row.pk for row in unchanged]).review(approve=approve)
    return unchanged
