"""What a mail says: plain text with a plain HTML twin, in the signer's language.

Mailboxes are shared, searched and forwarded: sender, subject and text name nobody and no cause.
"""

import re
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.utils import formatdate, parseaddr
from functools import lru_cache
from html import escape

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import sanitize_address
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.crypto import salted_hmac
from django.utils.encoding import punycode

from petition import links
from petition.mail.keys import Opened
from petition.models import OutgoingMail

# What the sign form lets through, once its domain is written as mail servers look it up. Nothing in it can end a line,
# begin another header or name a second recipient.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
MAILBOX = re.compile(rf"{_ATOM}(\.{_ATOM})*@[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII | re.IGNORECASE)

# Quoted-printable suits every server and every text: its lines are short and it is all ASCII.
QUOTED_PRINTABLE = Charset("utf-8")
QUOTED_PRINTABLE.body_encoding = QP


@dataclass(frozen=True)
class Message:
    """The one text of each kind of mail, for one recipient. `context` holds what differs: links, and a code."""

    kind: str
    language: str
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A text with a mark in each place where one differs from the next."""

    subject: str
    text: str
    html: str


def compose(mail: OutgoingMail, opened: Opened) -> Message:
    """What this mail says: the same for every address, whatever is known of it."""
    site = settings.ONION_URL if opened.is_onion and settings.ONION_URL else settings.SITE_URL
    withdraw = site + _path(mail.language, "petition:withdraw-link", opened.token)
    if mail.kind == OutgoingMail.Kind.WITHDRAW:
        return Message(mail.kind, mail.language, {"link": withdraw})
    if mail.kind == OutgoingMail.Kind.SUBSCRIBE:
        subscribe = site + _path(mail.language, "petition:subscribe-link", opened.token)
        return Message(mail.kind, mail.language, {"link": subscribe})
    link = site + _path(mail.language, "petition:confirm", opened.token)
    return Message(
        mail.kind, mail.language, {"link": link, "code": links.spaced(opened.code), "withdraw_url": withdraw}
    )


def subject(kind: str) -> str:
    """The subject of every mail of a kind, in the active language: pages tell people what to look for."""
    return render_to_string(f"petition/mail/{kind}_subject.txt").strip()


def write(mail: OutgoingMail, message: Message, recipient: str) -> EmailMultiAlternatives:
    """The mail as Django's backends take it. Raises ValueError if the recipient is no address."""
    names = tuple(message.context)
    form = _form(message.kind, message.language, names, settings.SITE_HOST, settings.CONFIRMATION_DAYS)
    email = EmailMultiAlternatives(
        subject=form.subject,
        body=_filled(form.text, message.context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mailbox(recipient)],
        headers={"Auto-Submitted": "auto-generated", "Message-ID": _message_id(mail), "Date": formatdate()},
    )
    email.encoding = QUOTED_PRINTABLE
    email.attach_alternative(_filled(form.html, _escaped(message.context)), "text/html")
    return email


def content(email: EmailMultiAlternatives) -> bytes:
    """The mail as it goes over the wire (RFC 5322)."""
    return email.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # Django's own class takes it


def mailbox(address: str) -> str:
    """The address with its domain as mail servers look it up (IDNA). Raises ValueError if it is no address."""
    local, _at, domain = address.rpartition("@")
    written = f"{local}@{domain if domain.isascii() else punycode(domain)}"
    if not MAILBOX.fullmatch(written):
        raise ValueError("This is not an address.")
    return written


def envelope_sender() -> str:
    """The bare address of DEFAULT_FROM_EMAIL."""
    return _bare(settings.DEFAULT_FROM_EMAIL)


@lru_cache(maxsize=2)
def _bare(sender: str) -> str:
    return mailbox(parseaddr(sanitize_address(sender, "utf-8"))[1])


@lru_cache(maxsize=64)
def _form(kind: str, language: str, names: tuple[str, ...], site: str, days: int) -> Form:
    # Rendering takes a hundred times as long as filling in.
    marks = {name: _mark(name) for name in names}
    context = {"withdraw_url": marks.get("link")} | marks | {"site": site, "days": days, "language": language}
    with translation.override(language):
        text = render_to_string(f"petition/mail/{kind}.txt", context)
        return Form(subject(kind), text, render_to_string(f"petition/mail/{kind}.html", context))


def _mark(name: str) -> str:
    return f"[[{name}]]"


def _filled(form: str, context: dict[str, str]) -> str:
    for name, value in context.items():
        form = form.replace(_mark(name), value)
    return form


def _escaped(context: dict[str, str]) -> dict[str, str]:
    return {name: escape(value) for name, value in context.items()}


def _message_id(mail: OutgoingMail) -> str:
    """The same each time this mail is sent, so that a mailbox knows a repeat. Django's own would name this machine."""
    name = salted_hmac("petition.mail.message_id", str(mail.pk), algorithm="sha256").hexdigest()[:32]
    return f"<{name}@{envelope_sender().rpartition('@')[2]}>"


def _path(language: str, view: str, token: str) -> str:
    return _path_with_mark(language, view).replace("TOKEN", token)


@lru_cache(maxsize=16)
def _path_with_mark(language: str, view: str) -> str:
    with translation.override(language):
        return reverse(view, args=["TOKEN"])
