"""The same signatures, as the parts of the admin see them that deal with them in their own way."""

from django.utils.translation import gettext_lazy as _

from .signature import Signature


class Review(Signature):
    """A signature as the moderation desk sees it."""

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


class SoughtSignature(Signature):
    """A signature as an administrator finds it for its signer."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("find one signature")
        verbose_name_plural = _("find one signature")


class Signals(Signature):
    """The same signatures, as the page sees them on which fakes stand out. No row has a page of its own there."""

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = [("view_signals", "Can see which groups of signatures stand out")]
        verbose_name = _("signals of fakes")
        verbose_name_plural = _("signals of fakes")
