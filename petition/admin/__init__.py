"""The workplace of staff, in Django admin: one module for each kind of thing they look after."""

from . import (
    campaigns,
    counts,
    finding,
    held,
    mails,
    petitions,
    review,
    signals,
    signatures,
    staff,
    switches,
    tokens,
    trace,
)

__all__ = [
    "campaigns",
    "counts",
    "finding",
    "held",
    "mails",
    "petitions",
    "review",
    "signals",
    "signatures",
    "staff",
    "switches",
    "tokens",
    "trace",
]
