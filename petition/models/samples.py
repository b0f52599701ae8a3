from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

KEPT_DAYS = 31


class MailTally(models.Model):
    """How many mails to the mailboxes of a large provider were sent, refused and so on, since the site began."""

    provider = models.CharField(max_length=20)
    result = models.CharField(max_length=20)
    amount = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint("provider", "result", name="one_mail_tally_of_a_kind_per_provider")]

    def __str__(self) -> str:
        return f"{self.provider}: {self.result}"


class SampleQuerySet(models.QuerySet["Sample"]):
    def too_old(self) -> Self:
        return self.filter(taken_at__lt=Now() - timedelta(days=KEPT_DAYS))


class Sample(models.Model):
    """How the site stood in a minute. What a single person could move is in tens: it must not tell when she signed."""

    taken_at = models.DateTimeField(primary_key=True)
    waiting = models.IntegerField(help_text="mails, in tens")
    late_minutes = models.IntegerField(help_text="for how long a mail has been due that was never tried")
    parked = models.IntegerField(help_text="mails that a server refused for good, in tens")
    sent = models.BigIntegerField(help_text="mails since the site began, in tens")
    unfolded = models.IntegerField(help_text="rows of the ledger, in tens")
    published = models.BigIntegerField(help_text="the public number, of all petitions")
    database_bytes = models.BigIntegerField()

    objects = SampleQuerySet.as_manager()

    class Meta:
        verbose_name = _("how the site is doing")
        verbose_name_plural = _("how the site is doing")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.taken_at:%Y-%m-%d %H:%M}"
