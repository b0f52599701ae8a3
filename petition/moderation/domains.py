"""Mail domains: the names of those that many share, and the patterns in which moderators write them."""

import re
from contextlib import suppress
from datetime import date
from fnmatch import fnmatchcase

from django.db import IntegrityError, connection, transaction
from django.utils.encoding import punycode
from nacl.exceptions import CryptoError

from petition import identity
from petition.models import ListedDomain, OutgoingMail, SeenDomain
from petition.models.domains import MAILBOXES, mailboxes_on_day

# One signature for each of their mail domains that many share by now, unless that is known for this day.
NEWLY_SHARED = f"""
    SELECT id, domain_digest, day
    FROM (
        SELECT DISTINCT ON (domain_digest) id, domain_digest, (created_at AT TIME ZONE 'UTC')::date AS day
        FROM petition_signature WHERE id = ANY(%s) AND domain_digest IS NOT NULL
        ORDER BY domain_digest, created_at DESC
    ) AS new
    WHERE NOT EXISTS (SELECT FROM petition_seendomain WHERE digest = new.domain_digest AND shared_on >= new.day)
        AND ({mailboxes_on_day("new.day", "new.domain_digest")}) >= {MAILBOXES}
"""


def name_domains(mails: list[OutgoingMail]) -> int:
    """Keep the names of the mail domains of these mails that 20 mailboxes share by now; return how many.

    Costs one statement, which reads at most 100 signatures of each domain, and opens the box of one mail for each
    domain that it finds. Only the signatures of the mails must still be in the database.
    """
    by_signature = {mail.signature_id: mail for mail in mails if mail.signature_id}
    if not by_signature:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(NEWLY_SHARED, [list(by_signature)])
        found = cursor.fetchall()
    named = 0
    for signature_id, digest, day in found:
        with suppress(CryptoError):
            address = identity.unseal(bytes(by_signature[signature_id].recipient))
            if identity.domain_digest(address) == bytes(digest):
                named += _keep(bytes(digest), identity.domain(address), day)
    return named


def _keep(digest: bytes, name: str, day: date) -> int:
    # Somebody may have withdrawn in between, so that they are 20 no more: the database counts again.
    with suppress(IntegrityError), transaction.atomic():
        SeenDomain.objects.bulk_create(
            [SeenDomain(digest=digest, name=name, shared_on=day)],
            update_conflicts=True,
            unique_fields=["digest"],
            update_fields=["shared_on"],
        )
        return 1
    return 0


def known() -> set[str]:
    """The domains that we know by name. Of all others there is a digest alone: a private domain names a person."""
    listed = {name.removeprefix("*.") for name in ListedDomain.objects.values_list("domain", flat=True)}
    return listed | set(SeenDomain.objects.values_list("name", flat=True))


def clean(typed: str) -> str:
    """A domain or a pattern (* and ?) in the spelling that we compare. Raises ValueError."""
    text = typed.strip().lower()
    if not is_pattern(text):
        text = identity.domain(f"anyone@{punycode(text)}")
    if not re.fullmatch(r"([a-z0-9_*?-]+\.)*[a-z0-9_*?-]+", text) or not ("." in text or "*" in text):
        raise ValueError("This is no mail domain.")
    return text


def meant_by(pattern: str) -> list[str]:
    """The names that a cleaned domain or pattern stands for; a pattern for those alone that are known by name."""
    if not is_pattern(pattern):
        return [pattern]
    # As in the lists: *.example.org is example.org and all below it.
    own = pattern.removeprefix("*.")
    return sorted(name for name in known() if fnmatchcase(name, pattern) or fnmatchcase(name, own))


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def digests(names: list[str]) -> bytes:
    """The digests of these domains, as signatures have them, one after the other."""
    return b"".join(identity.domain_digest(f"anyone@{name}") for name in names)
