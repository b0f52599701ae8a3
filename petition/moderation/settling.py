"""Settling anomalies: the marks of moderators on them, and which of them a mark still is about."""

from collections.abc import Iterable
from datetime import timedelta

from petition.models import AnomalyMark
from petition.moderation import similar
from petition.moderation.anomalies import Anomaly
from petition.moderation.anomaly_groups import SUPPORT, WIDE

# By how much a group may grow, and for how long it may go on, until somebody has to look at it again.
GROWTH = 1.5
LASTS = timedelta(days=1)


def name_of(kind: str, value: str) -> str:
    """What a mark calls a group: what anybody may read, or a short name that leads nowhere."""
    return value if kind in WIDE else similar.handle(kind, value)


def marks_of(anomaly: Anomaly, marks: Iterable[AnomalyMark]) -> list[AnomalyMark]:
    """The marks on this group at any time."""
    name = name_of(anomaly.kind, anomaly.value)
    return [mark for mark in marks if (mark.kind, mark.name) == (anomaly.kind, name)]


def settles(mark: AnomalyMark, anomaly: Anomaly) -> bool:
    """Whether the group is still what was looked at: of that day, and not much larger."""
    return (
        mark.since.replace(hour=0) <= anomaly.since
        and anomaly.until <= mark.until + LASTS
        and anomaly.cell.count <= max(GROWTH * mark.count, mark.count + SUPPORT)
    )


def unsettled(found: Iterable[Anomaly]) -> int:
    """How many of these somebody still has to look at."""
    marks = list(AnomalyMark.objects.all())
    return sum(
        not (anomaly.is_over or any(settles(mark, anomaly) for mark in marks_of(anomaly, marks))) for anomaly in found
    )
