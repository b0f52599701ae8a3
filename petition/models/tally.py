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
    # The mail server took the mail. No row tells it afterwards, so it cannot be recounted.
    MAILED = "mailed", _("mail accepted")
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
    """The counted signatures of a petition, as far as the ledger is folded. Exact: for no page."""

    petition = models.OneToOneField("petition.Petition", models.CASCADE, primary_key=True)
    counted = models.BigIntegerField()

    def __str__(self) -> str:
        return f"total {self.pk}"


class PublishedCount(models.Model):
    """The number that anybody may read. `petition.counts.publication` moves it, and says when.

    `lag` is how much its next step leaves unpublished, and `secret` decides how cells are rounded: both are for no
    eyes. The cells of weeks before `week` are released; `final_at` is when the exact number was published for good.
    """

    petition = models.OneToOneField("petition.Petition", models.CASCADE, primary_key=True)
    counted = models.BigIntegerField(default=0)
    lag = models.PositiveSmallIntegerField()
    secret = models.BinaryField(max_length=32)
    checked_at = models.DateTimeField()
    week = models.DateField()
    final_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"published count {self.pk}"


class PublishedHour(models.Model):
    """By how much the published number moved in an hour."""

    pk = models.CompositePrimaryKey("petition_id", "hour")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    hour = models.DateTimeField()
    counted = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}"


class PublishedWeek(models.Model):
    """What became known of a measure in an ended week, named by its Monday: `shown` to whoever asks, `amount` never."""

    pk = models.CompositePrimaryKey("petition_id", "week", "measure")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    week = models.DateField()
    measure = models.CharField(max_length=12, choices=Measure)
    amount = models.BigIntegerField()
    shown = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.week} {self.measure}"


class PublishedCell(models.Model):
    """The same for where signatures came from: the finest cells, of which every coarser number is a sum."""

    pk = models.CompositePrimaryKey("petition_id", "week", "country", "language", "source", "measure")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    week = models.DateField()
    country = models.CharField(max_length=2)
    language = models.CharField(max_length=10)
    source = models.CharField(max_length=24)
    measure = models.CharField(max_length=12, choices=Measure)
    amount = models.BigIntegerField()
    shown = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.week} {self.measure}"


class PublishedFunnel(models.Model):
    """What became of the signatures of an ended week, by hour and by mail provider, rounded and never revised.

    Each cell is a list: signed, mail accepted, confirmed; by hour the last is how the public number moved. None: too
    few to tell (`petition.counts.funnel`).
    """

    pk = models.CompositePrimaryKey("petition_id", "week")
    petition = models.ForeignKey("petition.Petition", models.CASCADE, db_index=False)
    week = models.DateField()
    hours = models.JSONField(null=True)
    providers = models.JSONField(null=True)

    def __str__(self) -> str:
        return f"funnel of {self.week}"
