from datetime import timedelta

from django.db import models
from django.db.models import F
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """When a part of the site last did its work. By PostgreSQL's clock, so that it tells the same on every machine."""

    class Part(models.TextChoices):
        WEB = "web"  # could store something
        MAIL = "mail"  # sent a mail, or found none to send
        FOLD = "fold"  # folded the ledger

    part = models.CharField(max_length=10, choices=Part, primary_key=True)
    beat_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.part

    @classmethod
    def beat(cls, part: str) -> None:
        Heartbeat.objects.bulk_create(
            [Heartbeat(part=part)], update_conflicts=True, unique_fields=["part"], update_fields=["beat_at"]
        )

    @classmethod
    def ages(cls) -> dict[str, timedelta]:
        """How long ago each part last did its work; without those that never did."""
        return dict(cls.objects.annotate(age=Now() - F("beat_at")).values_list("part", "age"))
