from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .petition import Petition
from .shown_words import alike
from .signature import Signature, SignatureQuerySet

DIGEST = 32  # bytes
LAST_ID = 2**63 - 1


class InvalidationCampaignQuerySet(models.QuerySet["InvalidationCampaign"]):
    """Each change of state is one conditional UPDATE, so of two moderators the second changes nothing."""

    def drafts(self) -> Self:
        return self.filter(applied_at=None, cancelled_at=None, is_large=False)

    def awaiting_approval(self) -> Self:
        """Those that one person has asked for, and another one has to approve."""
        return self.filter(applied_at=None, cancelled_at=None, is_large=True, faded_at=None)

    def applying(self) -> Self:
        return self.filter(applied_at__isnull=False, finished_at=None, cancelled_at=None)

    def undoing(self) -> Self:
        return self.filter(undone_at__isnull=False, undo_finished_at=None)

    def running(self) -> Self:
        """The campaigns that the worker has to go on with."""
        return self.applying() | self.undoing()

    def apply(self, user_id: int | None) -> int:
        """Let the worker begin. What is signed after this hour is not part of it."""
        return self.drafts().filter(faded_at=None).update(asked_by=user_id, **_beginning())

    def ask_for_approval(self, user_id: int | None) -> int:
        """Let these wait until another account approves them."""
        return self.drafts().filter(faded_at=None).update(asked_by=user_id, is_large=True)

    def approve(self, user_id: int | None) -> int:
        """Let the worker begin with what somebody else has asked for."""
        of_others = self.awaiting_approval().exclude(asked_by=user_id)
        return of_others.update(approved_by=user_id, **_beginning())

    def cancel(self) -> int:
        """Leave it as far as it has come; waits for a batch that is under way (`invalidation.stop` is quicker)."""
        return self.filter(finished_at=None, cancelled_at=None, undone_at=None).update(cancelled_at=timezone.now())

    def undo(self, user_id: int | None) -> int:
        """Let the worker go over the same signatures again, from the first that was changed to the last."""
        ended = self.filter(Q(finished_at__isnull=False) | Q(cancelled_at__isnull=False), applied_at__isnull=False)
        return ended.filter(undone_at=None).update(
            undone_at=timezone.now(),
            undone_by=user_id,
            last_id=F("reached"),
            reached=Coalesce(F("first_id") - 1, F("reached")),
        )

    def older_than_abuse_signals(self) -> Self:
        return self.filter(created_at__lt=timezone.now() - timedelta(days=settings.ABUSE_SIGNAL_DAYS))

    def fade(self) -> int:
        """Forget what these looked for, as far as it may say something about a person; return how many did."""
        ended_or_never_begun = Q(applied_at=None) | Q(finished_at__isnull=False) | Q(cancelled_at__isnull=False)
        at_rest = self.filter(ended_or_never_begun, faded_at=None)
        written = {"name_pattern": "", "same_name": "", "shape": "", "same_words": ""}
        return at_rest.update(domain="", domain_digests=b"", network_digest=None, **written, faded_at=timezone.now())


def _beginning() -> dict[str, Any]:
    return {"applied_at": timezone.now(), "last_id": LAST_ID, "reached": 0}


class InvalidationCampaign(models.Model):
    """A moderation campaign: which signatures to look for, whether to hold or to invalidate them, and how far it is.

    Each signature remembers the campaign that changed it, until somebody decides otherwise. Undoing releases or
    restores those that still do.
    """

    class Effect(models.TextChoices):
        HOLD = "hold", _("hold: keep them out of the count for now")
        INVALIDATE = "invalidate", _("invalidate: stop counting them")

    class State(models.TextChoices):
        ANY = "", _("counted or held")
        COUNTED = "counted", _("counted")
        HELD = "held", _("held")

    petition = models.ForeignKey(Petition, models.PROTECT, verbose_name=_("petition"))
    reason = models.CharField(_("reason"), max_length=500)
    # Which canned reason was chosen, if any; the words of it are part of `reason`.
    canned_reason = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)

    effect = models.CharField(
        _("what to do"),
        max_length=10,
        choices=Effect,
        default=Effect.INVALIDATE,
        db_default=Effect.INVALIDATE,
    )
    state = models.CharField(_("state"), max_length=10, choices=State, blank=True, default="")
    domain = models.CharField(_("mail domain"), max_length=253, blank=True, default="")
    # Of all domains that `domain` stands for, one after the other.
    domain_digests = models.BinaryField(default=b"")
    network_digest = models.BinaryField(max_length=DIGEST, null=True)
    country = models.CharField(_("country"), max_length=2, blank=True, default="")
    language = models.CharField(_("language"), max_length=10, blank=True, default="", db_default="")
    source = models.CharField(_("source"), max_length=24, blank=True, default="")
    signed_since = models.DateTimeField(_("signed from"), null=True, blank=True)
    signed_until = models.DateTimeField(_("signed before"), null=True, blank=True)
    name_pattern = models.CharField(_("name"), max_length=100, blank=True, default="")
    # What a signature had that stood for the others, in the form in which it is compared (`shown_words.ALIKE`).
    same_name = models.CharField(_("same name"), max_length=100, blank=True, default="", db_default="")
    shape = models.CharField(_("names written alike"), max_length=100, blank=True, default="", db_default="")
    same_words = models.CharField(_("same words"), max_length=500, blank=True, default="", db_default="")

    applied_at = models.DateTimeField(_("applied at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)
    undone_at = models.DateTimeField(_("undone at"), null=True)
    undo_finished_at = models.DateTimeField(_("undo finished at"), null=True)
    faded_at = models.DateTimeField(_("faded at"), null=True)
    # Accounts; no foreign keys, since accounts go.
    asked_by = models.BigIntegerField(null=True)
    approved_by = models.BigIntegerField(null=True)
    undone_by = models.BigIntegerField(null=True)
    # Whether it changes so much of the count that it takes two of them.
    is_large = models.BooleanField(default=False, db_default=False)
    stop_reason = models.CharField(_("why it was stopped"), max_length=500, blank=True, default="", db_default="")
    # The worker goes by the numbers of the signatures, which are random: where it is, and where it ends.
    reached = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    first_id = models.BigIntegerField(null=True)
    changed = models.PositiveBigIntegerField(_("how many changed"), default=0)
    restored = models.PositiveBigIntegerField(_("how many undone"), default=0)

    objects = InvalidationCampaignQuerySet.as_manager()

    class Meta:
        verbose_name = _("moderation campaign")
        verbose_name_plural = _("moderation campaigns")
        default_permissions = ()
        permissions = [("oversee_campaigns", "Can see, approve, stop and undo moderation campaigns")]
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by=None) | Q(asked_by__isnull=False) & ~Q(approved_by=F("asked_by")),
                name="nobody_approves_her_own_campaign",
            ),
            models.CheckConstraint(
                condition=Q(is_large=False) | Q(applied_at=None) | Q(approved_by__isnull=False),
                name="a_large_campaign_is_applied_by_two",
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(applied_at__isnull=False, cancelled_at=None),
                name="only_applied_campaigns_are_finished",
            ),
            models.CheckConstraint(
                condition=Q(undone_at=None)
                | Q(applied_at__isnull=False, finished_at__isnull=False)
                | Q(applied_at__isnull=False, cancelled_at__isnull=False),
                name="only_ended_campaigns_are_undone",
            ),
            models.CheckConstraint(
                condition=Q(undo_finished_at=None) | Q(undone_at__isnull=False),
                name="only_undone_campaigns_finish_that",
            ),
            models.CheckConstraint(
                condition=Q(restored__lte=F("changed")), name="no_more_is_restored_than_was_invalidated"
            ),
        ]

    def __str__(self) -> str:
        return f"campaign {self.pk}"

    @property
    def is_draft(self) -> bool:
        return self.applied_at is None and self.cancelled_at is None and not self.is_large

    @property
    def awaits_approval(self) -> bool:
        return self.applied_at is None and self.cancelled_at is None and self.is_large

    @property
    def holds(self) -> bool:
        return self.effect == self.Effect.HOLD

    @property
    def is_about_words(self) -> bool:
        """Whether it looks for what signers wrote, in a table of its own."""
        return bool(self.name_pattern or self.same_name or self.shape or self.same_words)

    def signatures_between(self, first: int, last: int) -> SignatureQuerySet:
        """Those of the signatures it finds whose numbers are above `first` and up to `last`."""
        within = self.signatures().filter(pk__gt=first, pk__lte=last)
        # PostgreSQL does not conclude by itself that the words are those of the same numbers, and would read them all.
        return within.filter(shown__pk__gt=first, shown__pk__lte=last) if self.is_about_words else within

    @property
    def lacks_stop_reason(self) -> bool:
        """Whether it was stopped on its way, and nobody has said why."""
        return self.applied_at is not None and self.cancelled_at is not None and not self.stop_reason

    @property
    def is_applying(self) -> bool:
        return self.applied_at is not None and self.finished_at is None and self.cancelled_at is None

    @property
    def is_undoing(self) -> bool:
        return self.undone_at is not None and self.undo_finished_at is None

    @property
    def is_running(self) -> bool:
        return self.is_applying or self.is_undoing

    @property
    def can_be_undone(self) -> bool:
        return self.applied_at is not None and not self.is_applying and self.undone_at is None

    @property
    def progress(self) -> int:
        """Per cent of the way through the numbers of the signatures."""
        first = (self.first_id or 1) - 1 if self.undone_at else 0
        return 100 * (self.reached - first) // max(self.last_id - first, 1)

    @property
    def left(self) -> int:
        """How many that it changed are not changed back: somebody decided on them meanwhile, or they were withdrawn."""
        return self.changed - self.restored

    def signatures(self) -> SignatureQuerySet:
        """The signatures it finds at this moment: confirmed, not invalidated (or held), and fitting all criteria."""
        if self.faded_at:
            # Without its criteria it would find everybody.
            return Signature.objects.none()
        found = Signature.objects.confirmed().filter(petition_id=self.petition_id, invalidated_at=None)
        if self.applied_at:
            # All that a signature remembers is the hour.
            found = found.filter(created_at__lte=self.applied_at)
        if self.state == self.State.COUNTED or self.holds:
            found = found.counted()
        elif self.state == self.State.HELD:
            found = found.held()
        if self.domain_digests:
            digests = bytes(self.domain_digests)
            each = [digests[start : start + DIGEST] for start in range(0, len(digests), DIGEST)]
            # Served by the index signatures_by_hour_and_domain, whether or not the network is known.
            found = found.filter(domain_digest__in=each)
        if self.network_digest is not None:
            found = found.filter(network_digest=bytes(self.network_digest))
        if self.country:
            found = found.filter(country=self.country)
        if self.language:
            found = found.filter(language=self.language)
        if self.source:
            found = found.filter(source=self.source)
        if self.signed_since:
            found = found.filter(created_at__gte=self.signed_since)
        if self.signed_until:
            found = found.filter(created_at__lt=self.signed_until)
        if self.name_pattern:
            found = found.filter(shown__name__like_pattern=self.name_pattern)
        for kind, value in (("name", self.same_name), ("shape", self.shape), ("words", self.same_words)):
            if value:
                # A join, since the worker goes by the numbers: it reads no words but those of the rows of a step.
                found = found.filter(Exact(alike(kind), Value(value)), shown__isnull=False)
        return found


class LikePattern(models.Lookup):
    """A name with wildcards: * stands for anything, ? for one letter; capitals and small letters are the same."""

    lookup_name = "like_pattern"

    def get_prep_lookup(self) -> str:
        text = str(self.rhs)
        for letter in "\\%_":
            text = text.replace(letter, "\\" + letter)
        return text.replace("*", "%").replace("?", "_")

    def as_sql(self, compiler: object, connection: object) -> tuple[str, tuple[str | int, ...]]:
        left, left_values = self.process_lhs(compiler, connection)  # type: ignore[arg-type]
        right, right_values = self.process_rhs(compiler, connection)  # type: ignore[arg-type]
        return f"{left} ILIKE {right}", (*left_values, *right_values)


models.CharField.register_lookup(LikePattern)
