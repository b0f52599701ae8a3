"""Refusals: whether an answer of the mail server concerns one recipient, or us.

Its texts are never read, only its codes. A mailbox that does not exist says so (5.1.1), and its mail is parked at once.
Any other refusal may concern one mail, one provider, or all that we send: only what becomes of other mails tells. So
such a mail waits until the server takes another one, and is parked then. When one after the other is refused and none
is taken, that is one fault, and no mail is to blame.

Mail to our own domain may well be taken whatever else is refused, so one domain in ten may take mail meanwhile.
"""

import re
import time
from typing import NamedTuple, Self

# At the beginning of a text (RFC 2034). What follows it quotes addresses, and is not read.
ENHANCED_STATUS = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# The address is wrong or has moved; its mailbox is full or closed (RFC 3463).
OF_A_RECIPIENT = re.compile(r"[45]\.(1\.([12346]|10)|2\.\d+)")
PERMANENT = range(500, 600)
# So many refusals in a row, by several domains, are a fault; or so many whatever the domain, since most people may use
# one provider that has something against us. Where mails are few, two are enough if nothing is taken for a while, or
# five that are put off, since greylisting does that to some.
SEVERAL, MANY = 10, 30
FEW, FEW_PUT_OFF, FEW_SECONDS = 2, 5, 15
# One domain in so many may take mail meanwhile.
TAKING_SHARE = 10
# But no more than these, which may be our own: whoever signs with made-up domains decides how many refuse.
OWN_DOMAINS = 2


class Codes(NamedTuple):
    """What an answer of the server says in numbers. `enhanced` is empty if it has none of the class of its status."""

    status: int
    enhanced: str = ""

    @classmethod
    def read(cls, status: int, text: bytes | str) -> Self:
        found = ENHANCED_STATUS.match(text if isinstance(text, bytes) else text.encode())
        enhanced = found[1].decode() if found else ""
        return cls(status, enhanced if enhanced.startswith(str(status)[:1]) else "")

    def __str__(self) -> str:
        return f"{self.status} {self.enhanced}".strip()

    @property
    def are_permanent(self) -> bool:
        return self.status in PERMANENT

    @property
    def concern_the_recipient(self) -> bool:
        return bool(OF_A_RECIPIENT.fullmatch(self.enhanced))


class ServerAwayError(Exception):
    """The mail server cannot be reached or will not let us in: no mail is to blame."""


class RefusedError(ServerAwayError):
    """The mail server refuses us for good, with these codes: until somebody acts."""

    def __init__(self, message: str, codes: Codes) -> None:
        super().__init__(message)
        self.codes = codes


class Refusals:
    """What one worker remembers of mails in a row of which none was taken. Domains are hashes, and in memory alone."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.mails, self.refusing, self.taking = set[int](), set[int](), set[int]()
        self.since = time.monotonic()
        self.fault: ServerAwayError | None = None

    def refused(self, mail: int, recipient: str, codes: Codes | None) -> None:
        """Remember this one; `fault` is set from the moment that all are refused."""
        if not self.mails:
            self._begin()
        self.taking.discard(_domain(recipient))
        self.refusing.add(_domain(recipient))
        self.mails.add(mail)
        number, seconds = len(self.mails), time.monotonic() - self.since
        is_many = number >= (SEVERAL if len(self.refusing) > 1 else MANY)
        few = FEW if codes and codes.are_permanent else FEW_PUT_OFF
        if self.fault or is_many or (number >= few and seconds >= FEW_SECONDS):
            self.fault = _fault(codes)

    def taken(self, recipient: str) -> bool:
        """Whether this shows that what was refused before was refused for its own sake."""
        self.refusing.discard(_domain(recipient))
        self.taking.add(_domain(recipient))
        if len(self.taking) <= min(len(self.refusing) // TAKING_SHARE, OWN_DOMAINS):
            return False
        self._begin()
        return True


def _domain(recipient: str) -> int:
    return hash(recipient.rpartition("@")[2].lower())


def _fault(codes: Codes | None) -> ServerAwayError:
    if codes is None:
        return ServerAwayError("it breaks off with every mail")
    if codes.are_permanent:
        return RefusedError(f"it refuses all mail with {codes}", codes)
    return ServerAwayError(f"it puts all mail off with {codes}")
