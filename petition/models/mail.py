import secrets
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Min, Q
from django.db.models.functions import Now, Random
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .heartbeat import Heartbeat
from .random_ids import random_key
from .signature import this_hour


def shuffle_delay() -> timedelta:
    """A random part of MAIL_SHUFFLE_SECONDS, so that what is signed within them is mailed in no order."""
    return timedelta(seconds=secrets.SystemRandom().uniform(0, settings.MAIL_SHUFFLE_SECONDS))


class OutboxKey(models.Model):
    """The public half of a key pair that one worker made and alone can use (`petition.mail.keys`)."""

    id = models.BigIntegerField(primary_key=True)
    public = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(db_default=Now())
    # When its worker last had the secret half.
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"outbox key {self.pk}"


# A worker has a mail for itself for no longer than this at a time, unless it says so again.
CLAIM_SECONDS = 12


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def waiting(self) -> Self:
        return self.filter(parked_at=None)

    def parked(self) -> Self:
        return self.filter(parked_at__isnull=False)

    def with_lost_key(self) -> Self:
        """Those that nobody can read any more: the machine that had their key is gone."""
        return self.filter(key=None)

    def minutes_late(self) -> int:
        """How long the first mail has been due that was never tried; whole minutes."""
        due = self.waiting().filter(attempts=0).aggregate(due=Min("due_at"))["due"]
        return max(int((timezone.now() - due).total_seconds()) // 60, 0) if due else 0

    def refused_before(self) -> Self:
        """Those that wait because the server refused them, and may have refused all. No worker has claimed them."""
        later = Now() + timedelta(seconds=CLAIM_SECONDS)
        refused = self.waiting().filter(attempts__gt=0, last_status__isnull=False, due_at__gt=later)
        return refused.exclude(enhanced_status__regex=r"^[45]\.[12]\.")

    def try_again(self) -> int:
        """Have those due now, in random order and as if for the first time, that are parked or put off.

        Leaves alone what a worker has claimed, and what nobody can read any more. Returns how many.
        """
        is_idle = Q(parked_at__isnull=False) | Q(attempts__gt=0, due_at__gt=Now() + timedelta(seconds=CLAIM_SECONDS))
        return self.filter(is_idle, key__isnull=False).update(
            parked_at=None, attempts=0, due_at=Now() - Random() * timedelta(seconds=1)
        )

    def parked_too_long(self) -> Self:
        """Those that are purged: none while the server refuses us, since somebody may be about to mend that."""
        if Heartbeat.refusal():
            return self.none()
        return self.filter(parked_at__lt=timezone.now() - timedelta(days=settings.PARKED_MAIL_DAYS))


class OutgoingMail(models.Model):
    """A mail that is owed to somebody. Sent means deleted; the text is made when it is sent."""

    class Kind(models.TextChoices):
        SIGN = "sign", _("after signing")
        WITHDRAW = "withdraw", _("to withdraw")
        SUBSCRIBE = "subscribe", _("to subscribe to updates")

    id = random_key()
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False, verbose_name=_("petition"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    recipient = models.BinaryField(help_text="A libsodium sealed box: only the worker with its key can open it.")
    # The database keeps a key as long as a mail needs it. None: it is lost, and the box is empty.
    key = models.ForeignKey(OutboxKey, models.DO_NOTHING, null=True, db_index=False, verbose_name=_("key"))
    # No constraint: a signature may be withdrawn while its mail waits, whose link then leads nowhere.
    signature = models.ForeignKey(
        "petition.Signature",
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        verbose_name=_("signature"),
    )
    language = models.CharField(_("language"), max_length=10)
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, db_default=0)
    last_status = models.PositiveSmallIntegerField(
        _("last status"),
        null=True,
        help_text=_("The SMTP status code of the last attempt; its text would quote the address."),
    )
    enhanced_status = models.CharField(
        _("enhanced status"),
        max_length=9,
        default="",
        db_default="",
        help_text=_("What the server said more exactly, as 5.7.1."),
    )
    parked_at = models.DateTimeField(_("parked at"), null=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mails")
        permissions = [("retry_outgoingmail", "Can have mails tried again")]
        indexes = [
            models.Index("due_at", condition=Q(parked_at=None), name="waiting_mail_by_due_at"),
            # Serves the start page of staff. Mail that is never parked costs it nothing.
            models.Index("parked_at", condition=Q(parked_at__isnull=False), name="parked_mail_by_parked_at"),
        ]

    def __str__(self) -> str:
        return f"mail {self.pk}"


class AddressMarkQuerySet(models.QuerySet["AddressMark"]):
    def active(self) -> Self:
        return self.filter(expires_at__gt=timezone.now())


class AddressMark(models.Model):
    """What we remember about an address for 30 days after its signature is gone."""

    class Kind(models.TextChoices):
        NO_MAIL = "no_mail", _("asked for no mail")
        HOLD = "hold", _("held if it returns")

    id = random_key()
    email_digest = models.BinaryField(max_length=32)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    expires_at = models.DateTimeField(_("expires at"))

    objects = AddressMarkQuerySet.as_manager()

    class Meta:
        verbose_name = _("address mark")
        verbose_name_plural = _("address marks")
        constraints = [models.UniqueConstraint("email_digest", "kind", name="one_mark_of_a_kind_per_address")]

    def __str__(self) -> str:
        return f"mark {self.pk}"

    @classmethod
    def remember(cls, email_digest: bytes, kind: str) -> None:
        """Mark this address, or extend its mark, for 30 days from now."""
        # To the hour, as all that is about a person.
        expires_at = this_hour() + timedelta(days=settings.QUIET_DAYS, hours=1)
        AddressMark.objects.bulk_create(
            [AddressMark(email_digest=email_digest, kind=kind, expires_at=expires_at)],
            update_conflicts=True,
            unique_fields=["email_digest", "kind"],
            update_fields=["expires_at"],
        )
