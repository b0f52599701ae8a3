"""Subscribers as they come by: asked for, mailed, pressed, and read again by who has the key."""

import re
from datetime import timedelta

from django.core import mail
from django.db.models import F
from django.test import Client
from nacl.public import PrivateKey

from petition import mailing_list, offline_key
from petition.mail import queue
from petition.models import Subscription

FORM = "/en/petitions/chechnya/subscribe/"


def ask(client: Client, address: str, form: str = FORM) -> str:
    """Fill in the form and let the worker send the mail; the path of the link in it."""
    assert client.post(form, {"email": address, "consent": "on"}).status_code == 303
    mail.outbox.clear()
    queue.deliver_due()
    link = re.search(r"https?://[^/\s]+(/\w\w/subscribe/\S+)", str(mail.outbox.pop().body))
    assert link
    return link[1]


def join(client: Client, address: str, form: str = FORM) -> None:
    client.post(ask(client, address, form))


def end_week(days: int = 7) -> None:
    """As if all on the list had come so many days earlier."""
    Subscription.objects.update(week=F("week") - timedelta(days=days))


def opened(pair: PrivateKey) -> offline_key.MailingList:
    """What the organisers find in the export."""
    return offline_key.open_list(pair, mailing_list.export(offline_key.fingerprint(pair.public_key)))


def way_out(pair: PrivateKey, address: str) -> str:
    """The path with which this address leaves the list, as it stands in the opened list."""
    leave = next(row[4] for row in opened(pair).rows() if row[0] == address)
    return "/" + leave.split("/", 3)[3]
