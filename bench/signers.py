"""Signers that stand ready: pending signatures to confirm, and mails to send."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction
from django.urls import reverse

from bench import environment
from petition import links as tokens
from petition import signing
from petition.mail import messages
from petition.mail.keys import Opened
from petition.models import Link, OutgoingMail, Petition, Signature
from petition.models.link import token_digest

# Like rows that the sign form writes and the worker has recognised, each from a network of its own.
PENDING = """
    INSERT INTO petition_signature (
        petition_id, email_digest, domain_digest, network_digest, country, language, consent_version, created_at
    )
    SELECT (SELECT min(id) FROM petition_petition), sha256(convert_to(n || ' ' || random(), 'UTF8')),
        sha256('domain'), substr(sha256(convert_to('network ' || n || ' ' || random(), 'UTF8')), 1, 3), 'DE', 'en', 1,
        date_trunc('hour', now(), 'UTC')
    FROM generate_series(1, %s) AS n
    RETURNING id, petition_id, created_at
"""


@dataclass(frozen=True)
class Links:
    """`file` holds a path on each line, `ids` the signatures behind them."""

    file: Path
    ids: list[int]


def pending(database: str, number: int) -> list[tuple[int, int, datetime]]:
    """Write pending signatures; id, petition and hour of each."""
    environment.use(database)
    with connection.cursor() as cursor:
        cursor.execute(PENDING, [number])
        rows: list[tuple[int, int, datetime]] = cursor.fetchall()
        return rows


def links(database: str, number: int) -> Links:
    """Confirmation links to pending signatures of their own."""
    rows = pending(database, number)
    file = environment.VAR / "links.txt"
    new = [(row, tokens.make()) for row in rows]
    Link.objects.bulk_create(
        Link(
            token_digest=token_digest(made.token),
            code_digest=tokens.code_digest(made.code),
            kind=Link.Kind.SIGN,
            petition_id=petition_id,
            signature_id=pk,
            created_at=created_at,
        )
        for (pk, petition_id, created_at), made in new
    )
    with file.open("w") as lines:
        for _row, made in new:
            lines.write(reverse("petition:confirm", args=[made.token]) + "\n")
    return Links(file, [pk for pk, _petition_id, _created_at in rows])


def confirmed(ids: list[int]) -> int:
    """The number of these signatures that are confirmed by now."""
    return Signature.objects.confirmed().filter(pk__in=ids).count()


def mails(database: str, number: int) -> None:
    """Empty the outbox, then let so many people sign."""
    environment.sql(database, "TRUNCATE petition_outgoingmail")
    environment.use(database)
    slug = Petition.objects.get().slug
    word = f"{datetime.now(UTC).timestamp():.0f}"
    with transaction.atomic():
        for n in range(number):
            answers = signing.Answers(email=f"{word}.{n}@example.org", name="Anna Bench", country="DE")
            signing.sign(slug, answers, language="en", network=f"10.2.{n // 256 % 256}.{n % 256}")


def finished_messages(database: str) -> list[tuple[str, bytes]]:
    """Recipient and message of each mail that the worker would send for the outbox."""
    environment.use(database)
    finished = []
    for n, mail in enumerate(OutgoingMail.objects.order_by("pk")):
        opened = Opened(f"mail.{n}@example.org", *tokens.make())
        message = messages.write(mail, messages.compose(mail, opened), opened.address)
        finished.append((opened.address, messages.content(message)))
    return finished
