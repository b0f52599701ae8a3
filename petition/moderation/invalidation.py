"""Moderation campaigns: the preview for a moderator, who may let one begin alone, and the steps in which the worker
applies or undoes it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, F, Func, Q, Sum
from django.utils import timezone

from petition import live_settings
from petition.counts import tally
from petition.models import Action, InvalidationCampaign, Petition, Signature, StaffAction
from petition.models.invalidation import LAST_ID
from petition.models.signature import SignatureQuerySet, this_hour
from petition.moderation import similar
from petition.postgres.timeouts import TimeLimitError, read_within
from petition.staff import audit

# The most signatures that a step changes, and that it looks at. Whoever withdraws, or stops it, waits for a step.
BATCH = 500
WALK = 5_000
SAMPLE = 20
# How long a preview counts exactly. After that it estimates, by so many rows.
EXACT_SECONDS = 0.15
ESTIMATE_ROWS = 10_000
PREVIEW_SECONDS = 20
# So few are nobody's large share, however few there are on the first day of a site.
ALWAYS_ALONE = 100
ALONE = timedelta(days=1)
# Of advisory locks with two numbers; the second one is the campaign's.
STEP_LOCK = 1_401


@dataclass(frozen=True)
class Preview:
    """`found` signatures would be changed, `counted` of them count at this moment; estimated, unless `is_exact`."""

    found: int
    counted: int
    sample: list[Signature]
    count_now: int
    count_then: int
    is_exact: bool = True

    @property
    def is_narrow(self) -> bool:
        """Whether it is about so few that nothing of it may be shown, and an administrator has to apply it."""
        return self.found < similar.SMALLEST


def preview(campaign: InvalidationCampaign) -> Preview:
    """The numbers and a sample for the moderator who decides whether to apply it. Changes nothing.

    Counts for a moment, then estimates; raises TimeLimitError if that takes 20 seconds.
    """
    try:
        with read_within(EXACT_SECONDS):
            found, counted = numbers_of(campaign.signatures())
            sample = sample_of(campaign.signatures()) if found >= similar.SMALLEST else []
        is_exact = True
    except TimeLimitError:
        with read_within(PREVIEW_SECONDS):
            found, counted, sample = _estimate(campaign)
        is_exact = False
    count = tally.current(campaign.petition.slug)
    total = count.total if count else 0
    return Preview(found, counted, sample, total, total - counted, is_exact)


def numbers_of(signatures: SignatureQuerySet) -> tuple[int, int]:
    """How many these are, and how many of them count, if none is invalidated."""
    numbers = signatures.aggregate(found=Count("pk"), counted=Count("pk", filter=Q(held_at=None)))
    return numbers["found"], numbers["counted"]


def sample_of(signatures: SignatureQuerySet) -> list[Signature]:
    """Some of them by a hash of their numbers: neither the first nor the last ones show what else is caught."""
    return list(signatures.select_related("shown").order_by(Func(F("pk"), function="hashint8"))[:SAMPLE])


def _estimate(campaign: InvalidationCampaign) -> tuple[int, int, list[Signature]]:
    """The same by some thousand rows. Their numbers are random, so those between two numbers are as good as any."""
    # Else the indexes of a whole month could be read, to spare a few rows of it.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    start = secrets.randbits(62)
    ahead = Signature.objects.filter(pk__gt=start).order_by("pk").values_list("pk", flat=True)
    end = next(iter(ahead[ESTIMATE_ROWS - 1 : ESTIMATE_ROWS]), LAST_ID)
    within = campaign.signatures_between(start, end)
    found, counted = numbers_of(within)
    times = LAST_ID / (end - start)
    is_sample = found >= similar.SMALLEST
    # A single one among these rows would else say that there is one.
    if not is_sample and not similar.is_crowd(campaign.signatures()):
        return 0, 0, []
    found, counted = (max(_rounded(number * times), similar.SMALLEST) for number in (found, counted))
    return found, counted, sample_of(within) if is_sample else []


def _rounded(number: float) -> int:
    """Two digits that say something."""
    digits = max(len(str(int(number))) - 2, 0)
    return int(round(number, -digits))


def is_narrow(campaign: InvalidationCampaign) -> bool:
    """Whether it finds fewer than a crowd, as far as that can be told within 20 seconds."""
    try:
        with read_within(PREVIEW_SECONDS):
            return not similar.is_crowd(campaign.signatures())
    except TimeLimitError:
        return True


def is_too_much_for_one(user_id: int | None, petition: Petition, counted: int) -> bool:
    """Whether so many that count, with what this account has taken out of the count within a day, take a second person.

    `live_settings` says from which share of the confirmed signatures on.
    """
    alone = counted + taken_out_alone(user_id)
    current = tally.current(petition.slug)
    share = live_settings.number("CAMPAIGN_SHARE") / 100
    return alone > max(ALWAYS_ALONE, share * (current.confirmed_here if current else 0))


def taken_out_alone(user_id: int | None) -> int:
    """How many signatures this account has held or invalidated within a day, with nobody's approval."""
    since = timezone.now() - ALONE
    by_hand = StaffAction.objects.filter(
        user_id=user_id, done_at__gt=since, action__in=[Action.HELD, Action.INVALIDATED]
    )
    campaigns = InvalidationCampaign.objects.filter(asked_by=user_id, applied_at__gt=since, approved_by=None)
    return (by_hand.aggregate(n=Sum("count"))["n"] or 0) + (
        campaigns.aggregate(n=Sum(F("changed") - F("restored")))["n"] or 0
    )


def stop(pk: int) -> bool:
    """Stop a campaign, or take back a draft; return whether there was something to stop.

    The step that is under way is finished first, and no other one begins: whoever waits for an advisory lock has it
    before the worker can ask again.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [STEP_LOCK, pk])
        return InvalidationCampaign.objects.filter(pk=pk).cancel() == 1


def advance() -> bool:
    """Do one step of the oldest campaign that no other worker is busy with; return whether there was one.

    The step and how far it has come are one transaction: whoever goes on after a crash does nothing twice.
    """
    running = InvalidationCampaign.objects.running()
    return any(_advance(pk) for pk in running.order_by("pk").values_list("pk", flat=True))


def _advance(pk: int) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [STEP_LOCK, pk])
        if not cursor.fetchone()[0]:
            return False
        campaign = InvalidationCampaign.objects.running().filter(pk=pk).select_for_update().first()
        if campaign is None:
            return False
        # Else an index of a whole month could be read at each step, to spare a few rows of it.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        if campaign.is_undoing:
            _undo(campaign)
        else:
            _apply(campaign)
        campaign.save()
    return True


def _apply(campaign: InvalidationCampaign) -> None:
    ids = _step(campaign, campaign.signatures_between)
    reason = campaign.reason[:200]
    values: dict[str, Any] = (
        {"held_at": this_hour(), "held_reason": reason, "released_at": None}
        if campaign.holds
        else {"invalidated_at": this_hour(), "invalidated_reason": reason}
    )
    campaign.changed += Signature.objects.filter(pk__in=ids).update(campaign=campaign, **values)
    if ids and campaign.first_id is None:
        campaign.first_id = ids[0]
    if campaign.reached >= campaign.last_id:
        campaign.finished_at = timezone.now()
        _tell(campaign, Action.CAMPAIGN_FINISHED, campaign.changed)


def _undo(campaign: InvalidationCampaign) -> None:
    """Signatures that somebody decided on meanwhile no longer belong to the campaign, and stay as they are."""
    own = Signature.objects.filter(campaign=campaign)
    ids = _step(campaign, lambda first, last: own.filter(pk__gt=first, pk__lte=last))
    values: dict[str, Any] = (
        {"held_at": None, "released_at": this_hour()}
        if campaign.holds
        else {"invalidated_at": None, "invalidated_reason": ""}
    )
    campaign.restored += Signature.objects.filter(pk__in=ids).update(campaign=None, **values)
    if campaign.reached >= campaign.last_id:
        campaign.undo_finished_at = timezone.now()
        _tell(campaign, Action.CAMPAIGN_UNDO_FINISHED, campaign.restored)


def _step(campaign: InvalidationCampaign, between: Callable[[int, int], SignatureQuerySet]) -> list[int]:
    """The next of these signatures, locked in the order of their numbers; the campaign notes how far that is."""
    ahead = Signature.objects.filter(pk__gt=campaign.reached, pk__lte=campaign.last_id).order_by("pk")
    # So many rows, not so many numbers: there may be large gaps between those.
    end = next(iter(ahead.values_list("pk", flat=True)[WALK - 1 : WALK]), campaign.last_id)
    within = between(campaign.reached, end).order_by("pk")
    ids = list(within.select_for_update(of=("self",)).values_list("pk", flat=True)[:BATCH])
    campaign.reached = ids[-1] if len(ids) == BATCH else max(end, campaign.reached)
    return ids


def _tell(campaign: InvalidationCampaign, action: Action, count: int) -> None:
    """Record the end in the audit log, in the name of the account that asked for it."""
    is_undone = action == Action.CAMPAIGN_UNDO_FINISHED
    user = User.objects.filter(pk=(campaign.undone_by if is_undone else campaign.asked_by) or 0).first()
    left = f"{campaign.left} left as they are" if is_undone and campaign.left else ""
    canned = None if is_undone else campaign.canned_reason
    audit.record(user, action, about=campaign, detail=left, count=count, reason=campaign.reason, canned_reason=canned)
