"""Signers that stand ready: pending signatures to confirm, and mails to send."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction
from django.urls import reverse

from bench import environment
from petition import confirmation, signing
from petition.mail import messages, queue
from petition.models import OutgoingMail, Petition, Signature

# Like rows that the sign form writes, each from a network of its own.
PENDING = """
    INSERT INTO petition_signature (
        petition_id, email_digest, domain_digest, network_digest, name, country, language, consent_version, created_at
    )
    SELECT (SELECT min(id) FROM petition_petition), sha256(convert_to(n || ' ' || random(), 'UTF8')),
        sha256('domain'), sha256(convert_to('network ' || n || ' ' || random(), 'UTF8')), 'Anna Bench', 'DE', 'en', 1,
        date_trunc('hour', now(), 'UTC')
    FROM generate_series(1, %s) AS n
    RETURNING id, petition_id, email_digest, created_at
"""


@dataclass(frozen=True)
class Links:
    """`file` holds a path on each line."""

    file: Path
    number: int
    first: int


def pending(database: str, number: int) -> list[tuple[int, int, bytes, datetime]]:
    """Write pending signatures; id, petition, digest and hour of each, ids without a gap."""
    environment.use(database)
    with connection.cursor() as cursor:
        cursor.execute(PENDING, [number])
        rows: list[tuple[int, int, bytes, datetime]] = cursor.fetchall()
        return rows


def links(database: str, number: int) -> Links:
    """Confirmation links to pending signatures of their own."""
    rows = pending(database, number)
    file = environment.VAR / "links.txt"
    with file.open("w") as lines:
        for pk, petition_id, digest, created_at in rows:
            row = Signature(pk=pk, petition_id=petition_id, email_digest=digest, created_at=created_at)
            path = reverse("petition:confirm", args=[confirmation.make_token(row)])
            lines.write(path + "\n")
    return Links(file, number, rows[0][0])


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
    waiting = list(OutgoingMail.objects.order_by("pk"))
    chosen = queue.choose_letters(waiting)
    finished = []
    for n, mail in enumerate(waiting):
        letter, recipient = chosen[mail.pk], f"mail.{n}@example.org"
        if letter:
            finished_message = messages.message(mail, letter, recipient).message().as_bytes()
            finished.append((recipient, finished_message.replace(b"\n", b"\r\n")))
    return finished
