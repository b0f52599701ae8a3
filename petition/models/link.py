from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import connection, models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from petition.postgres.prepared import Prepared

from .petition import Petition
from .signature import Signature, this_hour


def token_digest(token: str) -> str:
    """The stored form of a token. Providers of mail keep tokens: without SECRET_KEY none leads them to its row."""
    return _token_digest(token, settings.SECRET_KEY)


def token_digests(token: str) -> list[str]:
    """The digests under which a token may be stored: a replaced SECRET_KEY still counts while links work."""
    return [_token_digest(token, key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _token_digest(token: str, key: str) -> str:
    return salted_hmac("petition.links.token", token, secret=key, algorithm="sha256").hexdigest()


class LinkQuerySet(models.QuerySet["Link"]):
    def of_token(self, token: str) -> "Link | None":
        """The link of this token with its petition and signature, all in one statement; None if there is none."""
        with connection.cursor() as cursor:
            OF_TOKEN.execute(cursor, {"digests": token_digests(token)})
            row = cursor.fetchone()
        return _assembled(row) if row else None

    def too_old(self) -> Self:
        """Links that have said "expired" for a day."""
        return self.filter(created_at__lt=timezone.now() - timedelta(days=settings.CONFIRMATION_DAYS + 1))


class Link(models.Model):
    """What the link in a mail, or the code beside it, leads to, as long as the link works.

    Of token and code there is a digest alone. From its press on it leads to the confirmed signature of its address, and
    its page still shows what was typed with it.
    """

    class Kind(models.TextChoices):
        SIGN = "sign", _("to confirm")
        WITHDRAW = "withdraw", _("to withdraw")

    token_digest = models.CharField(max_length=64, primary_key=True)
    code_digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    kind = models.CharField(max_length=10, choices=Kind)
    petition = models.ForeignKey(Petition, models.CASCADE, db_index=False)
    # No constraint: the link still has an answer when its signature is gone.
    signature = models.ForeignKey(Signature, models.DO_NOTHING, null=True, db_constraint=False, db_index=False)
    # Of a link to withdraw, written by the worker; and where the owner of the address said that she did not sign.
    email_digest = models.BinaryField(max_length=32, null=True)
    # What was typed to be shown; empty if nothing is.
    name = models.CharField(max_length=100, blank=True, default="", db_default="")
    words = models.CharField(max_length=500, blank=True, default="", db_default="")
    country = models.CharField(max_length=2, blank=True, default="", db_default="")
    language = models.CharField(max_length=10, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=this_hour)

    objects = LinkQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("code_digest", condition=~Q(code_digest=""), name="links_by_code"),
            models.Index("signature", condition=~Q(name="") | ~Q(words=""), name="links_with_words"),
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return "link"

    @property
    def has_words(self) -> bool:
        return bool(self.name or self.words)

    @property
    def address_digest(self) -> bytes | None:
        """The digest of the address that got this link; None if nothing is stored about it any more."""
        digest = self.email_digest or (self.signature and self.signature.email_digest)
        return bytes(digest) if digest else None


# What a row of OF_TOKEN holds, one after the other.
ROW: tuple[type[models.Model], ...] = (Link, Petition, Signature)


def _columns(model: type[models.Model]) -> str:
    return ", ".join(f"{model._meta.db_table}.{field.column}" for field in model._meta.concrete_fields)


# Whoever comes from a mail waits for this twice. The ORM took four times as long to word it as PostgreSQL to answer.
OF_TOKEN = Prepared(
    "of_token",
    f"""
    SELECT {", ".join(map(_columns, ROW))}
    FROM petition_link
    JOIN petition_petition ON petition_petition.id = petition_link.petition_id
    LEFT JOIN petition_signature ON petition_signature.id = petition_link.signature_id
    WHERE petition_link.token_digest = ANY (%(digests)s::text[])
    """,  # noqa: S608
)


def _assembled(row: tuple[Any, ...]) -> Any:
    """The link in a row of OF_TOKEN, with its petition and its signature."""
    values = iter(row)
    link, petition, signature = (_read(model, values) for model in ROW)
    link.petition = petition
    # One that is gone was joined as a row without values.
    link.signature = signature if signature.pk is not None else None
    return link


def _read(model: Any, values: Iterator[Any]) -> Any:
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, [next(values) for _name in names])
