"""The state of backups and drills, as the admin and `manage.py doctor` tell it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from petition.models import Heartbeat

BACKUP_LATE, DRILL_LATE = timedelta(days=2), timedelta(days=35)


@dataclass(frozen=True)
class State:
    """When a backup was last made, and a drill last ended well; None if never. `failed`: the last try did not."""

    backup_at: datetime | None
    drill_at: datetime | None
    backup_failed: bool
    drill_failed: bool

    @classmethod
    def read(cls) -> "State":
        at = dict(Heartbeat.objects.values_list("part", "beat_at"))
        part = Heartbeat.Part
        return cls(
            at.get(part.BACKUP),
            at.get(part.DRILL),
            _is_newer(at.get(part.NO_BACKUP), at.get(part.BACKUP)),
            _is_newer(at.get(part.NO_DRILL), at.get(part.DRILL)),
        )

    @property
    def is_backup_late(self) -> bool:
        return self.backup_at is None or timezone.now() - self.backup_at > BACKUP_LATE

    @property
    def is_drill_late(self) -> bool:
        return self.drill_at is None or timezone.now() - self.drill_at > DRILL_LATE


def _is_newer(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)
