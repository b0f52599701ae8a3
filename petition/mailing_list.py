"""The mailing list: who asked for updates, as boxes that nobody here can open.

The web seals each address to the key of the organisers (MAILING_LIST_KEY), whose secret half is on no server. What the
list stores depends on no address: no digest, so nobody can test whether an address is on it, and an address may be on
it twice, which is found out when it is opened (`petition.offline_key`). It knows nothing of signatures.

In each box is a token by which its owner leaves, of which the list has a digest: whoever opens an export can write it
into mails, and could take everybody off the list.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from petition import consent, links, offline_key
from petition.mail import keys, messages
from petition.models import OutgoingMail, Petition, Subscription, SubscriptionRequest, Withdrawn
from petition.models.link import token_digest, token_digests
from petition.models.mail import shuffle_delay
from petition.models.mailing_list import this_monday

LEAVE_TOKEN = re.compile(r"[\w-]{22}", re.ASCII)
# Whoever is on the list several times leaves with one link. So many tokens fit into an address.
MOST_TOKENS = 20

# What is left of the request does not lead to the box any more.
PRESS = """
    WITH pressed AS (
        SELECT token_digest, box, key, leave_digest FROM petition_subscriptionrequest
        WHERE token_digest = ANY(%(digests)s) AND box IS NOT NULL FOR UPDATE
    ), emptied AS (
        UPDATE petition_subscriptionrequest request SET box = NULL, leave_digest = NULL
        FROM pressed WHERE request.token_digest = pressed.token_digest
    )
    INSERT INTO petition_subscription (box, key, leave_digest, week)
    SELECT box, key, leave_digest, %(week)s FROM pressed
"""


def is_offered(petition: Petition) -> bool:
    """Whether one can ask for updates: there is a key to seal with, and the petition has not ended for good."""
    return bool(settings.MAILING_LIST_KEY) and petition.ended_at is None


def fingerprint() -> str:
    """That of the key in use; empty without one."""
    key = settings.MAILING_LIST_KEY
    return offline_key.fingerprint(offline_key.public_half(key)) if key else ""


def request(petition: Petition, email: str, *, language: str, is_onion: bool = False) -> None:
    """Owe this address one mail, and keep its box until the mail's button is pressed, whatever is on the list.

    Raises NoKeyError while no worker has ever run, and OfflineKeyError without a key of the organisers.
    """
    made, leave = links.make(), secrets.token_urlsafe(16)
    address = messages.mailbox(email)
    public = offline_key.public_half(settings.MAILING_LIST_KEY)
    box = offline_key.Subscriber(address, leave, language, consent.UPDATES).seal(public)
    opened = keys.Opened(address, made.token, is_onion=is_onion)

    def store(half: keys.PublicHalf) -> None:
        with transaction.atomic():
            SubscriptionRequest.objects.create(
                token_digest=token_digest(made.token),
                box=box,
                key=offline_key.fingerprint(public),
                leave_digest=leave_digest(leave),
            )
            OutgoingMail.objects.create(
                petition=petition,
                kind=OutgoingMail.Kind.SUBSCRIBE,
                recipient=half.seal(opened),
                key_id=half.key,
                language=language,
                due_at=Now() + shuffle_delay(),
            )

    keys.with_newest(store)


def find(token: str) -> SubscriptionRequest | None:
    """What the holder of this link can do; None if it was not made here, or not for this. Raises links.ExpiredError."""
    read = links.read(token)
    return SubscriptionRequest.objects.filter(token_digest__in=token_digests(read)).first() if read else None


def subscribe(found: SubscriptionRequest) -> None:
    """Move its box into the list. Only the first press does; each costs the same statement."""
    with connection.cursor() as cursor:
        cursor.execute(PRESS, {"digests": [found.token_digest], "week": this_monday()})


def leave_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def leave_tokens(text: str) -> list[str]:
    """The tokens in what a link to leave ends with; none if it is broken."""
    tokens = text.split(".")
    is_whole = len(tokens) <= MOST_TOKENS and all(LEAVE_TOKEN.fullmatch(token) for token in tokens)
    return tokens if is_whole else []


def leave(tokens: list[str]) -> None:
    """Take the boxes with these tokens off the list, and off what a backup may bring back. They may be gone already."""
    digests = [leave_digest(token) for token in tokens]
    with transaction.atomic():
        left = list(Subscription.objects.select_for_update().filter(leave_digest__in=digests).order_by("pk"))
        Subscription.objects.filter(pk__in=[each.pk for each in left]).delete()
        for each in left:
            Withdrawn.remember_box(bytes(each.leave_digest))


def export(key: str) -> Iterator[str]:
    """The lines of the released list under the key with this fingerprint: what it is, then a box in each.

    In the order of their random numbers.
    """
    about = {"what": "a sealed mailing list", "key": key, "site": settings.SITE_URL, "week": f"{this_monday()}"}
    yield json.dumps(about) + "\n"
    boxes = Subscription.objects.released().filter(key=key).order_by("pk").values_list("box", flat=True)
    for box in boxes.iterator():
        yield offline_key.as_text(bytes(box)) + "\n"


def file_name(key: str) -> str:
    return f"mailing-list-{key[:8]}-{this_monday()}.sealed"


def rounded(number: int) -> int:
    """As staff read it: down to tens, since it changes whenever somebody leaves."""
    return number // 10 * 10
