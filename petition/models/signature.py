from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from petition.postgres.prepared import Prepared

from . import ledger
from .petition import Petition
from .random_ids import random_key

if TYPE_CHECKING:
    from .shown_words import ShownWords

TIMES = ("created_at", "confirmed_at", "held_at", "released_at", "invalidated_at")
BATCH = 5_000

# Which may tell of fakes: by its mail domain, by its network, or by both.
WITH_SIGNALS = Q(domain_digest__isnull=False) | Q(network_digest__isnull=False)

# One statement for a press, known address or not: it confirms this row, or, where another one of its address is
# confirmed, the link leads there from now on. Either way what was typed with the link is what that signature shows. So
# the page of a link, which shows what was typed with it, never tells whether its address had signed before. The unique
# constraint settles a race.
CONFIRM = Prepared(
    "confirm",
    """
    WITH mine AS (
        SELECT id, petition_id, email_digest, country
        FROM petition_signature
        -- Two presses of one link at once: the second finds where the first has led it.
        WHERE id = coalesce((SELECT signature_id FROM petition_link WHERE token_digest = %(link)s), %(id)s::bigint)
            AND email_digest IS NOT NULL
    ), typed AS (
        SELECT name, words, country, language FROM petition_link
        WHERE token_digest = %(link)s AND (name <> '' OR words <> '') AND NOT %(without_words)s::boolean
    ), target AS (
        SELECT mine.id AS own_id, coalesce(other.id, mine.id) AS id
        FROM mine LEFT JOIN petition_signature other ON other.petition_id = mine.petition_id
            AND other.email_digest = mine.email_digest AND other.confirmed_at IS NOT NULL
    ), locked AS (
        -- In the order of their ids, as everybody does who changes several.
        SELECT signature.id, signature.confirmed_at FROM petition_signature signature
        WHERE signature.id IN (SELECT unnest(ARRAY[own_id, id]) FROM target) ORDER BY signature.id FOR UPDATE
    ), hold AS (
        SELECT coalesce((
            SELECT %(returned)s::text FROM petition_addressmark JOIN mine USING (email_digest)
            WHERE kind = 'hold' AND expires_at > now()
        ), %(held_reason)s::text) AS reason
    ), changed AS (
        UPDATE petition_signature signature
        SET country = coalesce((SELECT country FROM typed), mine.country),
            confirmed_at = coalesce(locked.confirmed_at, %(hour)s::timestamptz),
            held_reason = CASE WHEN locked.confirmed_at IS NULL
                THEN coalesce(nullif(held_reason, ''), hold.reason) ELSE held_reason END,
            held_at = CASE WHEN locked.confirmed_at IS NULL AND (held_reason <> '' OR hold.reason <> '')
                THEN %(hour)s::timestamptz ELSE held_at END
        FROM mine, target, hold, locked
        WHERE signature.id = target.id AND locked.id = target.id
        RETURNING signature.id, locked.confirmed_at IS NULL AS is_new
    ), shown AS (
        INSERT INTO petition_shownwords AS stored (signature_id, name, words, language, asked_at)
        SELECT changed.id, typed.name, typed.words, typed.language, %(hour)s::timestamptz FROM changed, typed
        ON CONFLICT (signature_id) DO UPDATE
        SET name = EXCLUDED.name, words = EXCLUDED.words, language = EXCLUDED.language, asked_at = EXCLUDED.asked_at
        WHERE (stored.name, stored.words) <> (EXCLUDED.name, EXCLUDED.words)
    ), not_shown AS (
        DELETE FROM petition_shownwords
        WHERE signature_id IN (SELECT id FROM changed) AND NOT EXISTS (SELECT FROM typed)
    ), led AS (
        UPDATE petition_link link
        SET signature_id = target.id, name = CASE WHEN %(without_words)s::boolean THEN '' ELSE name END,
            words = CASE WHEN %(without_words)s::boolean THEN '' ELSE words END,
            country = CASE WHEN %(without_words)s::boolean THEN '' ELSE country END
        FROM target WHERE link.token_digest = %(link)s
    )
    SELECT coalesce(bool_or(is_new), false) FROM changed
    """,
)


def this_hour() -> datetime:
    """Now, as far as a signature may remember it: to the hour."""
    return timezone.now().replace(minute=0, second=0, microsecond=0)


class HeldReason(models.TextChoices):
    """Reasons for which signatures are held without anybody's doing; moderators write their own. Values are stored."""

    BUSY_NETWORK = "busy network", _("busy network")
    BLOCKED_NETWORK = "blocked network", _("listed network")
    BLOCKED_DOMAIN = "blocked mail domain", _("listed mail domain")
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
    """One person's signature, without a readable address or anything she wrote. All its times are to the hour."""

    id = random_key()
    petition = models.ForeignKey(Petition, models.PROTECT, db_index=False, verbose_name=_("petition"))
    # Written by the worker, which alone can make it, before it sends the mail.
    email_digest = models.BinaryField(max_length=32, null=True)
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
    # Which campaign held or invalidated it. No constraint, which would be checked for each row; campaigns stay.
    campaign = models.ForeignKey(
        "petition.InvalidationCampaign",
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("changed by campaign"),
    )
    domain_digest = models.BinaryField(max_length=32, null=True)
    network_digest = models.BinaryField(max_length=3, null=True)

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
                condition=models.Q(*(WholeHour(time) for time in TIMES)), name="signature_times_are_whole_hours"
            ),
            models.CheckConstraint(condition=Q(email_digest__length=32), name="an_email_digest_has_32_bytes"),
            models.CheckConstraint(
                condition=Q(confirmed_at=None) | Q(email_digest__isnull=False),
                name="a_confirmed_signature_has_a_digest",
            ),
        ]
        indexes = [
            # Serves the lookup by address, and the purge by age without touching the table.
            models.Index("email_digest", "created_at", condition=Q(confirmed_at=None), name="pending_signatures"),
            # Serves the purge and the page of signals by the time, and counting those of a mail domain on a day.
            models.Index("created_at", "domain_digest", condition=WITH_SIGNALS, name="signatures_by_hour_and_domain"),
            # Serves the list of staff, and whatever else goes through the signatures from the newest on.
            models.Index("created_at", "id", name="signatures_by_hour"),
            # Serves the queue of moderators, the longest held first.
            models.Index(
                "held_at", "id", condition=Q(invalidated_at=None, held_at__isnull=False), name="signatures_held"
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
    def shown_words(self) -> "ShownWords | None":
        """What its signer wants shown, approved or not."""
        return getattr(self, "shown", None)

    def confirm(self, held_reason: str = "", without_words: bool = False, link: str = "") -> bool:
        """Start counting this signature, or hold it for review if a reason is given, or was when it was signed, or its
        address is marked for that. If another one of its address is confirmed, that one takes over the country instead,
        and the link of this token digest leads to that one.

        What was typed with the link is what is shown from now on, once a moderator has approved it; without a link that
        is nothing.

        `without_words` leaves out name and words, however often it was confirmed before. Return whether this one is
        confirmed now and was not before. Not to be called inside a transaction, where two rows of one address that are
        confirmed at once wait for each other.
        """
        values: dict[str, Any] = {
            "id": self.pk,
            "held_reason": held_reason,
            "returned": HeldReason.RETURNED,
            "hour": this_hour(),
            "without_words": without_words,
            "link": link,
        }
        try:
            return self._confirm(values)
        except IntegrityError:
            # Another row of this address was confirmed in the same moment: now it is there to take over.
            return self._confirm(values)

    def _confirm(self, values: dict[str, Any]) -> bool:
        with connection.cursor() as cursor:
            CONFIRM.execute(cursor, values)
            return bool(cursor.fetchone()[0])


models.BinaryField.register_lookup(Length)
