from django.db import migrations


class Migration(migrations.Migration):
    """What may be lost in a crash, and must not reach the write-ahead log: the salt of the day, and the shared cache."""

    dependencies = [("petition", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE petition_dailysalt SET UNLOGGED",
            "ALTER TABLE petition_dailysalt SET LOGGED",
        ),
        migrations.RunSQL(
            """
            CREATE UNLOGGED TABLE petition_cache (
                cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL
            ) WITH (fillfactor = 50);
            CREATE INDEX petition_cache_expires ON petition_cache (expires)
            """,
            "DROP TABLE petition_cache",
        ),
    ]
