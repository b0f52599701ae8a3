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
from petition.models.shown_words import ALIKE
from petition.models.signature import SignatureQuerySet, this_hour

NAME, SHAPE, WORDS = ALIKE["name"], ALIKE["shape"], ALIKE["words"]
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
# Nobody needs to know of how many more.
LARGE = 1_000

NEWEST_OF_DOMAIN = """
    SELECT newest.id
    FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS hour,
    LATERAL (
        SELECT id FROM petition_signature WHERE created_at = hour AND domain_digest = %(digest)s
        LIMIT 1
    ) AS newest
    ORDER BY hour DESC LIMIT 1
"""
SHARE_DOMAIN = """
    SELECT count(*) FROM (
        SELECT FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS hour,
        LATERAL (
            SELECT FROM petition_signature
            WHERE created_at = hour AND domain_digest = %(digest)s AND confirmed_at IS NOT NULL
            LIMIT %(large)s
        ) AS of_hour
        LIMIT %(large)s
    ) AS shared
"""


def like(rows: SignatureQuerySet, kind: str, number: int) -> SignatureQuerySet:
    """The rows that share a network, a mail domain, a name, its shape or words with the signature of this number.

    No rows, if that signature is gone, or has nothing of the kind, or no more.
    """
    value = value_of(kind, number)
    if value is None:
        return rows.none()
    if kind == "network":
        # It has this digest on its day alone; on another one that is another network.
        for signed_at in Signature.objects.filter(pk=number).values_list("created_at", flat=True):
            day = signed_at.replace(hour=0)
            rows = rows.filter(created_at__gte=day, created_at__lt=day + timedelta(days=1))
    same = Exact(key(kind), Value(value, key(kind).output_field))
    return rows.filter(pk__in=ShownWords.objects.filter(same).values("pk")) if kind in WRITTEN else rows.filter(same)


def value_of(kind: str, number: int) -> Any:
    """What the signature of this number has of the kind, to compare others with; None if nothing, or no more."""
    holders: QuerySet[Any] = ShownWords.objects.all() if kind in WRITTEN else Signature.objects.all()
    return holders.filter(pk=number).values_list(key(kind), flat=True).first()


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


def how_many_share(signature: Signature) -> dict[str, int]:
    """How many confirmed signatures have the network, mail domain, name and words of this one, itself included.

    Tens, rounded down: a moderator who knows one of them may watch. 0 stands for fewer than a group, LARGE for so many
    or more; what it does not have is left out.
    """
    found: dict[str, int] = {}
    if signature.network_digest is not None:
        found["network"] = like(Signature.objects.all(), "network", signature.pk).confirmed().order_by()[:LARGE].count()
    if signature.domain_digest is not None:
        since, digest = this_hour() - timedelta(days=settings.ABUSE_SIGNAL_DAYS), bytes(signature.domain_digest)
        with connection.cursor() as cursor:
            cursor.execute(SHARE_DOMAIN, {"since": since, "until": this_hour(), "digest": digest, "large": LARGE})
            found["domain"] = cursor.fetchone()[0]
    if words := signature.shown_words:
        for kind in ("name", "words"):
            if getattr(words, kind).strip():
                # Only confirmed signatures show any.
                found[kind] = with_text(kind, getattr(words, kind)).order_by()[:LARGE].count()
    return {kind: count // 10 * 10 if count >= SMALLEST else 0 for kind, count in found.items()}


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
    return with_text(kind, text).order_by("-asked_at", "-pk").values_list("pk", flat=True).first()


def with_text(kind: str, text: str) -> QuerySet[ShownWords]:
    """Those who want this name or these words shown; spaces around them and capitals do not matter."""
    wanted = Func(Trim(Value(text)), function="lower", output_field=TextField())
    return ShownWords.objects.filter(Exact(key(kind), wanted))


def handle(kind: str, value: str) -> str:
    """A short name for a network or a domain, which means nothing outside of the page of anomalies."""
    made = salted_hmac("petition.similar", f"{kind} {value}", algorithm="sha256").digest()
    return b32encode(made).decode()[:6]
