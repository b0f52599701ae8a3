"""The workplace of staff, in Django admin: one module for each kind of thing they look after."""

from . import counts, held, mails, petitions, review, signatures, staff, switches, tokens, trace

__all__ = ["counts", "held", "mails", "petitions", "review", "signatures", "staff", "switches", "tokens", "trace"]
