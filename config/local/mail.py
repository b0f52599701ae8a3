"""Mail of a trial run: one file per message, and a page that shows them. Only `LOCAL` has either."""

import email
import email.policy
import uuid
from collections.abc import Sequence
from email.message import EmailMessage as ReadMessage
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


class EmailBackend(BaseEmailBackend):
    """Write each message to `EMAIL_FILE_PATH` as it would go over the wire (RFC 5322)."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for message in email_messages:
            name = str(uuid.uuid4())
            unfinished = folder / f".{name}"
            unfinished.write_bytes(message.message().as_bytes())
            unfinished.replace(folder / f"{name}.eml")
        return len(email_messages)


def _read(path: Path) -> ReadMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, ReadMessage)  # noqa: S101  (the policy makes it so)
    return message


def _part(message: ReadMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return part.get_content() if part else ""


@never_cache
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    paths = sorted(Path(settings.EMAIL_FILE_PATH).glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)
    mails = [
        {"name": path.stem, "message": (message := _read(path)), "text": _part(message, "plain")} for path in paths[:50]
    ]
    return render(request, "dev/mail.html", {"mails": mails, "folder": settings.EMAIL_FILE_PATH})


@never_cache
@require_safe
def html_part(request: HttpRequest, name: uuid.UUID) -> HttpResponse:
    path = Path(settings.EMAIL_FILE_PATH) / f"{name}.eml"
    if not path.exists():
        raise Http404
    return HttpResponse(_part(_read(path), "html"))
