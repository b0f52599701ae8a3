"""Signing: one statement writes the pending signature, its link, and the mail that is owed for it.

It is the same for every address, known or not, and it knows no address: the recipient is sealed for the worker, which
alone can tell one address from another (`petition.mail.queue`).
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from petition import consent, identity, links
from petition.mail import keys, messages
from petition.models.link import token_digest
from petition.models.mail import shuffle_delay
from petition.models.signature import this_hour
from petition.postgres.prepared import Prepared

# The petition is looked up on the way, and must be neither closed nor paused (`Petition.is_open`): a request of its own
# for that, and one for the source, would cost as much as this.
SIGN = Prepared(
    "sign",
    """
    WITH pending AS (
        INSERT INTO petition_signature (
            petition_id, network_digest, country, language, source, consent_version, created_at, held_reason
        )
        SELECT id, %(network_digest)s::bytea, %(country)s, %(language)s,
            coalesce((SELECT slug FROM petition_source WHERE slug = %(source)s), ''),
            %(consent_version)s::smallint, %(hour)s::timestamptz, %(held_reason)s
        FROM petition_petition
        WHERE slug = %(slug)s AND opened_at <= now() AND paused_at IS NULL AND (closed_at IS NULL OR closed_at > now())
        RETURNING id, petition_id, language, created_at
    ), link AS (
        INSERT INTO petition_link (
            token_digest, code_digest, kind, petition_id, signature_id, name, words, country, language, created_at
        )
        SELECT %(token_digest)s, %(code_digest)s, 'sign', petition_id, id, %(name)s, %(words)s, %(shown_country)s,
            language, created_at
        FROM pending
    )
    INSERT INTO petition_outgoingmail (petition_id, kind, recipient, key_id, signature_id, language, due_at)
    SELECT petition_id, 'sign', %(recipient)s::bytea, %(key)s::bigint, id, language,
        statement_timestamp() + %(delay)s::interval
    FROM pending
    """,
)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a signer told us. `country` is ISO 3166-1 alpha-2 or empty; an unknown `source` is dropped.

    Name and words are dropped unless they are to be shown: nothing else needs them.
    """

    email: str
    name: str = ""
    shows_name: bool = False
    words: str = ""
    country: str = ""
    source: str = ""


def sign(
    slug: str,
    answers: Answers,
    *,
    language: str,
    network: str | None,
    held_reason: str = "",
    is_onion: bool = False,
) -> bool:
    """Store a pending signature and owe its mail. Costs one statement.

    Without a `network` it counts towards no limit of confirmations; with a `held_reason` it is held once confirmed.
    Return False, storing nothing, if there is no such petition or it is not open now. Raises NoKeyError while no worker
    has ever run, and ValueError for what is no address.
    """
    link = links.make()
    shows = answers.shows_name and bool(answers.name or answers.words)
    values: dict[str, Any] = {
        "slug": slug,
        "network_digest": network and identity.network_digest(network),
        "name": answers.name if shows else "",
        "words": answers.words if shows else "",
        "shown_country": answers.country if shows else "",
        "country": answers.country,
        "language": language,
        "source": answers.source,
        "consent_version": consent.CURRENT,
        "held_reason": held_reason,
        "hour": this_hour(),
        "delay": shuffle_delay(),
        "token_digest": token_digest(link.token),
        "code_digest": links.code_digest(link.code),
    }
    opened = keys.Opened(messages.mailbox(answers.email), link.token, link.code, is_onion)
    return keys.with_newest(lambda half: _store(values | {"key": half.key, "recipient": half.seal(opened)}))


def _store(values: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        SIGN.execute(cursor, values)
        return bool(cursor.rowcount == 1)
