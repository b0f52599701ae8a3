"""Invalidation campaigns: the preview for a moderator, and the steps in which the worker applies or undoes one."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, F, Func, Q
from django.utils import timezone

from petition.counts import tally
from petition.models import Action, InvalidationCampaign, Signature
from petition.models.signature import SignatureQuerySet, this_hour
from petition.moderation import similar
from petition.postgres.timeouts import TimeLimitError, read_within
from petition.staff import audit

# The most signatures that a step changes, and that it looks at. A signer who withdraws waits for the locks of a step.
BATCH = 1_000
WALK = 5_000
SAMPLE = 20
PREVIEW_SECONDS = 20


@dataclass(frozen=True)
class Preview:
    """`found` signatures would be invalidated, `counted` of them count at this moment."""

    found: int
    counted: int
    sample: list[Signature]
    count_now: int
    count_then: int

    @property
    def is_narrow(self) -> bool:
        """Whether it is about so few that nothing of it may be shown, and an administrator has to apply it."""
        return self.found < similar.SMALLEST


def preview(campaign: InvalidationCampaign) -> Preview:
    """The numbers and a sample for the moderator who decides whether to apply it. Changes nothing.

    Reads all that it must to be exact; raises TimeLimitError after 20 seconds.
    """
    found = campaign.signatures()
    with read_within(PREVIEW_SECONDS):
        # Of confirmed signatures that are not invalidated, those that are not held count.
        numbers = found.aggregate(found=Count("pk"), counted=Count("pk", filter=Q(held_at=None)))
        # By a hash of their numbers: neither the first nor the last ones show what else is caught.
        is_crowd = numbers["found"] >= similar.SMALLEST
        sample = (
            []
            if not is_crowd
            else list(found.select_related("shown").order_by(Func(F("pk"), function="hashint8"))[:SAMPLE])
        )
    count = tally.current(campaign.petition.slug)
    total = count.total if count else 0
    return Preview(numbers["found"], numbers["counted"], sample, total, total - numbers["counted"])


def is_narrow(campaign: InvalidationCampaign) -> bool:
    """Whether it finds fewer than a crowd, as far as that can be told within 20 seconds."""
    try:
        with read_within(PREVIEW_SECONDS):
            return not similar.is_crowd(campaign.signatures())
    except TimeLimitError:
        return True


def advance() -> bool:
    """Do one step of the oldest campaign that no other worker is busy with; return whether there was one.

    The step and how far it has come are one transaction: whoever goes on after a crash does nothing twice.
    """
    with transaction.atomic():
        running = InvalidationCampaign.objects.running().order_by("pk")
        campaign = running.select_for_update(skip_locked=True).first()
        if campaign is None:
            return False
        # Else an index of a whole month could be read at each step, to spare a few rows of it.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        if campaign.is_undoing:
            _restore(campaign)
        else:
            _invalidate(campaign)
        campaign.save()
    return True


def _invalidate(campaign: InvalidationCampaign) -> None:
    ids = _step(campaign, campaign.signatures())
    campaign.changed += Signature.objects.filter(pk__in=ids).update(
        invalidated_at=this_hour(), invalidated_reason=campaign.reason[:200], campaign=campaign
    )
    if ids and campaign.first_id is None:
        campaign.first_id = ids[0]
    if campaign.reached >= campaign.last_id:
        campaign.finished_at = timezone.now()
        _tell(campaign, Action.CAMPAIGN_FINISHED, campaign.changed)


def _restore(campaign: InvalidationCampaign) -> None:
    """Signatures that somebody decided on meanwhile no longer belong to the campaign, and stay as they are."""
    ids = _step(campaign, Signature.objects.filter(campaign=campaign))
    campaign.restored += Signature.objects.filter(pk__in=ids).update(
        invalidated_at=None, invalidated_reason="", campaign=None
    )
    if campaign.reached >= campaign.last_id:
        campaign.undo_finished_at = timezone.now()
        _tell(campaign, Action.CAMPAIGN_UNDO_FINISHED, campaign.restored)


def _step(campaign: InvalidationCampaign, signatures: SignatureQuerySet) -> list[int]:
    """The next of these signatures, locked in the order of their numbers; the campaign notes how far that is."""
    ahead = Signature.objects.filter(pk__gt=campaign.reached, pk__lte=campaign.last_id).order_by("pk")
    # So many rows, not so many numbers: there may be large gaps between those.
    end = next(iter(ahead.values_list("pk", flat=True)[WALK - 1 : WALK]), campaign.last_id)
    within = signatures.filter(pk__gt=campaign.reached, pk__lte=end).order_by("pk")
    ids = list(within.select_for_update().values_list("pk", flat=True)[:BATCH])
    campaign.reached = ids[-1] if len(ids) == BATCH else max(end, campaign.reached)
    return ids


def _tell(campaign: InvalidationCampaign, action: Action, count: int) -> None:
    """Record the end in the audit log, in the name of the account that asked for it."""
    user = User.objects.filter(pk=campaign.asked_by or 0).first()
    left = f"{campaign.left} left as they are" if action == Action.CAMPAIGN_UNDO_FINISHED and campaign.left else ""
    audit.record(user, action, about=campaign, detail=left, count=count, reason=campaign.reason)
