"""The admin of staff: one module for each kind of thing they look after."""

from . import (
    anomalies,
    audit,
    counts,
    held,
    invalidations,
    language_approvals,
    live_settings,
    lookup,
    mails,
    petitions,
    retention,
    review,
    samples,
    signatures,
    staff,
    tokens,
)

__all__ = [
    "anomalies",
    "audit",
    "counts",
    "held",
    "invalidations",
    "language_approvals",
    "live_settings",
    "lookup",
    "mails",
    "petitions",
    "retention",
    "review",
    "samples",
    "signatures",
    "staff",
    "tokens",
]
