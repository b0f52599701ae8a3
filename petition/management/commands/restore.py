import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from petition import offline_key
from petition.backup import drills, making, restoring
from petition.backup.archive import ArchiveError, Label, sealed_pieces, unseal
from petition.backup.postgres_tools import ToolError
from petition.offline_key import OfflineKeyError

UNLOCK = """On the machine that has the offline key, run

    python offline_key.py unlock petition.key {}

and type here what it prints: """


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty database, and erase again who has withdrawn since. With --drill, restore it"
        " into a scratch database, recount there, and drop that; without an archive, a dump made for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("archive", nargs="?", help="a file that manage.py backup has made")
        parser.add_argument("--drill", action="store_true", help="change nothing: try whether it can be restored")
        parser.add_argument("--key", metavar="FILE", help="the offline key, if it is on this machine")
        parser.add_argument(
            "--withdrawals", metavar="LIST", action="append", default=[], help="a worker's list; of several, all"
        )
        parser.add_argument("--without-withdrawals", action="store_true", help="if every list of withdrawals is lost")

    def handle(self, **options: Any) -> str:
        signal.signal(signal.SIGTERM, end)
        try:
            if options["drill"]:
                return self.drill(options)
            return self.restore(options)
        except making.UnderWayError as error:
            raise CommandError(str(error), returncode=drills.UNDER_WAY) from None
        except (making.BackupError, drills.DrillError, ToolError, ArchiveError, OfflineKeyError) as error:
            raise CommandError(str(error)) from None
        except restoring.NotEmptyError:
            raise CommandError("This database is not empty. Nothing was changed.") from None
        except restoring.UnreadableListError:
            raise CommandError("A list of withdrawals holds none: is it the right file? Nothing was changed.") from None
        except OSError as error:
            raise CommandError(
                f"{error.filename}: {error.strerror}. If the restore had begun, go on with migrate, apply_withdrawals"
                " and recount before anything is started."
            ) from None

    def drill(self, options: dict[str, Any]) -> str:
        if options["archive"]:
            with self.opened(options) as (_label, dump):
                drills.drill_with(dump)
        else:
            drills.drill()
        return "Restored into a scratch database and recounted: the tallies agree with the signatures."

    def restore(self, options: dict[str, Any]) -> str:
        if not options["archive"]:
            raise CommandError("Name the archive.")
        lists = options["withdrawals"]
        if not (lists or options["without_withdrawals"]):
            raise CommandError(
                "Name the workers' lists of withdrawals (--withdrawals), or whoever withdrew since is counted again. If"
                " all are lost, say --without-withdrawals, and ask in public that they withdraw once more."
            )
        restoring.require_empty()
        withdrawals, unreadable = restoring.read_lists(
            Path(file).read_text(errors="replace").splitlines() for file in lists
        )
        with self.opened(options) as (label, dump):
            age = making.now() - label.made_at
            if age > timedelta(days=settings.BACKUP_DAYS):
                self.stderr.write(
                    f"This backup is {age.days} days old. The lists of withdrawals go back {settings.BACKUP_DAYS}: who"
                    " withdrew before is counted again."
                )
            restored = restoring.restore(dump, withdrawals)
        told = [
            f"Restored the backup of {label.made_at:%Y-%m-%d %H:%M} UTC.",
            f"Read {restored.withdrawn.entries} withdrawals, and erased {restored.withdrawn.signatures} signatures.",
            "The tallies were wrong and are repaired." if restored.was_wrong else "The tallies agree.",
        ]
        if unreadable:
            told.append(f"{unreadable} lines of the lists cannot be read: those people are counted again.")
        if restored.unmailed:
            told.append(
                f"{restored.unmailed} people signed whose mail had not gone out yet: no address is in a backup, so they"
                " have to sign again."
            )
        return "\n".join(told)

    @contextmanager
    def opened(self, options: dict[str, Any]) -> Iterator[tuple[Label, Iterator[bytes]]]:
        """The label of the archive, and its dump as it is decrypted."""
        with Path(options["archive"]).open("rb") as file:
            label = Label.read(file)
            yield label, unseal(sealed_pieces(file), label, self.key(label, options["key"]))

    def key(self, label: Label, file: str | None) -> bytes:
        if file:
            secret = offline_key.read(Path(file).read_text(), offline_key.ask("The passphrase: "))
            return offline_key.unlock(secret, label.sealed_key)
        self.stderr.write(UNLOCK.format(offline_key.as_text(label.sealed_key)), ending="")
        try:
            return offline_key.from_text(offline_key.ask(""))
        except ValueError:
            raise OfflineKeyError("This is no key of an archive.") from None


def end(number: int, frame: object) -> None:
    # So that a drill drops its database when it is told to stop.
    sys.exit(128 + number)
