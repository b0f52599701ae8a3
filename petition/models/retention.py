from collections.abc import Iterable

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Retention(models.Model):
    """When the worker last deleted what had had its time, of one kind. How much that was would tell of people."""

    kind = models.CharField(_("kind"), max_length=60, primary_key=True)
    ran_at = models.DateTimeField(_("last ran at"), db_default=Now())

    class Meta:
        verbose_name = _("when data is deleted")
        verbose_name_plural = _("when data is deleted")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.kind

    @staticmethod
    def note(kinds: Iterable[str]) -> None:
        """Say that these have just run."""
        Retention.objects.bulk_create(
            [Retention(kind=kind) for kind in kinds],
            update_conflicts=True,
            unique_fields=["kind"],
            update_fields=["ran_at"],
        )
