"""Similar signatures: the ones with the same network, mail domain, name, shape of name or words."""

from base64 import b32encode
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import BinaryField, Func, QuerySet, Sum, TextField, Value
from django.db.models.functions import Trim
from django.db.models.lookups import Exact
from django.utils.crypto import salted_hmac

from petition import identity
from petition.models import DayTally, Measure, SeenDomain, ShownWords, Signature
from petition.models.signature import SignatureQuerySet, this_hour

# The shape of a name that has more in it than letters: of "Anna1984" it is a9, of "olga_7" a_9. Regular expressions are
# what costs most in finding anomalies, so letters are all that they look for.
SHAPE = r"""CASE WHEN translate(name, '0123456789_*+=/#&~|<>^', '') <> name
    THEN replace(replace(replace(
        regexp_replace(translate(name, '012345678', '999999999'), '[[:alpha:]]+', 'a', 'g'),
    '999', '9'), '99', '9'), '99', '9') END"""
NAME = "nullif(lower(btrim(name)), '')"
WORDS = "nullif(lower(btrim(words)), '')"
# All that signatures can share, as SQL over petition_signature and, for WRITTEN, petition_shownwords.
KEYS = {
    "network": "network_digest",
    "domain": "domain_digest",
    "country": "nullif(country, '')",
    "language": "nullif(language, '')",
    "source": "nullif(source, '')",
    "name": NAME,
    "shape": SHAPE,
    "words": WORDS,
}

WRITTEN = ("name", "shape", "words")

# A group of fewer confirmed signatures is about somebody: a household, a domain or a name of one's own.
SMALLEST = 20

NEWEST_OF_DOMAIN = """
    SELECT newest.id
    FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS hour,
    LATERAL (
        SELECT id FROM petition_signature WHERE created_at = hour AND domain_digest = %(digest)s
        LIMIT 1
    ) AS newest
    ORDER BY hour DESC LIMIT 1
"""


def like(rows: SignatureQuerySet, kind: str, number: int) -> SignatureQuerySet:
    """The rows that share a network, a mail domain, a name, its shape or words with the signature of this number.

    No rows, if that signature is gone, or has nothing of the kind, or no more.
    """
    holders: QuerySet[Any] = ShownWords.objects.all() if kind in WRITTEN else Signature.objects.all()
    value = holders.filter(pk=number).values_list(key(kind), flat=True).first()
    if value is None:
        return rows.none()
    same = Exact(key(kind), Value(value, key(kind).output_field))
    return rows.filter(pk__in=ShownWords.objects.filter(same).values("pk")) if kind in WRITTEN else rows.filter(same)


def is_crowd(signatures: SignatureQuerySet) -> bool:
    """Whether these are so many that staff may see them as a group.

    Pending ones do not count: anybody can make 20 of them, with addresses at the domain of somebody else.
    """
    return signatures.confirmed().order_by()[:SMALLEST].count() >= SMALLEST


def is_of_crowd(kind: str, number: int) -> bool:
    """Whether the signature of this number shares that with a crowd."""
    alike = like(Signature.objects.all(), kind, number)
    if kind in ("network", "domain"):
        # Older ones have forgotten it; the index goes by the time.
        alike = alike.filter(created_at__gte=this_hour() - timedelta(days=settings.ABUSE_SIGNAL_DAYS))
    return is_crowd(alike)


def is_crowd_of_cell(**cell: Any) -> bool:
    """The same for country, language, source and days, however they are combined, by the tallies of days.

    It would take all signatures to count them.
    """
    confirmed = DayTally.objects.filter(measure=Measure.CONFIRMED, **cell)
    return (confirmed.aggregate(amount=Sum("amount"))["amount"] or 0) >= SMALLEST


def key(kind: str) -> Func:
    """One of KEYS as an expression for a query set."""
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
        row = cursor.fetchone()
        return row and row[0]


def find_text(kind: str, text: str) -> int | None:
    """The number of a newest signature with this name or these words, if its signer wants them shown."""
    wanted = Exact(key(kind), Func(Trim(Value(text)), function="lower", output_field=TextField()))
    return ShownWords.objects.filter(wanted).order_by("-asked_at", "-pk").values_list("pk", flat=True).first()


def handle(kind: str, value: str) -> str:
    """A short name for a network or a domain, which means nothing outside of the page of anomalies."""
    made = salted_hmac("petition.similar", f"{kind} {value}", algorithm="sha256").digest()
    return b32encode(made).decode()[:6]
