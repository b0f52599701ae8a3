import re
from typing import Any

from django.db.backends.utils import CursorWrapper


class Prepared:
    """A statement that PostgreSQL parses and plans once for each connection, not each time.

    For what is asked hundreds of times a second: to parse and plan the statement that signs takes PostgreSQL as long as
    to run it. psycopg2 has no such thing. `sql` has its values as %(value)s, with a cast where PostgreSQL could not
    tell the type; `name` is its own. The connection must stay the same, so a pooler in between has to pool by session.
    """

    def __init__(self, name: str, sql: str) -> None:
        values: dict[str, int] = {}
        numbered = re.sub(r"%\((\w+)\)s", lambda value: f"${values.setdefault(value[1], len(values) + 1)}", sql)
        self.name = name
        self.preparing = f"PREPARE {name} AS {numbered}"
        self.executing = f"EXECUTE {name} ({', '.join(f'%({value})s' for value in values)})"

    def execute(self, cursor: CursorWrapper, values: dict[str, Any]) -> None:
        """As `cursor.execute`. Sends two statements the first time on a connection."""
        connection: Any = cursor.db
        if self.name not in connection.prepared:
            with connection.wrap_database_errors, connection.connection.cursor() as plain:
                plain.execute(self.preparing)
            connection.prepared.add(self.name)
        cursor.execute(self.executing, values)
