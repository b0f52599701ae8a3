"""Signing: one statement writes the pending signature and the mail that is owed for it.

It is the same for every address, known or not, so that neither the answer nor its time tells who has signed. What the
mail says, and whether there is one, is the worker's decision (`petition.mail.queue`).
"""

from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from petition import consent, identity
from petition.models.signature import this_hour
from petition.postgres.prepared import Prepared

# The petition is looked up on the way, and must be neither closed nor paused (`Petition.is_open`): a request of its own
# for that, and one for the source, would cost as much as this.
SIGN = Prepared(
    "sign",
    """
    WITH pending AS (
        INSERT INTO petition_signature (
            petition_id, email_digest, domain_digest, network_digest, name, words, shows_name, country, language,
            source, consent_version, created_at, held_reason
        )
        SELECT id, %(email_digest)s::bytea, %(domain_digest)s::bytea, %(network_digest)s::bytea, %(name)s, %(words)s,
            %(shows_name)s::boolean, %(country)s, %(language)s,
            coalesce((SELECT slug FROM petition_source WHERE slug = %(source)s), ''),
            %(consent_version)s::smallint, %(hour)s::timestamptz, %(held_reason)s
        FROM petition_petition
        WHERE slug = %(slug)s AND opened_at <= %(now)s::timestamptz AND paused_at IS NULL
            AND (closed_at IS NULL OR closed_at > %(now)s::timestamptz)
        RETURNING id, petition_id, email_digest, language
    )
    INSERT INTO petition_outgoingmail (petition_id, kind, recipient, email_digest, signature_id, language, due_at)
    SELECT petition_id, 'sign', %(recipient)s::bytea, email_digest, id, language, %(now)s::timestamptz FROM pending
    """,
)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a signer told us. `country` is ISO 3166-1 alpha-2 or empty; an unknown `source` is dropped."""

    email: str
    name: str = ""
    shows_name: bool = False
    words: str = ""
    country: str = ""
    source: str = ""


def sign(slug: str, answers: Answers, *, language: str, network: str | None, held_reason: str = "") -> bool:
    """Store a pending signature and owe its mail. Costs one statement.

    Without a `network` it counts towards no limit of confirmations; with a `held_reason` it is held once confirmed.
    Return False, storing nothing, if there is no such petition or it is not open now.
    """
    with connection.cursor() as cursor:
        SIGN.execute(
            cursor,
            {
                "slug": slug,
                "email_digest": identity.email_digest(answers.email),
                "domain_digest": identity.domain_digest(answers.email),
                "network_digest": network and identity.network_digest(network),
                "name": answers.name,
                "words": answers.words,
                "shows_name": answers.shows_name,
                "country": answers.country,
                "language": language,
                "source": answers.source,
                "consent_version": consent.CURRENT,
                "held_reason": held_reason,
                "hour": this_hour(),
                "recipient": identity.seal(answers.email),
                "now": timezone.now(),
            },
        )
        return bool(cursor.rowcount == 1)
