from django.utils.translation import gettext_lazy as _

from .signature import Signature


class Signals(Signature):
    """The same signatures, as the page sees them on which fakes stand out. No row has a page of its own there."""

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("view_signals", "Can see which groups of signatures stand out")]
        verbose_name = _("signals of fakes")
        verbose_name_plural = _("signals of fakes")
