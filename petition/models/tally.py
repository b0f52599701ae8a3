from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Measure(models.TextChoices):
    """What is counted, and in which hour it falls.

    `COUNTED` is a state: it falls when a signature stops counting, in the hour it was confirmed, so a past hour can
    change. The others are events and only grow. Every pending row that goes without having been confirmed has lapsed.
    What is withdrawn while it is held or invalidated is told apart, so that events add up to what there is now
    (`petition.counts.tally.standing`).
    """

    COUNTED = "counted", _("counted")
    SIGNED = "signed", _("signed")
    CONFIRMED = "confirmed", _("confirmed")
    WITHDRAWN = "withdrawn", _("withdrawn")
    LAPSED = "lapsed", _("lapsed")
    HELD = "held", _("held")
    RELEASED = "released", _("released")
    INVALIDATED = "invalidated", _("invalidated")
    RESTORED = "restored", _("restored")
    HELD_GONE = "held_gone", _("withdrawn while held")
    INVALID_GONE = "invalid_gone", _("withdrawn while invalidated")


class TallyChange(models.Model):
    """The ledger: what one statement changed in one cell. Triggers append, `petition.counts.tally` folds."""

    petition = models.ForeignKey("petition.Petition", models.DO_NOTHING, db_constraint=False, db_index=False)
    hour = models.DateTimeField()
    country = models.CharField(max_length=2)
    language = models.CharField(max_length=10)
    source = models.CharField(max_length=24)
    measure = models.CharField(max_length=12, choices=Measure)
    amount = models.IntegerField()

    class Meta:
        indexes = [
            models.Index(
                "petition", include=["amount"], condition=Q(measure="counted"), name="unfolded_counted_changes"
            )
        ]

    def __str__(self) -> str:
        return f"change {self.pk}"


class HourTally(models.Model):
    pk = models.CompositePrimaryKey("petition_id", "hour", "measure")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    hour = models.DateTimeField()
    measure = models.CharField(max_length=12, choices=Measure)
    amount = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.measure}"


class DayTally(models.Model):
    """A UTC day."""

    pk = models.CompositePrimaryKey("petition_id", "day", "country", "language", "source", "measure")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    day = models.DateField()
    country = models.CharField(max_length=2)
    language = models.CharField(max_length=10)
    source = models.CharField(max_length=24)
    measure = models.CharField(max_length=12, choices=Measure)
    amount = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day} {self.measure}"


class TotalTally(models.Model):
    """The counted signatures of a petition, as far as the ledger is folded."""

    petition = models.OneToOneField("petition.Petition", models.CASCADE, primary_key=True)
    counted = models.BigIntegerField()

    def __str__(self) -> str:
        return f"total {self.pk}"
