from django.conf import settings
from django.db import models


class StaffAccount(models.Model):
    """What we keep of an account beside Django's user. Without a row: no language chosen, and a password of its own."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="staff_account"
    )
    # Of the admin. Not a cookie: one that stays would tell whoever finds the computer.
    language = models.CharField(max_length=10, default="", db_default="")
    # When somebody else chose the password, until it is changed.
    password_given_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"account {self.pk}"
