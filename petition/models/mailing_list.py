from datetime import UTC, date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from .random_ids import random_key


def today() -> date:
    return datetime.now(UTC).date()


def this_monday() -> date:
    """The day with which this week begins, UTC: nothing on the list has a closer time."""
    return today() - timedelta(days=today().weekday())


class SubscriptionRequestQuerySet(models.QuerySet["SubscriptionRequest"]):
    def too_old(self) -> Self:
        """Those whose link has said "expired" for a day."""
        return self.filter(day__lt=today() - timedelta(days=settings.CONFIRMATION_DAYS + 1))


class SubscriptionRequest(models.Model):
    """What the link in a mail about the mailing list leads to, as long as the link works.

    Its press moves the box into the list, and what is left answers as before. It names no petition and no signature.
    """

    token_digest = models.CharField(max_length=64, primary_key=True)
    box = models.BinaryField(null=True, help_text="A libsodium sealed box: only the organisers can open it.")
    key = models.CharField(max_length=16)
    leave_digest = models.BinaryField(max_length=32, null=True)
    # The token says when it expires. So nothing here needs to be closer than a day.
    day = models.DateField(default=today)

    objects = SubscriptionRequestQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(box=None, leave_digest=None) | Q(box__isnull=False, leave_digest__isnull=False),
                name="a_pressed_request_holds_no_box",
            )
        ]

    def __str__(self) -> str:
        return "request for the mailing list"


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def released(self) -> Self:
        """Those of ended weeks. No others leave the server, or an export each minute would tell when somebody came.

        In a trial nobody waits for Monday.
        """
        return self.filter(week__lt=this_monday()) if settings.MAILING_LIST_WAITS else self.all()

    def too_old(self) -> Self:
        return self.filter(week__lt=this_monday() - timedelta(days=settings.SUBSCRIPTION_DAYS))

    def numbers_by_key(self) -> dict[str, int]:
        """How many are released under each key, by its fingerprint."""
        counted = self.released().values("key").annotate(number=Count("*")).order_by("key")
        return dict(counted.values_list("key", "number"))


class Subscription(models.Model):
    """One box on the mailing list (`petition.mailing_list`). Nobody without the organisers' key can tell whose it is.

    Nothing in it depends on the address: of two boxes nobody can tell whether one person is in both.
    """

    id = random_key()
    box = models.BinaryField(help_text="A libsodium sealed box: only the organisers can open it.")
    key = models.CharField(_("fingerprint of the key"), max_length=16)
    # Of the token in the box, by which she leaves. It is random and lasts for years, so no key of the server is in it.
    leave_digest = models.BinaryField(max_length=32, unique=True)
    week = models.DateField(default=this_monday)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("mailing list")
        verbose_name_plural = _("mailing list")
        default_permissions = ()
        permissions = [("export_mailing_list", "Can export the sealed mailing list")]

    def __str__(self) -> str:
        return "subscription"
