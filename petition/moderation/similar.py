"""Finding fakes: the names of mail domains that many share, and the signatures that have something in common.

Which of them stand out is said in `petition/moderation/anomalies.py`.
"""

from base64 import b32encode
from contextlib import suppress
from datetime import date, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import BinaryField, Func, TextField, Value
from django.db.models.functions import Trim
from django.db.models.lookups import Exact
from django.utils.crypto import salted_hmac
from nacl.exceptions import CryptoError

from petition import identity
from petition.models import OutgoingMail, SeenDomain, Signature
from petition.models.domains import MAILBOXES, mailboxes_on_day
from petition.models.signature import SignatureQuerySet, this_hour
from petition.moderation.anomalies import KEYS

STRETCH = 100_000
MOST_READ = 1_000_000

# Of each mail domain among these signatures, unless it is known to have been shared that day, one that stands for it.
NEWLY_SHARED = f"""
    SELECT id, domain_digest, day
    FROM (
        SELECT DISTINCT ON (domain_digest) id, domain_digest, (created_at AT TIME ZONE 'UTC')::date AS day
        FROM petition_signature WHERE id = ANY(%s) AND domain_digest IS NOT NULL
        ORDER BY domain_digest, created_at DESC
    ) AS new
    WHERE NOT EXISTS (SELECT FROM petition_seendomain WHERE digest = new.domain_digest AND shared_on >= new.day)
        AND ({mailboxes_on_day("new.day", "new.domain_digest")}) >= {MAILBOXES}
"""  # noqa: S608

NEWEST_OF_DOMAIN = """
    SELECT max(newest.id)
    FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS hour,
    LATERAL (
        SELECT id FROM petition_signature WHERE created_at = hour AND domain_digest = %(digest)s
        ORDER BY id DESC LIMIT 1
    ) AS newest
"""


def name_domains(mails: list[OutgoingMail]) -> int:
    """Keep the names of the mail domains of these mails that 20 mailboxes share by now; return how many.

    Costs one statement, which reads at most 100 signatures of each domain, and opens the box of one mail for each
    domain that it finds. A mail may be gone from the database already.
    """
    by_signature = {mail.signature_id: mail for mail in mails if mail.signature_id}
    if not by_signature:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(NEWLY_SHARED, [list(by_signature)])
        found = cursor.fetchall()
    named = 0
    for signature_id, digest, day in found:
        with suppress(CryptoError):
            address = identity.unseal(bytes(by_signature[signature_id].recipient))
            if identity.domain_digest(address) == bytes(digest):
                named += _keep(bytes(digest), identity.domain(address), day)
    return named


def _keep(digest: bytes, name: str, day: date) -> int:
    # Somebody may have withdrawn in between, so that they are 20 no more: the database counts again.
    with suppress(IntegrityError), transaction.atomic():
        SeenDomain.objects.bulk_create(
            [SeenDomain(digest=digest, name=name, shared_on=day)],
            update_conflicts=True,
            unique_fields=["digest"],
            update_fields=["shared_on"],
        )
        return 1
    return 0


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
    """The number of the newest signature of the last 30 days with this mail domain. Raises ValueError.

    Reads one signature of each hour.
    """
    digest = identity.domain_digest(f"anyone@{name.strip().removeprefix('@')}")
    since = this_hour() - timedelta(days=settings.ABUSE_SIGNAL_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_OF_DOMAIN, {"since": since, "until": this_hour(), "digest": digest})
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
