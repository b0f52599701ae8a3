"""Reviewing: a moderator approves or hides a name and words, together or apart. The count does not know of it.

What is hidden is erased at once, so only an approval can be undone.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from petition.models import Action, ShownWords, StaffAction
from petition.models.shown_words import ShownWordsQuerySet

from . import written_language

# Later, the page of one hides it.
UNDO_HOURS = 24
# Looking for a language reads so many of those that wait, in some 30 ms.
LOOK_THROUGH = 1_000


class Decision(Enum):
    APPROVE = "approve"
    APPROVE_NAME = "approve_name"
    APPROVE_WORDS = "approve_words"
    HIDE = "hide"

    @property
    def erases(self) -> str:
        """What goes of those that have both."""
        return {Decision.APPROVE_NAME: "words", Decision.APPROVE_WORDS: "name"}.get(self, "")


def fingerprint(shown: ShownWords) -> str:
    """A digest of all that a moderator saw: the words, and what had been decided on them. It tells neither."""
    seen = repr((shown.pk, shown.name, shown.words, shown.approved_at is not None))
    return salted_hmac("petition.review", seen, algorithm="sha256").hexdigest()[:20]


def decide(seen: Mapping[int, str], decision: Decision) -> list[ShownWords]:
    """Decide on these names and words, each given with the fingerprint of what was seen; return which as they were.

    Whatever changed in between is left as it is: the decision of another moderator, or words that nobody has read. So
    is one that has nothing beside what would be erased.
    """
    with transaction.atomic():
        rows = ShownWords.objects.filter(pk__in=seen).select_related("signature__petition")
        locked = rows.order_by("pk").select_for_update(of=("self",))
        unchanged = [row for row in locked if fingerprint(row) == seen[row.pk]]
        if decision.erases:
            unchanged = [row for row in unchanged if row.name and row.words]
        chosen = ShownWords.objects.filter(pk__in=[row.pk for row in unchanged])
        if decision is Decision.HIDE:
            chosen.hide()
        else:
            if decision.erases:
                chosen.hide_part(decision.erases)
            chosen.approve()
    return unchanged


def can_be_undone(entry: StaffAction) -> bool:
    """Whether `undo` may find something: an approval of the last day."""
    return entry.action == Action.APPROVED and entry.done_at > timezone.now() - timedelta(hours=UNDO_HOURS)


def undo(entry: StaffAction) -> list[ShownWords]:
    """Let what this entry of the audit log approved wait again, as far as nobody decided on it since; return which."""
    if not can_be_undone(entry):
        return []
    with transaction.atomic():
        rows = ShownWords.objects.filter(pk__in=entry.signatures).select_related("signature__petition")
        locked = list(rows.order_by("pk").select_for_update(of=("self",)))
        # Who decides records that before the lock is gone. The hour is for clocks that differ.
        since = StaffAction.objects.of_review().filter(done_at__gte=entry.done_at - timedelta(hours=1), pk__gt=entry.pk)
        decided_since = {number for later in since for number in later.signatures}
        standing = [row for row in locked if row.approved_at and row.pk not in decided_since]
        ShownWords.objects.filter(pk__in=[row.pk for row in standing]).take_approval_back()
    return standing


def in_language(queue: ShownWordsQuerySet, language: str) -> tuple[list[int], tuple[int, datetime] | None]:
    """The numbers of those in the queue whose words are in this language, and to which place it was looked at.

    None: to the end. What only has a name goes by its letters.
    """
    rows = list(queue.values_list("pk", "asked_at", "name", "words", "language")[:LOOK_THROUGH])
    found = [pk for pk, _at, name, words, site in rows if written_language.of(words or name, site) == language]
    return found, rows[-1][:2] if len(rows) == LOOK_THROUGH else None
