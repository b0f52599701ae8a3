"""How many names of signers an account reads: an entry of the audit log for each hour, and another above a bound."""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils import timezone

from petition import live_settings
from petition.models import Action, NamesRead, ShownWords, StaffAction
from petition.models.audit import StaffActionQuerySet
from petition.staff import audit

TOLD_DAYS = 7


def note(user: User | AnonymousUser, shown: Iterable[ShownWords | None]) -> None:
    """Count the names on a page that this account is about to read. Costs one statement, and none without a name."""
    names = sum(bool(words and words.name) for words in shown)
    if not names or not user.pk:
        return
    read, bound = NamesRead.objects.add(user.pk, names), live_settings.number("NAMES_PER_HOUR")
    if bound and read > bound:
        with transaction.atomic():
            if NamesRead.objects.begin_to_tell(user.pk):
                audit.record(user, Action.MANY_NAMES_READ, detail=f"more than {bound}", count=read)


def record_ended_hours() -> int:
    """The worker's part: an entry for each account and hour that is over; return how many."""
    with transaction.atomic():
        ended = list(NamesRead.objects.of_ended_hours().select_for_update(skip_locked=True))
        users = User.objects.in_bulk([row.user_id for row in ended])
        for row in ended:
            detail = f"{row.pages} pages in the hour from {row.hour:%Y-%m-%d %H:%M} UTC"
            # An account that is gone has a number still.
            user = users.get(row.user_id) or User(pk=row.user_id)
            audit.record(user, Action.NAMES_READ, detail=detail, count=row.names)
        NamesRead.objects.filter(pk__in=[row.pk for row in ended]).delete()
    return len(ended)


def above_the_bound() -> StaffActionQuerySet:
    """The entries of the last days about accounts that have read unusually many names, the latest first."""
    since = timezone.now() - timedelta(days=TOLD_DAYS)
    return StaffAction.objects.filter(action=Action.MANY_NAMES_READ, done_at__gt=since).latest_first()
