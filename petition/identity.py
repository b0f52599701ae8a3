"""Who somebody is, as far as we may know: keyed digests, sealed addresses, and networks that fade in two days."""

import hashlib
import hmac
import secrets
import time
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache

from django.conf import settings
from django.db import connection
from django.utils.encoding import punycode
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

# Every sealed recipient is as long as the longest, so that a row does not tell the length of an address.
SEALED_LENGTH = 320
SALT_SECONDS = 60

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
    """32 bytes that stand for a mailbox; without EMAIL_DIGEST_KEY nobody can tell whose. Raises ValueError."""
    return _digest(normalise(address))


def domain_digest(address: str) -> bytes:
    """32 bytes that stand for the mail domain of an address. Raises ValueError."""
    return _digest("@" + domain(address))


def domain(address: str) -> str:
    """The mail domain of an address, in the one spelling that we compare. Raises ValueError."""
    return normalise(address).rpartition("@")[2]


def _digest(text: str) -> bytes:
    return hmac.digest(bytes.fromhex(settings.EMAIL_DIGEST_KEY), text.encode(), "sha256")


def key_fingerprint() -> str:
    """What tells one EMAIL_DIGEST_KEY from another without giving it away."""
    return hashlib.sha256(b"fingerprint of " + bytes.fromhex(settings.EMAIL_DIGEST_KEY)).hexdigest()


def seal(address: str) -> bytes:
    """The address for the worker's eyes only: a web process can make this, never read it back."""
    return SealedBox(_public_key(settings.RECIPIENT_PUBLIC_KEY)).encrypt(address.encode().ljust(SEALED_LENGTH, b"\0"))


def unseal(sealed: bytes) -> str:
    """The address in a sealed box. Raises CryptoError if none of RECIPIENT_SECRET_KEYS opens it."""
    for key in settings.RECIPIENT_SECRET_KEYS:
        try:
            return _box(key).decrypt(sealed).rstrip(b"\0").decode()
        except CryptoError:
            continue
    raise CryptoError("No key of ours opens this.")


@lru_cache(maxsize=2)
def _public_key(key: str) -> PublicKey:
    return PublicKey(bytes.fromhex(key))


@lru_cache(maxsize=8)
def _box(key: str) -> SealedBox[PrivateKey]:
    # Making it takes half as long as opening one.
    return SealedBox(PrivateKey(bytes.fromhex(key)))


def network_digest(network: str) -> bytes:
    """32 bytes that stand for a network on this UTC day, and for nothing once the salt of the day is deleted."""
    return hmac.digest(daily_salt(), network.encode(), "sha256")


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
            _salt = today, now + SALT_SECONDS, bytes(cursor.fetchone()[0])
    return _salt[2]
