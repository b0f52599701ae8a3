from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class LanguageApproval(models.Model):
    """The word of a native speaker that the texts of a machine-made language may stand alone.

    Until then pages show the words on safety in English beside them.
    """

    language = models.CharField(_("language"), max_length=7, primary_key=True)
    approved_on = models.DateField(_("approved on"), default=timezone.localdate, editable=False)

    class Meta:
        verbose_name = _("approved language")
        verbose_name_plural = _("approved languages")

    def __str__(self) -> str:
        return self.language

    @classmethod
    def unread(cls) -> list[str]:
        """The machine-made languages that nobody has approved, in the order of the settings."""
        approved = set(cls.objects.values_list("language", flat=True))
        return [language for language in settings.MACHINE_MADE if language not in approved]

    @classmethod
    def is_unread(cls, language: str) -> bool:
        """Asks the database for machine-made languages alone."""
        return language in settings.MACHINE_MADE and not cls.objects.filter(pk=language).exists()
