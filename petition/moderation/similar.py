"""Similar signatures: the ones with the same network, mail domain, name, shape of name or words."""

from base64 import b32encode
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import BinaryField, Func, TextField, Value
from django.db.models.functions import Trim
from django.db.models.lookups import Exact
from django.utils.crypto import salted_hmac

from petition import identity
from petition.models import SeenDomain, Signature
from petition.models.signature import SignatureQuerySet, this_hour
from petition.moderation.anomalies import KEYS

STRETCH = 100_000
MOST_READ = 1_000_000

NEWEST_OF_DOMAIN = """
    SELECT max(newest.id)
    FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS hour,
    LATERAL (
        SELECT id FROM petition_signature WHERE created_at = hour AND domain_digest = %(digest)s
        ORDER BY id DESC LIMIT 1
    ) AS newest
"""


def like(rows: SignatureQuerySet, kind: str, number: int) -> SignatureQuerySet:
    """Those of these rows that share a network, a mail domain, a name, its shape or words with one signature.

    None, if that one is gone or tells nothing of the kind, or no more.
    """
    value = Signature.objects.filter(pk=number).values_list(key(kind), flat=True).first()
    return rows.none() if value is None else rows.filter(Exact(key(kind), Value(value, key(kind).output_field)))


def key(kind: str) -> Func:
    """What a signature has in common with others, as the database writes it."""
    is_digest = kind in ("network", "domain")
    return Func(template=KEYS[kind], output_field=BinaryField() if is_digest else TextField())


def find_domain(name: str) -> int | None:
    """The number of the newest signature of the last 30 days with this mail domain, if that is known by name.

    Raises ValueError for what is no domain. Reads one signature of each hour.
    """
    name = identity.domain(f"anyone@{name.strip().removeprefix('@')}")
    digest = SeenDomain.objects.filter(name=name).values_list("digest", flat=True).first()
    if digest is None:
        return None
    since = this_hour() - timedelta(days=settings.ABUSE_SIGNAL_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_OF_DOMAIN, {"since": since, "until": this_hour(), "digest": bytes(digest)})
        return cursor.fetchone()[0]


def find_text(kind: str, text: str) -> int | None:
    """The number of the newest signature with this name or these words, among the last million."""
    newest = Signature.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    wanted = Exact(key(kind), Func(Trim(Value(text)), function="lower", output_field=TextField()))
    for last in range(newest, max(newest - MOST_READ, 0), -STRETCH):
        stretch = Signature.objects.filter(wanted, pk__lte=last, pk__gt=last - STRETCH)
        if found := stretch.order_by("-pk").values_list("pk", flat=True).first():
            return found
    return None


def handle(kind: str, value: str) -> str:
    """A short name for a network or a domain, which means nothing outside of the page of signals."""
    made = salted_hmac("petition.similar", f"{kind} {value}", algorithm="sha256").digest()
    return b32encode(made).decode()[:6]
