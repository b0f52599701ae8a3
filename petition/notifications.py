"""Notices to staff that work waits: one sentence without content, by mail and to a webhook, at most once an hour.

They go where the environment says. An address in the admin could be changed by whoever takes over one account.
"""

import json
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from smtplib import SMTPException
from socket import SHUT_RDWR
from threading import Thread, Timer
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import InterfaceError, OperationalError, connection
from django.utils.translation import gettext, ngettext

from petition import live_settings, waiting
from petition.models import Notice
from petition.moderation import anomalies, settling
from petition.moderation.anomalies import SPANS
from petition.postgres.timeouts import TimeLimitError
from petition.waiting import Waiting

logger = logging.getLogger(__name__)

WEBHOOK_SECONDS = 10
MINUTES_PER_HOUR = 60

# Both by one conditional UPDATE, so that of several workers one looks, and one tells.
LOOK = """
    INSERT INTO petition_notice AS notice (id, looked_at, goes_to) VALUES (1, now(), %s)
    ON CONFLICT (id) DO UPDATE SET looked_at = now(), goes_to = EXCLUDED.goes_to
    WHERE coalesce(notice.looked_at, '-infinity') <= now() - interval '1 minute'
    RETURNING coalesce(anomalies_at, '-infinity') <= now() - interval '10 minutes'
"""
TELL = """
    UPDATE petition_notice SET sent_at = now(), failed = ''
    WHERE coalesce(sent_at, '-infinity') <= now() - interval '1 hour'
"""
ANOMALIES = "UPDATE petition_notice SET anomalies = %s, anomalies_at = now()"


class WebhookError(Exception):
    """The webhook did not take a notice; says why, without its address."""


class Lookout:
    """Looks and tells in a thread of its own: neither a dead webhook nor a slow question holds up the worker."""

    def __init__(self) -> None:
        self.thread: Thread | None = None

    def go_on(self) -> None:
        """Look, unless the last look still goes on. Waits for nothing."""
        if self.thread is None or not self.thread.is_alive():
            self.thread = Thread(target=self.look, name="notices", daemon=True)
            self.thread.start()

    def look(self) -> None:
        try:
            look()
        except (OperationalError, InterfaceError) as error:
            logger.warning("What waits for staff cannot be asked (%s)", type(error).__name__)
        except Exception:
            # A bare traceback of the thread would quote values; the log names types and places only.
            logger.exception("Looking what waits for staff has failed")
        finally:
            connection.close()


def look() -> bool:
    """Look what waits, at most once a minute among all workers; return whether a notice was sent.

    If it does not arrive, the next try is in an hour: the start page says so meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOOK, [", ".join(ways())])
        if not (row := cursor.fetchone()):
            return False
    if row[0]:
        find_anomalies()
    waits = [found for kind in waiting.KINDS if kind.is_told and (found := kind.find()).count]
    if not ways() or not any(map(is_over, waits)):
        return False
    with connection.cursor() as cursor:
        cursor.execute(TELL)
        if not cursor.rowcount:
            return False
    if failed := tell(waits):
        logger.warning("A notice to staff did not arrive (%s)", failed)
        Notice.objects.update(failed=failed[:200])
    return True


def find_anomalies() -> None:
    try:
        number = settling.unsettled(anomalies.find(SPANS["hour"]).anomalies)
    except TimeLimitError:
        # What was found last is shown for longer.
        number = Notice.objects.values_list("anomalies", flat=True).get()
    with connection.cursor() as cursor:
        cursor.execute(ANOMALIES, [number])


def is_over(waits: Waiting) -> bool:
    """Whether so many wait, or for so long, that staff want to be told."""
    hours = waits.age.total_seconds() / 3_600
    return waits.count >= live_settings.number("NOTIFY_COUNT") or hours >= live_settings.number("NOTIFY_HOURS")


def sentence(waits: list[Waiting]) -> str:
    """All that a notice says: it lies in mailboxes, and on the screens of locked phones."""
    oldest = max(each.age for each in waits)
    text = ngettext(
        "%(count)d kind of work waits, the oldest for %(age)s.",
        "%(count)d kinds of work wait, the oldest for %(age)s.",
        len(waits),
    )
    return text % {"count": len(waits), "age": waiting.age(oldest)}


def ways() -> dict[str, Callable[[str], None]]:
    """The ways by which notices go, as the environment says."""
    found: dict[str, Callable[[str], None]] = {}
    if settings.NOTIFY_EMAIL:
        found["mail"] = send_mail
    if settings.NOTIFY_URL:
        found["webhook"] = post
    return found


def tell(waits: list[Waiting]) -> str:
    """Send the sentence by each way, once; return what went wrong, empty if nothing did."""
    text, failed = sentence(waits), []
    for name, send in ways().items():
        try:
            send(text)
        except WebhookError as error:
            failed.append(f"{name}: {error}")
        except (OSError, SMTPException, HTTPException) as error:
            # By its type alone: servers quote addresses in their texts.
            failed.append(f"{name}: {type(error).__name__}")
    return ", ".join(failed)


def send_mail(text: str) -> None:
    EmailMessage(gettext("Work waits"), text, to=[settings.NOTIFY_EMAIL]).send()


def post(text: str) -> None:
    """Post the sentence as JSON, as Mattermost, Slack and Matrix bridges read it. No redirect is followed."""
    url = urlsplit(settings.NOTIFY_URL)
    server: HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context()
        server = HTTPSConnection(url.hostname or "", url.port, timeout=WEBHOOK_SECONDS, context=context)
    else:
        server = HTTPConnection(url.hostname or "", url.port, timeout=WEBHOOK_SECONDS)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        server.connect()
        # A server that sends a byte now and then would never be over time.
        limit = Timer(WEBHOOK_SECONDS, _hang_up, [server])
        limit.start()
        try:
            server.request("POST", path, json.dumps({"text": text}), {"Content-Type": "application/json"})
            status = server.getresponse().status
        finally:
            limit.cancel()
    finally:
        server.close()
    if not 200 <= status < 300:
        raise WebhookError(str(status))


def _hang_up(server: HTTPConnection) -> None:
    with suppress(OSError):
        server.sock.shutdown(SHUT_RDWR)
