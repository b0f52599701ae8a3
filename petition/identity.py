"""Digests of addresses, mail domains and networks: what we may know of who somebody is."""

import hashlib
import hmac
import secrets
import time
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.encoding import punycode

SALT_SECONDS = 60
NETWORK_DIGEST_BYTES = 3  # so few that hundreds of IPv4 addresses share each
# The same for everyone: one address must have one digest. What is secret is the key.
SCRYPT_SALT = b"petition email digest"

# Codes are typed from another screen or from paper, so nobody has to guess between 0 and O, 1, I and L, 2 and Z, 5 and
# S, 8 and B.
CODE_LETTERS = "34679ACDEFGHJKMNPQRTUVWXY"

_GMAIL = {"gmail.com", "googlemail.com"}


def normalise(address: str) -> str:
    """The mailbox that an address, however written, leads to. Raises ValueError if it is no address.

    A dot or a tag in a gmail.com address makes no other mailbox; elsewhere only the tag is cut. The domain is written
    as the mail server will look it up (IDNA). Mail itself goes to the address as typed.
    """
    local, at, domain = unicodedata.normalize("NFC", address).strip().lower().rpartition("@")
    local = local.partition("+")[0]
    domain = punycode(domain)
    if domain in _GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    if not (local and at and domain):
        raise ValueError("This is not an address.")
    return f"{local}@{domain}"


def email_digest(address: str) -> bytes:
    """32 bytes that stand for a mailbox; without EMAIL_DIGEST_KEY nobody can tell whose. Raises ValueError.

    Costs some 5 ms of a core and 3 MB, so that a thief with the database and the key tries 200 addresses a second, and
    not millions. Only the worker has the key.
    """
    return _slow_digest(normalise(address))


def domain_digest(address: str) -> bytes:
    """32 bytes that stand for the mail domain of an address. Raises ValueError. Slow for a domain not seen lately."""
    return _domain_digest(domain(address), settings.EMAIL_DIGEST_KEY)


def domain(address: str) -> str:
    """The mail domain of an address, in the one spelling that we compare. Raises ValueError."""
    return normalise(address).rpartition("@")[2]


@lru_cache(maxsize=10_000)
def _domain_digest(domain: str, key: str) -> bytes:
    return _slow_digest("@" + domain)


def _slow_digest(text: str) -> bytes:
    if not settings.EMAIL_DIGEST_KEY:
        # Else everybody could make this digest, and it would recognise nobody.
        raise ImproperlyConfigured("Only the worker has EMAIL_DIGEST_KEY.")
    slow = hashlib.scrypt(text.encode(), salt=SCRYPT_SALT, n=2_048, r=12, p=1)
    return hmac.digest(bytes.fromhex(settings.EMAIL_DIGEST_KEY), slow, "sha256")


def key_fingerprint() -> str:
    """What tells one EMAIL_DIGEST_KEY from another without giving it away."""
    return hashlib.sha256(b"fingerprint of " + bytes.fromhex(settings.EMAIL_DIGEST_KEY)).hexdigest()


def network_digest(network: str) -> bytes:
    """24 bits that stand for a network on this UTC day, and for nothing once the salt of the day is deleted."""
    return hmac.digest(daily_salt(), network.encode(), "sha256")[:NETWORK_DIGEST_BYTES]


def daily_hash(data: bytes) -> "hmac.HMAC":
    """The hash that django-ratelimit names its counters with."""
    return hmac.new(daily_salt(), data, "sha256")


_salt: tuple[date, float, bytes] | None = None


def daily_salt() -> bytes:
    """The random salt of this UTC day, made by whoever asks first. Asks the database once a minute."""
    global _salt
    today, now = datetime.now(UTC).date(), time.monotonic()
    if _salt is None or _salt[0] != today or _salt[1] < now:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO petition_dailysalt (day, salt) VALUES (%s, %s)"
                # Changes nothing; a plain DO NOTHING would return no row.
                " ON CONFLICT (day) DO UPDATE SET day = EXCLUDED.day RETURNING salt",
                [today, secrets.token_bytes(32)],
            )
            # Mixed with a key that the database does not have, so that a copy of its table alone is of no use.
            salt = hmac.digest(settings.SECRET_KEY.encode(), bytes(cursor.fetchone()[0]), "sha256")
            _salt = today, now + SALT_SECONDS, salt
    return _salt[2]
