from typing import Any

from django.core.management.commands import migrate
from django.db import connections

# One at a time: of two that start together, as several machines do, the second waits and finds nothing to do.
MIGRATE_LOCK = 7_401_850_420


class Command(migrate.Command):
    def handle(self, *arguments: Any, **options: Any) -> None:
        # Until the end of the session, so that a migrator that is killed lets the next one in.
        with connections[options["database"]].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATE_LOCK])
        try:
            super().handle(*arguments, **options)
        finally:
            with connections[options["database"]].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATE_LOCK])
