from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now

from .signature import Signature

CLAIM_MINUTES = 10


class ReviewClaimQuerySet(models.QuerySet["ReviewClaim"]):
    def ended(self) -> Self:
        return self.filter(until__lte=Now())

    def of(self, account_id: int) -> Self:
        return self.filter(account_id=account_id)


class ReviewClaim(models.Model):
    """A card on the page of one moderator, which the others are not shown meanwhile; by PostgreSQL's clock.

    The table is UNLOGGED: who read what is in no write-ahead log and no backup, and nobody claims anything after a
    crash.
    """

    signature = models.OneToOneField(
        Signature, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    account_id = models.BigIntegerField()
    until = models.DateTimeField(db_default=Now() + timedelta(minutes=CLAIM_MINUTES))

    objects = ReviewClaimQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"claim of signature {self.pk}"
