from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from petition.postgres.prepared import Prepared

from . import ledger
from .petition import Petition

TIMES = ("created_at", "confirmed_at", "held_at", "released_at", "invalidated_at", "reviewed_at", "approved_at")
BATCH = 5_000

# What may be shown once a moderator has approved it: she asked for that, and there is something.
SHOWABLE = Q(shows_name=True) & (~Q(name="") | ~Q(words=""))

# Which may tell of fakes: by its mail domain, by its network, or by both.
WITH_SIGNALS = Q(domain_digest__isnull=False) | Q(network_digest__isnull=False)

# The unique constraint settles a race; who comes later is spared the error. Returns whether the address has other rows.
CONFIRM = Prepared(
    "confirm",
    """
    UPDATE petition_signature mine
    SET confirmed_at = %(hour)s::timestamptz, held_reason = coalesce(nullif(held_reason, ''), hold.reason),
        held_at = CASE WHEN held_reason <> '' OR hold.reason <> '' THEN %(hour)s::timestamptz END,
        name = CASE WHEN %(without_words)s::boolean THEN '' ELSE name END,
        words = CASE WHEN %(without_words)s::boolean THEN '' ELSE words END,
        shows_name = shows_name AND NOT %(without_words)s::boolean
    FROM (
        SELECT coalesce((
            SELECT %(returned)s::text FROM petition_addressmark
            WHERE email_digest = %(email_digest)s::bytea AND kind = 'hold' AND expires_at > %(now)s::timestamptz
        ), %(held_reason)s::text) AS reason
    ) AS hold
    WHERE id = %(id)s AND confirmed_at IS NULL AND NOT EXISTS (
        SELECT FROM petition_signature confirmed WHERE confirmed.petition_id = mine.petition_id
            AND confirmed.email_digest = mine.email_digest AND confirmed.confirmed_at IS NOT NULL
    )
    RETURNING EXISTS (
        SELECT FROM petition_signature other WHERE other.petition_id = mine.petition_id
            AND other.email_digest = mine.email_digest AND other.confirmed_at IS NULL AND other.id <> mine.id
    )
""",
)


def this_hour() -> datetime:
    """Now, as far as a signature may remember it: to the hour."""
    return timezone.now().replace(minute=0, second=0, microsecond=0)


class HeldReason(models.TextChoices):
    """Reasons for which signatures are held without anybody's doing; moderators write their own. Values are stored."""

    BUSY_NETWORK = "busy network", _("busy network")
    BLOCKED_NETWORK = "blocked network", _("blocked network")
    BLOCKED_DOMAIN = "blocked mail domain", _("blocked mail domain")
    RETURNED = (
        "returned after an invalidated signature was withdrawn",
        _("returned after an invalidated one was withdrawn"),
    )


class WholeHour(models.Func):
    """True or NULL if a time is stored to the hour."""

    template = "(MOD(EXTRACT(EPOCH FROM %(expressions)s), 3600) = 0)"
    output_field = models.BooleanField()


class SignatureQuerySet(models.QuerySet["Signature"]):
    def pending(self) -> Self:
        return self.filter(confirmed_at=None)

    def confirmed(self) -> Self:
        return self.filter(confirmed_at__isnull=False)

    def counted(self) -> Self:
        """The signatures the public tally includes."""
        return self.confirmed().filter(held_at=None, invalidated_at=None)

    def held(self) -> Self:
        return self.filter(held_at__isnull=False)

    def invalidated(self) -> Self:
        return self.filter(invalidated_at__isnull=False)

    def awaiting_review(self) -> Self:
        """Those whose name and words a moderator has yet to approve or hide."""
        return self.counted().filter(SHOWABLE, reviewed_at=None)

    def awaiting_release(self) -> Self:
        """Held ones that a moderator has yet to release or invalidate."""
        return self.confirmed().held().filter(invalidated_at=None)

    def of_addresses(self, petition_ids: Iterable[int], email_digests: Iterable[bytes]) -> Self:
        # Each half of this has an index of its own; without it PostgreSQL would read every signature.
        halves = Q(confirmed_at=None) | Q(confirmed_at__isnull=False)
        return self.filter(halves, petition_id__in=list(petition_ids), email_digest__in=list(email_digests))

    def of_address(self, petition_id: int, email_digest: bytes) -> Self:
        return self.of_addresses([petition_id], [email_digest])

    def lapsed(self) -> Self:
        """Pending ones whose link has been expired for a day."""
        return self.pending().filter(created_at__lt=timezone.now() - timedelta(days=settings.CONFIRMATION_DAYS + 1))

    def locked(self) -> "SignatureQuerySet":
        """These rows, which nobody else can change before the transaction ends.

        Whoever changes several rows first locks them all, in the order of their ids, and then changes them: otherwise
        two could wait for each other in a circle, and PostgreSQL would end one of them with an error.
        """
        ids = self.order_by("pk").select_for_update().values_list("pk", flat=True)
        return Signature.objects.filter(pk__in=list(ids))

    def change(self, **values: Any) -> int:
        """Update these rows; return how many."""
        with transaction.atomic():
            return self.locked().update(**values)

    def erase(self) -> int:
        """Delete these rows; return how many."""
        with transaction.atomic():
            return self.locked().delete()[0]

    def _in_batches(self, work: Callable[["SignatureQuerySet"], int]) -> int:
        """Do it to a few of these rows at a time, so that no lock is held for long; return to how many.

        Rows that somebody else is changing are left for the next time: who waits for nobody is in no circle.
        """
        done = 0
        while True:
            with transaction.atomic():
                ids = list(self.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
                if not ids:
                    return done
                done += work(Signature.objects.filter(pk__in=ids))

    def purge(self) -> int:
        """Delete these rows, except those that somebody is changing right now; return how many."""
        return self._in_batches(lambda rows: rows.delete()[0])

    def clear_abuse_signals(self) -> int:
        """Forget by which network and mail domain these rows came; return how many had a signal."""
        marked = self.filter(WITH_SIGNALS)
        return marked._in_batches(lambda rows: rows.update(network_digest=None, domain_digest=None))

    def older_than_abuse_signals(self) -> Self:
        return self.filter(created_at__lt=timezone.now() - timedelta(days=settings.ABUSE_SIGNAL_DAYS))

    def review(self, *, approve: bool) -> int:
        """Let the names and words of these be shown, or hide them; return how many."""
        now = this_hour()
        return self.change(reviewed_at=now, approved_at=now if approve else None)

    def hold(self, reason: str) -> int:
        """Keep these out of the count until somebody has looked; return how many changed."""
        return self.counted().change(held_at=this_hour(), held_reason=reason, released_at=None)

    def release(self) -> int:
        return self.held().change(held_at=None, released_at=this_hour())

    def invalidate(self, reason: str) -> int:
        """Stop counting these; return how many changed."""
        valid = self.confirmed().filter(invalidated_at=None)
        return valid.change(invalidated_at=this_hour(), invalidated_reason=reason)

    def restore(self) -> int:
        """Undo an invalidation; return how many changed."""
        return self.invalidated().change(invalidated_at=None, invalidated_reason="")


class Signature(models.Model):
    """One person's signature. A readable address is never part of it; all times are to the hour."""

    petition = models.ForeignKey(Petition, models.PROTECT, db_index=False, verbose_name=_("petition"))
    email_digest = models.BinaryField(max_length=32)
    name = models.CharField(_("name"), max_length=100, blank=True, default="", db_default="")
    words = models.CharField(_("words of support"), max_length=500, blank=True, default="", db_default="")
    shows_name = models.BooleanField(_("shows name"), default=False, db_default=False)
    country = models.CharField(_("country"), max_length=2, blank=True, default="", db_default="")
    language = models.CharField(_("language"), max_length=10)
    source = models.CharField(_("source"), max_length=24, blank=True, default="", db_default="")
    consent_version = models.PositiveSmallIntegerField(_("consent version"))
    created_at = models.DateTimeField(_("signed at"), default=this_hour)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    held_at = models.DateTimeField(_("held at"), null=True, blank=True)
    held_reason = models.CharField(_("reason for holding"), max_length=200, blank=True, default="", db_default="")
    released_at = models.DateTimeField(_("released at"), null=True, blank=True)
    invalidated_at = models.DateTimeField(_("invalidated at"), null=True, blank=True)
    invalidated_reason = models.CharField(
        _("reason for invalidating"), max_length=200, blank=True, default="", db_default=""
    )
    # Which campaign invalidated it. No constraint, which would be checked for each row; campaigns are never deleted.
    campaign = models.ForeignKey(
        "petition.InvalidationCampaign",
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("invalidated by campaign"),
    )
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True)
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    domain_digest = models.BinaryField(max_length=32, null=True)
    network_digest = models.BinaryField(max_length=32, null=True)

    objects = SignatureQuerySet.as_manager()

    class Meta:
        verbose_name = _("signature")
        verbose_name_plural = _("signatures")
        permissions = [
            ("review_signature", "Can approve and hide names and words"),
            ("hold_signature", "Can hold and release signatures"),
            ("invalidate_signature", "Can invalidate and restore signatures"),
            ("find_signature", "Can find one signature by its address"),
        ]
        constraints = [
            models.UniqueConstraint(
                "petition",
                "email_digest",
                condition=Q(confirmed_at__isnull=False),
                name="one_confirmed_signature_per_address",
            ),
            models.CheckConstraint(
                condition=Q(held_at=None) | Q(confirmed_at__isnull=False), name="only_confirmed_signatures_are_held"
            ),
            models.CheckConstraint(
                condition=Q(invalidated_at=None) | Q(confirmed_at__isnull=False),
                name="only_confirmed_signatures_are_invalidated",
            ),
            models.CheckConstraint(
                condition=Q(approved_at=None) | Q(reviewed_at__isnull=False),
                name="only_reviewed_signatures_are_approved",
            ),
            models.CheckConstraint(
                condition=models.Q(*(WholeHour(time) for time in TIMES)), name="signature_times_are_whole_hours"
            ),
            models.CheckConstraint(condition=Q(email_digest__length=32), name="an_email_digest_has_32_bytes"),
        ]
        indexes = [
            # Serves the lookup by address, and the purge by age without touching the table.
            models.Index("email_digest", "created_at", condition=Q(confirmed_at=None), name="pending_signatures"),
            # Serves the purge and the page of signals by the time, and counting those of a mail domain on a day.
            models.Index("created_at", "domain_digest", condition=WITH_SIGNALS, name="signatures_by_hour_and_domain"),
            # Serves both queues of moderators: the held ones by their time, the others, oldest first.
            models.Index(
                "held_at",
                "id",
                condition=Q(confirmed_at__isnull=False, invalidated_at=None)
                & (Q(held_at__isnull=False) | (SHOWABLE & Q(reviewed_at=None))),
                name="signatures_to_look_at",
            ),
            # Serves the words of support that are shown, newest approved first.
            models.Index(
                F("approved_at").desc(),
                F("id").desc(),
                condition=Q(confirmed_at__isnull=False, held_at=None, invalidated_at=None)
                & (Q(shows_name=True, approved_at__isnull=False) & ~Q(words="")),
                name="words_shown",
            ),
        ]
        triggers = ledger.triggers()

    def __str__(self) -> str:
        return f"signature {self.pk}"

    @property
    def is_pending(self) -> bool:
        return self.confirmed_at is None

    @property
    def is_counted(self) -> bool:
        return not self.is_pending and self.held_at is None and self.invalidated_at is None

    @property
    def is_showable(self) -> bool:
        """Whether its name and words may be shown once a moderator has approved them."""
        return self.shows_name and bool(self.name or self.words)

    def confirm(self, held_reason: str = "", without_words: bool = False) -> bool:
        """Start counting this signature, or hold it for review if a reason is given, or was when it was signed, or its
        address is marked for that.

        `without_words` erases its name and words. Return False, changing nothing, if this row is gone or one of its
        address is confirmed already. Other pending rows of the address are deleted, in a statement of their own: not to
        be called inside a transaction, where two rows of one address that are confirmed at once wait for each other.
        """
        values: dict[str, Any] = {
            "id": self.pk,
            "email_digest": bytes(self.email_digest),
            "held_reason": held_reason,
            "returned": HeldReason.RETURNED,
            "hour": this_hour(),
            "now": timezone.now(),
            "without_words": without_words,
        }
        try:
            with connection.cursor() as cursor:
                CONFIRM.execute(cursor, values)
                confirmed = cursor.fetchone()
        except IntegrityError:
            return False
        if confirmed and confirmed[0]:
            Signature.objects.pending().of_address(self.petition_id, bytes(self.email_digest)).erase()
        return confirmed is not None


models.BinaryField.register_lookup(Length)
