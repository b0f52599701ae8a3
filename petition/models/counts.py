import hashlib
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Cast, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .petition import Petition, Source

TOKEN_DAYS, MOST_TOKEN_DAYS = 365, 731
# As many workers may die over an export before it is given up.
MOST_TRIES = 3
# Who makes one says so each second; after so long without a word another worker takes it.
LEFT_SECONDS = 30
EXPORT_HOURS = 24


def in_a_year() -> date:
    return datetime.now(UTC).date() + timedelta(days=TOKEN_DAYS)


class Counts(Petition):
    """A petition as organisers look at it: its numbers. Who may see those is decided apart from who may edit it."""

    class Meta:
        proxy = True
        verbose_name = _("counts")
        verbose_name_plural = _("counts")
        default_permissions = ("view",)


class CountsTokenQuerySet(models.QuerySet["CountsToken"]):
    def valid(self) -> Self:
        """Those that nobody has revoked, ended ones included."""
        return self.filter(revoked_at=None)

    def revoke(self) -> int:
        """Stop these at once; return how many changed."""
        return self.valid().update(revoked_at=timezone.now())

    def find(self, token: str) -> "CountsToken | None":
        """The valid token of this text. It is found by its digest, so no comparison can be timed."""
        return self.valid().filter(digest=digest(token)).first()


class CountsToken(models.Model):
    """Lets a dashboard read the counts, of all or of one source. It is shown once, when made, and kept nowhere."""

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Who will read with it: a dashboard, a partner.")
    )
    digest = models.BinaryField(max_length=32, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)
    ends_on = models.DateField(
        _("last day"),
        default=in_a_year,
        db_default=Cast(Now() + timedelta(days=TOKEN_DAYS), models.DateField()),
        help_text=_("After this day (UTC) it reads nothing any more. Two years from now at most."),
    )
    # No constraint: when a source is deleted, a token for it must not come to read those of all.
    source = models.ForeignKey(
        Source,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        verbose_name=_("only this source"),
        help_text=_("Whoever reads with it sees the numbers of this partner’s link alone. Empty: those of all."),
    )
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

    @property
    def has_ended(self) -> bool:
        return self.ends_on < timezone.now().astimezone(UTC).date()

    def remember_use(self) -> None:
        """Keep the day, so that a token that nobody uses can be told; one write a day at most."""
        today = timezone.now().date()
        if self.last_used_on != today:
            CountsToken.objects.filter(pk=self.pk).update(last_used_on=today)


def digest(token: str) -> bytes:
    # A token is 32 random bytes, which nobody guesses: no salt or slow hash is needed.
    return hashlib.sha256(token.encode()).digest()


class CountsExportQuerySet(models.QuerySet["CountsExport"]):
    def waiting(self) -> Self:
        """Those that nobody makes just now, or nobody any more."""
        is_left = models.Q(taken_at=None) | models.Q(taken_at__lt=Now() - timedelta(seconds=LEFT_SECONDS))
        return self.filter(is_left, made_at=None, tries__lt=MOST_TRIES)

    def current(self) -> Self:
        return self.filter(asked_at__gte=Now() - timedelta(hours=EXPORT_HOURS))

    def ended(self) -> Self:
        return self.filter(asked_at__lt=Now() - timedelta(hours=EXPORT_HOURS))


class CountsExport(models.Model):
    """A large file of counts that a worker makes for one account, and keeps for a day.

    `taken_at` moves on while somebody makes it, with `written` of `rows`; a worker that was killed leaves it behind.
    """

    petition = models.ForeignKey(Petition, models.CASCADE, db_index=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    # As in the address of the page of counts.
    query = models.CharField(max_length=200)
    format = models.CharField(max_length=10)
    asked_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    rows = models.PositiveIntegerField(null=True)
    written = models.PositiveIntegerField(default=0, db_default=0)
    made_at = models.DateTimeField(null=True)
    name = models.CharField(max_length=200, default="", db_default="")
    file = models.BinaryField(null=True)

    objects = CountsExportQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(made_at=None, file=None) | models.Q(made_at__isnull=False, file__isnull=False),
                name="an_export_that_is_made_has_a_file",
            )
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def is_ready(self) -> bool:
        return self.made_at is not None

    @property
    def has_failed(self) -> bool:
        return (
            not self.is_ready
            and self.tries >= MOST_TRIES
            and (self.taken_at is None or self.taken_at < timezone.now() - timedelta(seconds=LEFT_SECONDS))
        )

    @property
    def ends_at(self) -> datetime:
        return self.asked_at + timedelta(hours=EXPORT_HOURS)
