"""Held signatures by network and hour, so that a school and a program that were held in one hour can be told apart.

What 20 held ones of an hour share is a group: a network. All others stand together by their reason and the hour since
which they are held, so that no household is seen.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Q

from petition.models import Signature
from petition.models.signature import SignatureQuerySet
from petition.moderation import similar

# The groups of a page, networks before others and the longest held first: all signatures of their hours are read.
SHOWN = 25

# All that wait are read, by the index signatures_held.
GROUPS = """
    WITH waiting AS MATERIALIZED (
        SELECT id, held_at, held_reason, network_digest, created_at
        FROM petition_signature WHERE held_at IS NOT NULL AND invalidated_at IS NULL
    ), networks AS (
        SELECT network_digest, created_at, count(*) AS held, min(held_at) AS held_at, max(id) AS example
        FROM waiting WHERE network_digest IS NOT NULL
        GROUP BY network_digest, created_at HAVING count(*) >= %(smallest)s
    ), others AS (
        SELECT held_reason, waiting.held_at, count(*) AS held, max(id) AS example
        FROM waiting LEFT JOIN networks USING (network_digest, created_at)
        WHERE networks.held IS NULL GROUP BY held_reason, waiting.held_at
    )
    SELECT * FROM (
        SELECT network_digest, created_at, '' AS held_reason, held_at, held, example FROM networks
        UNION ALL SELECT NULL, NULL, held_reason, held_at, held, example FROM others
    ) AS groups
    ORDER BY network_digest IS NULL, held_at, example LIMIT %(limit)s
"""
# How often a network occurs among those that wait, of one hour.
NETWORKS = """
    SELECT network_digest, created_at FROM petition_signature
    WHERE held_at IS NOT NULL AND invalidated_at IS NULL AND network_digest IS NOT NULL
    GROUP BY network_digest, created_at HAVING count(*) >= %s
"""


@dataclass(frozen=True)
class Mix:
    """The confirmed signatures of a network in an hour: how many count, of how many mail domains and countries."""

    counted: int = 0
    domains: int = 0
    countries: int = 0


@dataclass(frozen=True)
class HeldGroup:
    """Held signatures of a network that were signed in an hour; or, without a network, of a reason and held since one.

    `example` is the number of one of them.
    """

    held: int
    example: int
    held_at: datetime
    reason: str = ""
    network: bytes | None = None
    signed_at: datetime | None = None
    mix: Mix = Mix()

    @property
    def name(self) -> str:
        """The short name of its network, which is the same on the page of anomalies; empty without one."""
        return short_name(self.network) if self.network else ""

    def waiting(self) -> SignatureQuerySet:
        """Those that somebody has yet to release or invalidate, at this moment."""
        waiting = Signature.objects.awaiting_release()
        if self.network and self.signed_at:
            return waiting.filter(network_digest=self.network, created_at=self.signed_at)
        small = waiting.filter(held_reason=self.reason, held_at=self.held_at)
        return small.exclude(in_networks(large_networks()))

    def rest(self) -> SignatureQuerySet:
        """Those of its network and hour that count."""
        if not (self.network and self.signed_at):
            return Signature.objects.none()
        return Signature.objects.counted().filter(network_digest=self.network, created_at=self.signed_at)


def short_name(network: bytes) -> str:
    return similar.handle("network", f"\\x{network.hex()}")


def find() -> tuple[list[HeldGroup], bool]:
    """The groups that wait, networks before others and the longest held first, and whether there are more."""
    with connection.cursor() as cursor:
        cursor.execute(GROUPS, {"smallest": similar.SMALLEST, "limit": SHOWN + 1})
        rows = cursor.fetchall()
    mixes = mixes_of([(bytes(network), signed_at) for network, signed_at, *_rest in rows[:SHOWN] if network])
    found = []
    for network, signed_at, reason, held_at, held, example in rows[:SHOWN]:
        digest = network and bytes(network)
        mix = mixes.get((digest, signed_at), Mix())
        found.append(HeldGroup(held, example, held_at, reason, digest, signed_at, mix))
    return found, len(rows) > SHOWN


def of(number: int, *, by_network: bool) -> HeldGroup | None:
    """The group that the held signature of this number is in. None, if it waits no more, or is in none of this kind."""
    row = Signature.objects.awaiting_release().filter(pk=number).first()
    if row is None or row.held_at is None:
        return None
    network = bytes(row.network_digest) if row.network_digest else None
    is_large = network is not None and (network, row.created_at) in large_networks()
    if is_large is not by_network:
        return None
    if by_network:
        return HeldGroup(0, row.pk, row.held_at, network=network, signed_at=row.created_at)
    return HeldGroup(0, row.pk, row.held_at, row.held_reason)


def large_networks() -> set[tuple[bytes, datetime]]:
    """The networks of which 20 held ones of one hour wait, each with the hour."""
    with connection.cursor() as cursor:
        cursor.execute(NETWORKS, [similar.SMALLEST])
        return {(bytes(network), signed_at) for network, signed_at in cursor.fetchall()}


def in_networks(networks: set[tuple[bytes, datetime]]) -> Q:
    found = Q(pk__in=[])
    for network, signed_at in networks:
        found |= Q(network_digest=network, created_at=signed_at)
    return found


def mixes_of(networks: list[tuple[bytes, datetime]]) -> dict[tuple[bytes, datetime], Mix]:
    """How mixed they are. Reads all signatures of their hours, by the index signatures_by_hour."""
    rows: Any = (
        Signature.objects.confirmed()
        .filter(
            created_at__in={signed_at for _network, signed_at in networks},
            network_digest__in=[network for network, _signed_at in networks],
        )
        .values_list("network_digest", "created_at")
        .annotate(
            counted=Count("pk", filter=Q(held_at=None, invalidated_at=None)),
            domains=Count("domain_digest", distinct=True),
            countries=Count("country", distinct=True, filter=~Q(country="")),
        )
        .order_by()
    )
    return {(bytes(network), signed_at): Mix(*numbers) for network, signed_at, *numbers in rows}
