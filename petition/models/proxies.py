"""Proxy models of Signature, one for each page of the admin that shows signatures in its own way."""

from django.utils.translation import gettext_lazy as _

from .shown_words import ShownWords
from .signature import Signature


class Review(ShownWords):
    """A signature whose name and words moderators approve or hide."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("name and words to review")
        verbose_name_plural = _("names and words to review")


class HeldSignature(Signature):
    """A signature that is kept out of the count until a moderator has looked."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("held signature")
        verbose_name_plural = _("held signatures")


class Signals(Signature):
    """Signatures on the page of anomalies, which shows groups of them. No row has a page of its own there."""

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("view_signals", "Can see which groups of signatures stand out")]
        verbose_name = _("signals of fakes")
        verbose_name_plural = _("signals of fakes")
