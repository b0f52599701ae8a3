from typing import Self

from django.db import connection, models
from django.utils import timezone

from .signature import this_hour

# One statement, so that no two pages of one account overwrite each other's numbers.
ADD = """
    INSERT INTO petition_namesread AS stored (user_id, hour, pages, names) VALUES (%s, %s, 1, %s)
    ON CONFLICT (user_id, hour) DO UPDATE SET pages = stored.pages + 1, names = stored.names + EXCLUDED.names
    RETURNING names
"""


class NamesReadQuerySet(models.QuerySet["NamesRead"]):
    def add(self, user_id: int, names: int) -> int:
        """Note that this account has read a page with so many names; return how many it has read in this hour."""
        with connection.cursor() as cursor:
            cursor.execute(ADD, [user_id, this_hour(), names])
            return int(cursor.fetchone()[0])

    def of_ended_hours(self) -> Self:
        return self.filter(hour__lt=this_hour())

    def begin_to_tell(self, user_id: int) -> bool:
        """Whether nobody has been told yet that this account reads many names in this hour."""
        return self.filter(user_id=user_id, hour=this_hour(), told_at=None).update(told_at=timezone.now()) == 1


class NamesRead(models.Model):
    """How many pages with names of signers, and how many names, an account has read in an hour.

    Once the hour is over the worker writes it to the audit log and deletes it here.
    """

    user_id = models.BigIntegerField()
    hour = models.DateTimeField()
    pages = models.PositiveIntegerField()
    names = models.PositiveIntegerField()
    told_at = models.DateTimeField(null=True)

    objects = NamesReadQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user_id", "hour"], name="one_row_for_an_account_and_an_hour")]

    def __str__(self) -> str:
        return f"names read by account {self.user_id}"
