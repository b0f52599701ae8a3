"""Work that waits for staff: how much there is of each kind, and since when. The start page shows it, notices tell it.

A kind is a function that asks for it, below or in `campaign/admin.py`:

    @kind("petition.OutgoingMail", gettext_lazy("parked"), "petition.view_outgoingmail")
    def parked_mails() -> Waiting:
        return rows(OutgoingMail.objects.parked(), "parked_at")
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext_lazy

from petition.models import (
    InvalidationCampaign,
    Lookup,
    Notice,
    OutgoingMail,
    PaperSheets,
    ProposedListing,
    Sample,
    ShownWords,
    Signature,
)

# Counting further would read all of a queue after an attack.
MAX_COUNT = 10_000
LATE, SILENT = timedelta(minutes=3), timedelta(minutes=3)
MINUTES_PER_HOUR, HOURS_TO_DAYS = 60, 48


@dataclass(frozen=True)
class Waiting:
    """So many wait, counted to one more than MAX_COUNT, the oldest `since` then; None if its time is not known."""

    count: int
    since: datetime | None = None

    @property
    def is_more(self) -> bool:
        return self.count > MAX_COUNT

    @property
    def shown(self) -> int:
        return min(self.count, MAX_COUNT)

    @property
    def age(self) -> timedelta:
        return timezone.now() - self.since if self.since else timedelta()


@dataclass(frozen=True)
class Kind:
    """A kind of work: whoever has the permission sees it, beside the admin page of this model.

    `find` is asked at each look at the start page, so it costs milliseconds however many signatures there are.
    """

    model: str
    label: str | Promise
    permission: str
    find: Callable[[], Waiting]
    query: str
    # Whether notices tell of it: a draft may rest.
    is_told: bool


KINDS: list[Kind] = []


def kind(
    model: str, label: str | Promise, permission: str, *, query: str = "", is_told: bool = True
) -> Callable[[Callable[[], Waiting]], Callable[[], Waiting]]:
    """Decorator that makes a kind of work of a function. `query` is what follows the address of the page."""

    def register(find: Callable[[], Waiting]) -> Callable[[], Waiting]:
        KINDS.append(Kind(model, label, permission, find, query, is_told))
        return find

    return register


def rows(those: QuerySet[Any], time: str) -> Waiting:
    """These rows, as old as `time` says; an index has to lead to the oldest, or there are few of them."""
    count = those.order_by()[: MAX_COUNT + 1].count()
    return Waiting(count, those.order_by(time).values_list(time, flat=True).first() if count else None)


def age(waited: timedelta) -> str:
    """How long, as somebody in a hurry would say it."""
    minutes = max(int(waited.total_seconds()) // 60, 0)
    hours = minutes // MINUTES_PER_HOUR
    if not minutes:
        return gettext("less than a minute")
    if not hours:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    if hours < HOURS_TO_DAYS:
        return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    return ngettext("%(count)d day", "%(count)d days", hours // 24) % {"count": hours // 24}


@kind("petition.Review", gettext_lazy("to decide"), "petition.review_signature")
def names_and_words() -> Waiting:
    return rows(ShownWords.objects.awaiting_review(), "asked_at")


@kind("petition.HeldSignature", pgettext_lazy("what waits", "held"), "petition.hold_signature")
def held_signatures() -> Waiting:
    return rows(Signature.objects.awaiting_release(), "held_at")


@kind("petition.Signals", gettext_lazy("in the last hour"), "petition.view_signals", query="?span=hour")
def anomalies() -> Waiting:
    # A worker looks for them now and then (`petition.notifications`): it reads every signature of a week.
    return Waiting(Notice.objects.values_list("anomalies", flat=True).first() or 0)


@kind("petition.InvalidationCampaign", gettext_lazy("drafts"), "petition.invalidate_signature", is_told=False)
def drafts_of_campaigns() -> Waiting:
    return rows(InvalidationCampaign.objects.drafts().filter(faded_at=None), "created_at")


@kind("petition.ProposedListing", pgettext_lazy("what waits", "to confirm"), "petition.confirm_listing")
def proposals() -> Waiting:
    return rows(ProposedListing.objects.waiting(), "proposed_at")


@kind("petition.PaperSheets", gettext_lazy("wait for a second look"), "petition.check_papersheets")
def sheets_of_paper() -> Waiting:
    return rows(PaperSheets.objects.waiting(), "entered_at")


@kind("petition.InvalidationCampaign", gettext_lazy("to approve"), "petition.oversee_campaigns")
def campaigns_to_approve() -> Waiting:
    return rows(InvalidationCampaign.objects.awaiting_approval(), "created_at")


@kind("petition.Lookup", gettext_lazy("to approve or to answer"), "petition.find_signature")
def lookups() -> Waiting:
    return rows(Lookup.objects.waiting(), "asked_at")


@kind("petition.OutgoingMail", gettext_lazy("parked"), "petition.view_outgoingmail", query="?parked_at__isempty=0")
def parked_mails() -> Waiting:
    return rows(OutgoingMail.objects.parked(), "parked_at")


@kind("petition.OutgoingMail", gettext_lazy("late"), "petition.view_outgoingmail")
def late_mails() -> Waiting:
    return rows(OutgoingMail.objects.waiting().filter(attempts=0, due_at__lt=timezone.now() - LATE), "due_at")


# No notice: who would send it is silent.
@kind("petition.Sample", gettext_lazy("minutes without a word of the worker"), "petition.view_sample", is_told=False)
def silence() -> Waiting:
    newest = Sample.objects.order_by("-taken_at").values_list("taken_at", flat=True).first()
    if newest is None or (silent := timezone.now() - newest) < SILENT:
        return Waiting(0)
    return Waiting(int(silent.total_seconds()) // 60, newest)
