"""What a mail says: plain text with a plain HTML twin, in the signer's language.

Mailboxes are shared, searched and forwarded: sender, subject and text name nobody and no cause.
"""

import secrets
from dataclasses import dataclass, field
from email.utils import formatdate

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from petition import confirmation, withdrawal
from petition.models import OutgoingMail, Petition, Signature


@dataclass(frozen=True)
class Letter:
    """`template` names `templates/petition/mail/<template>.txt`, `.html` and `_subject.txt`."""

    template: str
    language: str
    petition_slug: str
    context: dict[str, str] = field(default_factory=dict)


def confirm(mail: OutgoingMail, petition: Petition, signature: Signature) -> Letter:
    link = _url(mail.language, "petition:confirm", confirmation.make_token(signature))
    return Letter("confirm", mail.language, petition.slug, {"link": link, "code": confirmation.make_code(signature)})


def already_signed(mail: OutgoingMail, petition: Petition) -> Letter:
    return Letter("already_signed", mail.language, petition.slug)


def under_review(mail: OutgoingMail, petition: Petition) -> Letter:
    return Letter("under_review", mail.language, petition.slug)


def withdraw(mail: OutgoingMail, petition: Petition) -> Letter:
    token = withdrawal.make_token(petition.pk, bytes(mail.email_digest))
    return Letter(
        "withdraw", mail.language, petition.slug, {"link": _url(mail.language, "petition:withdraw-link", token)}
    )


def nothing_to_withdraw(mail: OutgoingMail, petition: Petition) -> Letter:
    return Letter("nothing_to_withdraw", mail.language, petition.slug)


def subject(kind: str) -> str:
    """The subject of every mail of a kind, in the active language: pages tell people what to look for."""
    return render_to_string(f"petition/mail/{kind}_subject.txt").strip()


def message(mail: OutgoingMail, letter: Letter, recipient: str) -> EmailMultiAlternatives:
    sender = settings.DEFAULT_FROM_EMAIL
    with translation.override(letter.language):
        context = letter.context | {
            "site": settings.SITE_HOST,
            "withdraw_url": _url(letter.language, "petition:withdraw", letter.petition_slug),
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
                # Django's own would carry the name of this machine.
                "Message-ID": f"<{secrets.token_hex(16)}@{sender.rpartition('@')[2].rstrip('>')}>",
                "Date": formatdate(),
            },
        )
        composed.attach_alternative(render_to_string(f"petition/mail/{letter.template}.html", context), "text/html")
    return composed


def _url(language: str, view: str, argument: str) -> str:
    with translation.override(language):
        return settings.SITE_URL + reverse(view, args=[argument])
