"""Time-outs as tests have them: a machine that others use as well stops for seconds, in the middle of a statement."""

from petition import health, metrics
from petition.moderation import invalidation
from petition.postgres import timeouts

LONG_SECONDS = 20


def be_patient() -> None:
    """Let nothing in this process be given up that takes a second longer. The tests of time-outs have the real ones."""
    timeouts.VISITOR_SECONDS = LONG_SECONDS
    health.ANSWER_SECONDS = health.READY_SECONDS = health.STATEMENT_SECONDS = LONG_SECONDS
    metrics.ANSWER_SECONDS = LONG_SECONDS
    # Beyond this the numbers of a preview are estimated.
    invalidation.EXACT_SECONDS = LONG_SECONDS
