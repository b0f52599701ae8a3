"""The test database between transactional tests: left as migrations left it, much faster than by Django's flush."""

from django.db import connection, transaction

# Deleting few rows is faster than new files for each table and index, but leaves them there until a vacuum.
SMALL_BYTES = 1_000_000
# Tables that only grow, and their triggers.
GROWING = {
    "petition_staffaction": ("audit_log_only_grows", "audit_log_is_never_truncated"),
    "petition_textversion": ("versions_only_grow", "versions_are_never_truncated"),
}

tables: dict[str, bool] = {}


def keep() -> None:
    """Remember what the tables hold now, in copies that the search path does not show."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
            (tables[name],) = cursor.fetchone()
        kept = [f"CREATE TABLE kept.{name} AS TABLE {name}" for name, is_kept in tables.items() if is_kept]
        cursor.execute("; ".join(["CREATE SCHEMA kept", *kept]))


def restore() -> None:
    """Bring that back. Only tables that have changed are written."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(map(_size_if_changed, tables)))
        changed = dict(cursor.fetchall())
        if not changed:
            return
        # Neither foreign keys nor triggers, which refuse some of this to everybody else, but those that fire ALWAYS.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for name in GROWING.keys() & changed:
            cursor.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        if max(changed.values()) > SMALL_BYTES:
            # Nothing refers to those that only grow, and refuse this.
            emptied = [name for name, is_kept in tables.items() if not is_kept and name not in GROWING]
            cursor.execute("TRUNCATE " + ", ".join(emptied))
        for name in changed:
            cursor.execute(f"DELETE FROM {name}")
            if tables[name]:
                cursor.execute(f"INSERT INTO {name} TABLE kept.{name}")
        for name in GROWING.keys() & changed:
            for trigger in GROWING[name]:
                cursor.execute(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}")


def _size_if_changed(name: str) -> str:
    changed = f"EXISTS (SELECT FROM {name})"
    if tables[name]:
        changed = f"EXISTS (TABLE {name} EXCEPT TABLE kept.{name}) OR EXISTS (TABLE kept.{name} EXCEPT TABLE {name})"
    return f"SELECT '{name}', pg_relation_size('{name}') WHERE {changed}"
