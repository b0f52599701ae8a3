import signal
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from petition.backup import making
from petition.backup.archive import ArchiveError
from petition.backup.postgres_tools import ToolError
from petition.checks.configuration import of_the_backup
from petition.offline_key import OfflineKeyError


class Command(BaseCommand):
    help = "Write an encrypted backup to BACKUP_DIR, read it back, hand it to BACKUP_HOOK, and delete old ones."

    def handle(self, **options: Any) -> str:
        if errors := list(of_the_backup()):
            raise SystemCheckError("\n".join(str(error) for error in errors))
        # So that what is unfinished goes when the service is stopped.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            made = making.make()
        except (making.BackupError, ToolError, ArchiveError, OfflineKeyError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{Path(settings.BACKUP_DIR)}: {error.strerror}") from None
        return (
            f"Wrote {made.path.name}, {made.size / 1e6:.0f} MB, and read it back."
            f" Deleted {made.deleted} that were older than {settings.BACKUP_DAYS} days."
        )
