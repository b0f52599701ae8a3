"""What a mail says: plain text with a plain HTML twin, in the signer's language.

Mailboxes are shared, searched and forwarded: sender, subject and text name nobody and no cause.
"""

from dataclasses import dataclass, field
from email.utils import formatdate

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.crypto import salted_hmac

from petition import confirmation, withdrawal
from petition.models import OutgoingMail, Signature


@dataclass(frozen=True)
class Letter:
    """`template` names `templates/petition/mail/<template>.txt`, `.html` and `_subject.txt`."""

    template: str
    language: str
    context: dict[str, str] = field(default_factory=dict)


def confirm(mail: OutgoingMail, signature: Signature) -> Letter:
    link = _url(mail.language, "petition:confirm", confirmation.make_token(signature))
    return Letter("confirm", mail.language, {"link": link, "code": confirmation.make_code(signature)})


def already_signed(mail: OutgoingMail) -> Letter:
    return Letter("already_signed", mail.language)


def under_review(mail: OutgoingMail) -> Letter:
    return Letter("under_review", mail.language)


def withdraw(mail: OutgoingMail) -> Letter:
    return Letter("withdraw", mail.language, {"link": _withdraw_link(mail)})


def nothing_to_withdraw(mail: OutgoingMail) -> Letter:
    return Letter("nothing_to_withdraw", mail.language)


def subject(kind: str) -> str:
    """The subject of every mail of a kind, in the active language: pages tell people what to look for."""
    return render_to_string(f"petition/mail/{kind}_subject.txt").strip()


def message(mail: OutgoingMail, letter: Letter, recipient: str) -> EmailMultiAlternatives:
    sender = settings.DEFAULT_FROM_EMAIL
    with translation.override(letter.language):
        context = letter.context | {
            "site": settings.SITE_HOST,
            # The page that asks for an address would name the petition, and with it the cause.
            "withdraw_url": _withdraw_link(mail),
            "days": settings.CONFIRMATION_DAYS,
            "language": letter.language,
        }
        composed = EmailMultiAlternatives(
            subject=subject(mail.kind),
            body=render_to_string(f"petition/mail/{letter.template}.txt", context),
            from_email=sender,
            to=[recipient],
            headers={
                "Auto-Submitted": "auto-generated",
                "Message-ID": f"<{_message_id(mail)}@{sender.rpartition('@')[2].rstrip('>')}>",
                "Date": formatdate(),
            },
        )
        composed.attach_alternative(render_to_string(f"petition/mail/{letter.template}.html", context), "text/html")
    return composed


def _message_id(mail: OutgoingMail) -> str:
    """The same each time this mail is sent, so that a mailbox knows a repeat. Django's own would name this machine."""
    return salted_hmac("petition.letters.message_id", bytes(mail.recipient), algorithm="sha256").hexdigest()[:32]


def _withdraw_link(mail: OutgoingMail) -> str:
    token = withdrawal.make_token(mail.petition_id, bytes(mail.email_digest))
    return _url(mail.language, "petition:withdraw-link", token)


def _url(language: str, view: str, argument: str) -> str:
    with translation.override(language):
        return settings.SITE_URL + reverse(view, args=[argument])
