from datetime import timedelta

from django.db import models
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now

REFUSED_FOR = timedelta(seconds=60)


class Heartbeat(models.Model):
    """When a part of the site last did its work. By PostgreSQL's clock, so that it tells the same on every machine."""

    class Part(models.TextChoices):
        WEB = "web"  # could store something
        MAIL = "mail"  # sent a mail, or found none to send
        FOLD = "fold"  # folded the ledger
        TAKEN = "taken"  # had a mail taken by the mail server
        REFUSED = "refused"  # was refused by it
        BACKUP = "backup"  # wrote a backup, read it back and handed it on
        NO_BACKUP = "no backup"  # tried to, and could not
        DRILL = "drill"  # restored a dump into a scratch database, where the tallies agreed
        NO_DRILL = "no drill"  # tried to, and could not

    # They move with a single mail, so nobody is told when they did: somebody signed then.
    UNTOLD = (Part.TAKEN, Part.REFUSED)

    part = models.CharField(max_length=10, choices=Part, primary_key=True)
    beat_at = models.DateTimeField(db_default=Now())
    # With which codes it was refused; no text.
    codes = models.CharField(max_length=15, default="", db_default="")

    def __str__(self) -> str:
        return self.part

    @classmethod
    def beat(cls, part: str, codes: str = "") -> None:
        Heartbeat.objects.bulk_create(
            [Heartbeat(part=part, codes=codes)],
            update_conflicts=True,
            unique_fields=["part"],
            update_fields=["beat_at", "codes"],
        )

    @classmethod
    def ages(cls) -> dict[str, timedelta]:
        """How long ago each part last did its work; without those that never did."""
        return dict(cls.objects.annotate(age=Now() - F("beat_at")).values_list("part", "age"))

    @classmethod
    def refusal(cls) -> str:
        """The codes with which the mail server refuses us, as "550 5.7.1"; empty if it does not.

        While it does and mail waits, a worker is told so every few seconds. What is taken ends it.
        """
        taken = cls.objects.filter(part=cls.Part.TAKEN, beat_at__gte=OuterRef("beat_at"))
        refused = cls.objects.filter(~Exists(taken), part=cls.Part.REFUSED, beat_at__gt=Now() - REFUSED_FOR)
        return refused.values_list("codes", flat=True).first() or ""
