"""Links in mails: a random token, signed with the hour in which it was made, and a code to type in its place.

Nothing in a token tells whose it is. Of both the database has digests alone, so whoever steals it can use neither.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.utils import timezone
from django.utils.crypto import salted_hmac

from petition import clock

CODE_DIGITS = 10
TOKEN = re.compile(r"(?<![\w-])[\w-]{22}\.[0-9a-f]+\.[\w-]{43}(?![\w-])", re.ASCII)
SECONDS_PER_HOUR = 3_600


class NewLink(NamedTuple):
    token: str
    code: str


def make(at: datetime | None = None) -> NewLink:
    """A new token and code, as of this hour. They are kept nowhere but in the sealed mail."""
    hour = int((at or timezone.now()).timestamp()) // SECONDS_PER_HOUR
    token = _signer().sign(f"{secrets.token_urlsafe(16)}.{hour:x}")
    return NewLink(token, f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}")


def within(text: str) -> str:
    """The token in what a mail program made of a link, which may have stuck a bracket or a full stop to it."""
    found = TOKEN.search(text)
    return found[0] if found else text


def made_at(token: str) -> datetime | None:
    """The hour in which this token was made; None if it was not made here."""
    try:
        _random, _dot, hour = _signer().unsign(token).rpartition(".")
    except BadSignature:
        return None
    return datetime.fromtimestamp(int(hour, 16) * SECONDS_PER_HOUR, UTC)


def has_expired(hour: datetime) -> bool:
    """Whether a link of this hour has had its time, by our clock and by the database's. Costs a statement if so."""
    # The hour is rounded down, so the last started hour belongs to the signer.
    end = hour + timedelta(days=settings.CONFIRMATION_DAYS, hours=1)
    # A machine whose clock runs ahead must not turn signers away.
    return timezone.now() >= end and clock.now() >= end


class ExpiredError(Exception):
    """The week of this link is over."""


def read(text: str) -> str | None:
    """The token in what was opened; None if it was not made here. Raises ExpiredError. Costs a statement if so."""
    token = within(text)
    hour = made_at(token)
    if hour is None:
        return None
    if has_expired(hour):
        raise ExpiredError
    return token


def code_digest(code: str) -> str:
    """The stored form of a code. All of ten digits are soon tried, so it takes SECRET_KEY to make one."""
    return salted_hmac("petition.links.code", code, algorithm="sha256").hexdigest()


def code_digests(code: str) -> list[str]:
    """The digests under which a typed code may be stored: a replaced SECRET_KEY still counts while links work."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("petition.links.code", code, secret=key, algorithm="sha256").hexdigest() for key in keys]


def spaced(code: str) -> str:
    """The code as it stands in a mail: 4-3-3 digits."""
    return f"{code[:4]}-{code[4:7]}-{code[7:]}"


def _signer() -> Signer:
    return Signer(salt="petition.links", sep=".")
