"""Digests of addresses, mail domains and networks: what we may know of who somebody is."""

import hashlib
import hmac
import secrets
import time
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

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


class Provider(NamedTuple):
    """What a provider takes for one mailbox. Only rules that somebody has written down: see `source`.

    Two people must never be taken for one, so where a provider is silent each spelling counts. `is_one` says that all
    domains lead to the mailbox at the first. `means_nothing` are signs that it leaves out of names, and `same` those
    that it takes for another.
    """

    domains: tuple[str, ...]
    source: str
    is_one: bool = False
    means_nothing: str = ""
    same: tuple[str, str] | None = None
    tag: str = ""  # what begins a tag, besides the plus
    has_subdomains: bool = False  # anything@anna.example.org leads to anna@example.org


PROVIDERS = (
    Provider(
        ("gmail.com", "googlemail.com"),
        "https://support.google.com/mail/answer/7436150, https://support.google.com/mail/answer/10313",
        is_one=True,
        means_nothing=".",
    ),
    Provider(
        tuple(
            """
            yandex.ru ya.ru yandex.com yandex.by yandex.kz yandex.ua narod.ru yandex.az yandex.co.il yandex.com.am
            yandex.com.ge yandex.com.tr yandex.ee yandex.fr yandex.kg yandex.lt yandex.lv yandex.md yandex.pl yandex.tj
            yandex.tm yandex.uz
            """.split()
        ),
        # Every mailbox has an address at each domain. Which they are: the reports for two libraries, and the domains
        # that a password manager takes for one. A dot in a login is a hyphen: the last.
        "https://yandex.com/support/domain/additional/mailbox-alias.xml,"
        " https://github.com/validatorjs/validator.js/pull/807,"
        " https://github.com/dimuska139/go-email-normalizer/pull/2,"
        " GlobalEquivalentDomainsType.Yandex in https://github.com/bitwarden/server,"
        " https://github.com/biplane/yandex-direct/pull/52",
        is_one=True,
        same=("-", "."),
    ),
    Provider(
        ("proton.me", "protonmail.com", "pm.me", "protonmail.ch"),
        "https://proton.me/support/addresses-and-aliases; signs: removeEmailAlias in"
        " https://github.com/ProtonMail/WebClients, https://www.sindastra.de/p/1775/protonmail-dots-hyphens-and-underscores",
        is_one=True,
        means_nothing=".-_",
    ),
    Provider(
        ("icloud.com", "me.com", "mac.com"),
        "https://support.apple.com/en-us/118230",
        is_one=True,
    ),
    Provider(
        # Not yahoo.co.jp, which is another company with other names.
        tuple(
            """
            yahoo.com ymail.com rocketmail.com yahoo.ca yahoo.co.uk yahoo.de yahoo.es yahoo.fr yahoo.ie yahoo.in
            yahoo.it yahoo.co.id yahoo.co.in yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.com.tr
            """.split()
        ),
        # A name has no hyphen; one stands in disposable addresses, between a base that belongs to one person and a
        # word. The base alone is no address, and may be somebody else's name.
        "https://help.yahoo.com/kb/SLN28815.html, https://patents.justia.com/patent/20060041621",
        tag="-",
    ),
    Provider(
        ("fastmail.com", "fastmail.fm"),
        "https://www.fastmail.help/hc/en-us/articles/360060591053",
        has_subdomains=True,
    ),
)
_PROVIDERS = {domain: provider for provider in PROVIDERS for domain in provider.domains}


def normalise(address: str) -> str:
    """The mailbox that an address, however written, leads to. Raises ValueError if it is no address.

    A tag after a plus is cut everywhere; PROVIDERS says what else makes no other mailbox. The domain is written as the
    mail server will look it up (IDNA). Mail itself goes to the address as typed.
    """
    local, at, domain = unicodedata.normalize("NFC", address).strip().lower().rpartition("@")
    local, domain = _at_provider(local.partition("+")[0], punycode(domain))
    if not (local and at and domain):
        raise ValueError("This is not an address.")
    return f"{local}@{domain}"


def _at_provider(local: str, domain: str) -> tuple[str, str]:
    name, _dot, parent = domain.partition(".")
    if local and parent in _PROVIDERS and _PROVIDERS[parent].has_subdomains:
        local, domain = name, parent
    provider = _PROVIDERS.get(domain)
    if provider is None:
        return local, domain
    for sign in provider.means_nothing:
        local = local.replace(sign, "")
    if provider.same:
        local = local.replace(*provider.same)
    if provider.tag:
        base, tag, _word = local.partition(provider.tag)
        # The sign stays, or a base would be taken for the name that is spelled alike.
        local = base and base + tag
    return local, provider.domains[0] if provider.is_one else domain


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
