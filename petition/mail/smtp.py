"""The post: what carries mails to the server, over one connection or, while much is due, over several at once.

It never touches the database. Whoever hands out the mails learns what became of each, and acts on it.
"""

import logging
import re
import smtplib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from petition.mail import messages
from petition.mail.messages import Message
from petition.mail.refusals import Codes, Refusals, RefusedError, ServerAwayError
from petition.models import OutgoingMail

logger = logging.getLogger(__name__)

OK, FORWARDED, GO_ON, CLOSING = 250, 251, 354, 421
# A line with nothing else is the end of a text.
LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
# How long a server may look at a text before it answers. Others wait meanwhile, so not the minutes of RFC 5321.
ANSWER_SECONDS = 15
# How long it may take to let us in: no longer, or after a greeting that hung we would be late when it is back.
GREETING_SECONDS = 8
# So often whoever hands out the mails is told something, if only that nothing is known yet.
TELL_SECONDS = 1
# So many connections at most, times those that are allowed, while the server leaves mails unanswered. One is one.
SPARE_FACTOR = 2


class Parcel(NamedTuple):
    """A mail, its text, and the address that it goes to. Its text is only sent while `is_ours`."""

    mail: OutgoingMail
    message: Message
    recipient: str
    is_ours: Callable[[], bool]


class ClaimLostError(Exception):
    """The claim ended before the text was sent: the mail may be another worker's by now."""


class UnansweredError(OSError):
    """The server was sent the whole text and said nothing: it may have taken the mail or not."""


class Fate(Enum):
    """What became of a mail."""

    SENT = auto()  # the server has said 250
    REFUSED = auto()  # it has said something else
    BROKEN = auto()  # it hung up
    SILENT = auto()  # it has said nothing until its time was up
    UNSENDABLE = auto()  # nobody can: what was in the box is no address
    NOT_BEGUN = auto()  # the server is away, or the claim has ended


@dataclass(frozen=True)
class Outcome:
    """`codes` are set if REFUSED, `away` if NOT_BEGUN because the server is away."""

    parcel: Parcel
    fate: Fate
    codes: Codes | None = None
    away: ServerAwayError | None = None


Parcels = SimpleQueue[Parcel | None]
Outcomes = SimpleQueue[Outcome | Exception]
T = TypeVar("T")


class Connection:
    """One connection to the mail server, opened when it is needed and anew after it broke."""

    def __init__(self, backend: BaseEmailBackend) -> None:
        self.backend = backend

    def open(self) -> bool:
        """Whether it is a new one. Raises ServerAwayError."""
        try:
            if hasattr(self.backend, "timeout"):
                self.backend.timeout = min(GREETING_SECONDS, settings.EMAIL_TIMEOUT)
            is_new = self.backend.open() is not False
            if smtp := self._smtp():
                smtp.ehlo_or_helo_if_needed()
                if smtp.sock:
                    smtp.sock.settimeout(settings.EMAIL_TIMEOUT)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise _away(error) from error
        return is_new

    def _smtp(self) -> smtplib.SMTP | None:
        smtp = getattr(self.backend, "connection", None)
        return smtp if isinstance(smtp, smtplib.SMTP) else None

    def send(self, parcel: Parcel) -> Outcome:
        try:
            return Outcome(parcel, *self._send(parcel))
        except ServerAwayError as error:
            return Outcome(parcel, Fate.NOT_BEGUN, away=error)

    def _send(self, parcel: Parcel) -> tuple[Fate, Codes | None]:
        is_fresh = self.open()
        try:
            self._pass_on(parcel)
        except smtplib.SMTPRecipientsRefused as error:
            ((status, text),) = error.recipients.values()
            return Fate.REFUSED, Codes.read(status, text)
        except smtplib.SMTPDataError as error:
            self.close()
            return Fate.REFUSED, Codes.read(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            if not is_fresh and not isinstance(error, UnansweredError):
                # A server may end a connection after any number of mails: this one gets a connection of its own.
                return self._send(parcel)
            if isinstance(error, smtplib.SMTPSenderRefused):
                # Our sender is the same for every mail, so this is between us and the server.
                raise _away(error) from error
            # A dropped or silent connection may be this mail's doing, so it steps back and the next one starts afresh.
            return (Fate.SILENT if _timed_out(error) else Fate.BROKEN), None
        except ClaimLostError:
            self.close()
            return Fate.NOT_BEGUN, None
        except ValueError:
            logger.exception("%s cannot be written to its recipient; parked", parcel.mail)
            return Fate.UNSENDABLE, None
        return Fate.SENT, None

    def _pass_on(self, parcel: Parcel) -> None:
        email = messages.write(parcel.mail, parcel.message, parcel.recipient)
        if smtp := self._smtp():
            converse(smtp, messages.envelope_sender(), email.to[0], messages.content(email), parcel.is_ours)
        else:
            self.backend.send_messages([email])

    def close(self) -> None:
        try:
            self.backend.close()
        except (OSError, smtplib.SMTPException):
            # It is of no use any more; dropping it is all that was wanted.
            self.backend.connection = None  # type: ignore[attr-defined]


def _timed_out(error: BaseException | None) -> bool:
    """Whether a time-out is at the bottom of it: smtplib says of one only that the connection was closed."""
    while error and not isinstance(error, TimeoutError):
        error = error.__cause__ or error.__context__
    return error is not None


def _away(error: Exception) -> ServerAwayError:
    if not isinstance(error, smtplib.SMTPResponseException):
        return ServerAwayError(type(error).__name__)
    codes = Codes.read(error.smtp_code, error.smtp_error)
    message = f"it refused us with {codes}"
    return RefusedError(message, codes) if codes.are_permanent else ServerAwayError(message)


def converse(
    smtp: smtplib.SMTP, sender: str, recipient: str, content: bytes, is_ours: Callable[[], bool] = lambda: True
) -> None:
    """Pass one mail on as `smtp.sendmail` does, with its errors, but tell "not sent" from "sent, and no answer".

    The addresses are bare and ASCII. Raises UnansweredError where `sendmail` would not say how far it has come, and
    ClaimLostError if the mail is not `is_ours` when its text could be sent.
    """
    try:
        status, text = smtp.mail(sender)
    except smtplib.SMTPServerDisconnected:
        # To hang up on our sender is to refuse it.
        status, text = CLOSING, b""
    if status != OK:
        raise smtplib.SMTPSenderRefused(status, text, sender)
    status, text = smtp.rcpt(recipient)
    if status not in (OK, FORWARDED):
        if status == CLOSING:
            smtp.close()
        else:
            # If the server hangs up here, the next mail will notice.
            with suppress(smtplib.SMTPServerDisconnected):
                smtp.rset()
        raise smtplib.SMTPRecipientsRefused({recipient: (status, text)})
    if smtp.sock:
        smtp.sock.settimeout(max(ANSWER_SECONDS, settings.EMAIL_TIMEOUT))
    try:
        status, text = pass_text(smtp, content, is_ours)
    except smtplib.SMTPDataError:
        raise
    except (OSError, smtplib.SMTPException) as error:
        raise UnansweredError from error
    if smtp.sock:
        smtp.sock.settimeout(settings.EMAIL_TIMEOUT)
    if status != OK:
        raise smtplib.SMTPDataError(status, text)


def pass_text(smtp: smtplib.SMTP, content: bytes, is_ours: Callable[[], bool]) -> tuple[int, bytes]:
    """Do what `smtp.data` does, if the mail is still ours when the server is ready for its text."""
    status, text = smtp.docmd("DATA")
    if status != GO_ON:
        raise smtplib.SMTPDataError(status, text)
    # As late as can be: a process that was stopped in the middle goes on as if nothing had happened.
    if not is_ours():
        # Not QUIT, which would be text by now.
        smtp.close()
        raise ClaimLostError
    smtp.send(LEADING_DOT.sub(b"..", content.removesuffix(b"\r\n")) + b"\r\n.\r\n")
    return smtp.getreply()


class Carrier(threading.Thread):
    """Sends what it is handed over a connection of its own, until that is None or the server is away."""

    def __init__(self, connection: Connection, parcels: Parcels, outcomes: Outcomes) -> None:
        # Nobody waits for it when the process ends: a mail that it has begun is claimed, and falls due again.
        super().__init__(daemon=True)
        self.connection, self.parcels, self.outcomes = connection, parcels, outcomes

    def run(self) -> None:
        while parcel := self.parcels.get():
            try:
                outcome = self.connection.send(parcel)
            except Exception as error:  # noqa: BLE001  (raised where the outcome would be acted on)
                self.outcomes.put(error)
                return
            self.outcomes.put(outcome)
            if outcome.away:
                return
        self.connection.close()


class Post:
    """The connections of one worker. `connect` makes a backend for each of them, `most` times at most."""

    def __init__(self, connect: Callable[[], BaseEmailBackend] = get_connection, most: int | None = None) -> None:
        self.connect, self.most = connect, int(settings.MAIL_CONNECTIONS) if most is None else most
        self._begin()
        # Since the server was away, a few mails at a time find out whether it is back.
        self.is_probing = False
        self.refusals = Refusals()

    def _begin(self) -> None:
        self.first = Connection(self.connect())
        # How many connections were asked for, and how many of them there are.
        self.asked = self.carriers = 0
        self.parcels: Parcels = SimpleQueue()
        self.outcomes: Outcomes = SimpleQueue()

    def open(self) -> None:
        """Raises ServerAwayError."""
        if not self.carriers:
            self.first.open()

    def close(self) -> None:
        """Close every connection. Where a carrier is in the middle of a mail, nobody learns what becomes of that."""
        if not self.carriers:
            self.first.close()
            return
        _all_of(self.parcels)
        for _ in range(self.carriers):
            self.parcels.put(None)
        self._begin()

    def carry(self, take: Callable[[], Parcel | None], *, several: bool) -> Iterator[list[Outcome]]:
        """Send what `take` returns, until that is None, and tell what became of it: nothing yet, every few seconds.

        Each time that nothing is known yet there may be one connection more, up to twice `most`, unless that is one.

        A connection gets its next mail when the outcome of its last one was acted on: whoever is killed has sent at
        most one mail over each without the database knowing. Raises ServerAwayError once no connection is left, after
        telling what was not begun.
        """
        self._start(self.most if several else 1)
        out = 0
        while True:
            while out < self.carriers and (parcel := take()):
                self.parcels.put(parcel)
                out += 1
            if not out:
                return
            done = self._done()
            if not done:
                self._start(min(self.asked + 1, SPARE_FACTOR * self.most if self.most > 1 else 1))
            lost = [outcome.away for outcome in done if outcome.away]
            self.carriers -= len(lost)
            if not self.carriers:
                self.asked = 0
                done += [Outcome(parcel, Fate.NOT_BEGUN, away=lost[-1]) for parcel in _all_of(self.parcels) if parcel]
            yield done
            if not self.carriers:
                raise lost[-1]
            out -= len(done)

    def _start(self, wanted: int) -> None:
        """Put a carrier at each of so many connections. Each opens its own: the server may allow fewer."""
        while self.asked < wanted:
            connection = Connection(self.connect()) if self.asked else self.first
            Carrier(connection, self.parcels, self.outcomes).start()
            self.asked += 1
            self.carriers += 1

    def _done(self) -> list[Outcome]:
        """What has become known: all there is, and nothing if that takes TELL_SECONDS."""
        with suppress(Empty):
            heard = [self.outcomes.get(timeout=TELL_SECONDS), *_all_of(self.outcomes)]
            for error in heard:
                if isinstance(error, Exception):
                    raise error
            return [outcome for outcome in heard if isinstance(outcome, Outcome)]
        return []


def _all_of(queue: "SimpleQueue[T]") -> list[T]:
    """What is in it now."""
    found = []
    with suppress(Empty):
        while True:
            found.append(queue.get_nowait())
    return found
