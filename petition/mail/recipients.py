"""Whose mail it is: opened with the key of its hour, digested, limited. Here alone an address is read."""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from django.db import connection
from django.db.models.functions import Now
from nacl.exceptions import CryptoError

from petition import identity, live_settings, rate_limits
from petition.mail.claims import ours
from petition.mail.keys import Keyring, NoSecretError, Opened
from petition.mail.retries import park
from petition.models import AddressMark, OutgoingMail
from petition.models.link import token_digests
from petition.postgres import counters

logger = logging.getLogger(__name__)

# How long a mail is remembered as counted against the limit of its address: longer than it is tried.
COUNTED_SECONDS = 172_800
DIGEST_THREADS = 2
NICENESS = 10

# The digests of the addresses that the worker has just read.
RECOGNISE = """
    UPDATE petition_signature signature
    SET email_digest = known.email_digest, domain_digest = known.domain_digest,
        held_reason = coalesce(nullif(signature.held_reason, ''), known.held_reason)
    FROM unnest(%(ids)s::bigint[], %(emails)s::bytea[], %(domains)s::bytea[], %(reasons)s::text[])
        AS known (id, email_digest, domain_digest, held_reason)
    WHERE signature.id = known.id AND signature.email_digest IS NULL
"""
RECOGNISE_LINK = """
    UPDATE petition_link link SET email_digest = known.email_digest
    FROM unnest(%(tokens)s::text[], %(emails)s::bytea[]) AS known (token_digest, email_digest)
    WHERE link.token_digest = known.token_digest AND link.kind = 'withdraw'
"""


class Recognised(NamedTuple):
    """A mail that this worker has opened, and the digest of its address."""

    mail: OutgoingMail
    opened: Opened
    email_digest: bytes


def recognise(mails: list[OutgoingMail], ring: Keyring) -> list[Recognised]:
    """Open these mails and write the digests of their addresses to what was signed. Two statements.

    Digests are slow on purpose and let other threads run meanwhile, so two are made at a time.
    """
    opened = [(mail, text) for mail in mails if (text := _open(mail, ring))]
    with ThreadPoolExecutor(DIGEST_THREADS, initializer=give_way) as pool:
        digests = list(pool.map(lambda pair: identity.email_digest(pair[1].address), opened))
    recognised = [Recognised(*pair, digest) for pair, digest in zip(opened, digests, strict=True)]
    signed = [known for known in recognised if known.mail.kind == OutgoingMail.Kind.SIGN]
    asked = [known for known in recognised if known.mail.kind == OutgoingMail.Kind.WITHDRAW]
    with connection.cursor() as cursor:
        if signed:
            values: dict[str, list[Any]] = {
                "ids": [known.mail.signature_id for known in signed],
                "emails": [known.email_digest for known in signed],
                "domains": [identity.domain_digest(known.opened.address) for known in signed],
                "reasons": [live_settings.reason_to_hold_domain(known.opened.address) for known in signed],
            }
            cursor.execute(RECOGNISE, values)
        if asked:
            of_links = [(digest, known.email_digest) for known in asked for digest in token_digests(known.opened.token)]
            tokens, emails = map(list, zip(*of_links, strict=True))
            cursor.execute(RECOGNISE_LINK, {"tokens": tokens, "emails": emails})
    return recognised


def give_way() -> None:
    """Have this thread alone leave the processors to whoever signs, where they are short: a mail can wait.

    Only Linux knows the priority of a thread.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # No process may make itself less nice than it was started.
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def _open(mail: OutgoingMail, ring: Keyring) -> Opened | None:
    try:
        opened = ring.open(mail.key_id or 0, bytes(mail.recipient))
        identity.normalise(opened.address)
    except NoSecretError:
        # Another worker has sealed it anew since we claimed it.
        ours(mail).update(due_at=Now())
        return None
    except (CryptoError, ValueError):
        logger.exception("%s holds no address that its key opens; parked", mail)
        park(mail, None)
        return None
    return opened


def unwanted(recognised: Iterable[Recognised]) -> list[OutgoingMail]:
    """The mails to addresses that asked for none. A mail to withdraw goes to them as well."""
    others = {known.mail: known.email_digest for known in recognised if known.mail.kind != OutgoingMail.Kind.WITHDRAW}
    quiet = AddressMark.objects.active().filter(kind=AddressMark.Kind.NO_MAIL, email_digest__in=set(others.values()))
    digests = {bytes(digest) for digest in quiet.values_list("email_digest", flat=True)}
    return [mail for mail, digest in others.items() if digest in digests]


def over_mail_limit(recognised: list[Recognised]) -> set[OutgoingMail]:
    """Count these against the limit of their addresses; those that are beyond it. Costs two statements."""
    named = {f"counted:{known.mail.pk}": known for known in recognised}
    seen = counters.count(dict.fromkeys(named, COUNTED_SECONDS))
    # A mail that is taken up again, after a refusal or a crash, is not another one.
    new = [known for name, known in named.items() if seen[name] == 1]
    rate = live_settings.rate("MAILS_PER_ADDRESS")
    over = rate_limits.over_each((f"mail:{known.mail.kind}", known.email_digest.hex(), rate) for known in new)
    return {known.mail for known, is_over in zip(new, over, strict=True) if is_over}
