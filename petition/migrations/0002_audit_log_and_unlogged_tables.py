from django.db import migrations

# What may be lost in a crash, and must not reach the write-ahead log: the salt of the day, and the shared counters.
UNLOGGED = """
    ALTER TABLE petition_dailysalt SET UNLOGGED;

    CREATE UNLOGGED TABLE petition_cache (
        cache_key varchar(255) PRIMARY KEY, value bigint NOT NULL, expires timestamptz NOT NULL
    ) WITH (fillfactor = 50);
    CREATE INDEX petition_cache_expires ON petition_cache (expires);
"""
LOGGED = """
    ALTER TABLE petition_dailysalt SET LOGGED;
    DROP TABLE petition_cache;
"""

# PostgreSQL keeps samples of every column, for its plans; of these nothing may be kept that is deleted.
NO_SAMPLES = """
    ALTER TABLE petition_shownwords ALTER name SET STATISTICS 0, ALTER words SET STATISTICS 0;
    ALTER TABLE petition_link ALTER name SET STATISTICS 0, ALTER words SET STATISTICS 0;
    ALTER TABLE petition_outgoingmail ALTER recipient SET STATISTICS 0;
    ALTER TABLE petition_lookup ALTER address SET STATISTICS 0;
    ALTER TABLE petition_invalidationcampaign ALTER name_pattern SET STATISTICS 0, ALTER domain SET STATISTICS 0;
"""

# What staff do is kept for two years, and the database sees to it. Plain SQL, not a trigger of django-pgtrigger: those
# can be switched off for a session (`pgtrigger.ignore`). ALWAYS, so that they fire in a session that plays a replica,
# too. The search path is fixed, so that now() is PostgreSQL's own.
APPEND_ONLY = """
    CREATE FUNCTION petition_refuse_to_change_the_audit_log() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.done_at < now() - interval '2 years' THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'The audit log is only ever added to, and its entries stay for two years.';
    END $$;

    CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE ON petition_staffaction
    FOR EACH ROW EXECUTE FUNCTION petition_refuse_to_change_the_audit_log();

    CREATE TRIGGER audit_log_is_never_truncated BEFORE TRUNCATE ON petition_staffaction
    FOR EACH STATEMENT EXECUTE FUNCTION petition_refuse_to_change_the_audit_log();

    ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER audit_log_only_grows;
    ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER audit_log_is_never_truncated;
"""
CHANGEABLE = """
    DROP TRIGGER audit_log_only_grows ON petition_staffaction;
    DROP TRIGGER audit_log_is_never_truncated ON petition_staffaction;
    DROP FUNCTION petition_refuse_to_change_the_audit_log();
"""

# Whoever had signed it would not be recognised any more, and would count twice. In SQL, since Django would write the
# tables that refer to petitions in another order.
STAYS_CLOSED = """
    ALTER TABLE petition_petition ADD CONSTRAINT an_ended_petition_stays_closed
        CHECK (ended_at IS NULL OR coalesce(closed_at < ended_at, false));
"""
MAY_OPEN = "ALTER TABLE petition_petition DROP CONSTRAINT an_ended_petition_stays_closed"

# The one row, which says that every rate is the one of the environment.
SWITCHES = """
    INSERT INTO petition_switches (id, rate_per_network, burst_per_network, mails_per_address, hold_per_network)
    VALUES (1, '', '', '', '')
"""


class Migration(migrations.Migration):
    dependencies = [("petition", "0001_initial")]

    operations = [
        migrations.RunSQL(UNLOGGED, LOGGED),
        migrations.RunSQL(NO_SAMPLES, migrations.RunSQL.noop),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
        migrations.RunSQL(STAYS_CLOSED, MAY_OPEN),
        migrations.RunSQL(SWITCHES, "DELETE FROM petition_switches"),
    ]
