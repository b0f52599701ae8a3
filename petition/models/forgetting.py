from django.contrib.postgres.fields import ArrayField
from django.db import models


class ForgottenHour(models.Model):
    """How far `petition.forgetting` is with an hour that has ended. A few of the last ones are kept.

    Transactions are numbered by PostgreSQL: a row remembers the one that wrote it, and so tells when.
    """

    hour = models.DateTimeField(primary_key=True)
    # The oldest transaction that was still under way when this began.
    first_transaction = models.BigIntegerField()
    # Those that wrote rows anew, in random order: such rows have nothing left to forget.
    own_transactions = ArrayField(models.BigIntegerField(), default=list)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}"
