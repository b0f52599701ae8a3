import hashlib
import secrets
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .petition import Petition


class Counts(Petition):
    """A petition as organisers look at it: its numbers. Who may see those is decided apart from who may edit it."""

    class Meta:
        proxy = True
        verbose_name = _("counts")
        verbose_name_plural = _("counts")
        default_permissions = ("view",)


class CountsTokenQuerySet(models.QuerySet["CountsToken"]):
    def valid(self) -> Self:
        return self.filter(revoked_at=None)

    def revoke(self) -> int:
        """Stop these at once; return how many changed."""
        return self.valid().update(revoked_at=timezone.now())

    def find(self, token: str) -> "CountsToken | None":
        """The valid token of this text. It is found by its digest, so no comparison can be timed."""
        return self.valid().filter(digest=digest(token)).first()


class CountsToken(models.Model):
    """Lets a dashboard read the counts. The token itself is shown once, when it is made, and kept nowhere."""

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Who will read with it: a dashboard, a partner.")
    )
    digest = models.BinaryField(max_length=32, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)
    last_used_on = models.DateField(_("last used on"), null=True, editable=False)

    objects = CountsTokenQuerySet.as_manager()
    shown_once = ""

    class Meta:
        verbose_name = _("token for counts")
        verbose_name_plural = _("tokens for counts")
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return f"token {self.pk}"

    def make(self) -> None:
        """Choose the token of a new row. It can be read from `shown_once` until this object is forgotten."""
        self.shown_once = secrets.token_urlsafe(32)
        self.digest = digest(self.shown_once)

    def remember_use(self) -> None:
        """Keep the day, so that a token that nobody uses can be told; one write a day at most."""
        today = timezone.now().date()
        if self.last_used_on != today:
            CountsToken.objects.filter(pk=self.pk).update(last_used_on=today)


def digest(token: str) -> bytes:
    # A token is 32 random bytes, which nobody guesses: no salt or slow hash is needed.
    return hashlib.sha256(token.encode()).digest()
