from django.db import models
from django.db.models import Q


class Notice(models.Model):
    """When workers last looked what waits for staff, and last sent a notice. One row, by PostgreSQL's clock."""

    looked_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    # Where notices go, as the worker knows: "mail", "webhook", both or neither. No address.
    goes_to = models.CharField(max_length=20, default="", db_default="")
    # What went wrong with the last one, in words of ours.
    failed = models.CharField(max_length=200, default="", db_default="")
    # Anomalies of the last hour. They take seconds to find, so pages read what was found last.
    anomalies = models.PositiveIntegerField(default=0, db_default=0)
    anomalies_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="there_is_one_row_of_notices")]

    def __str__(self) -> str:
        return "notice"
