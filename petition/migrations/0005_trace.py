import django.utils.timezone
import petition.models.trace
from django.db import migrations, models

# Plain SQL, not a trigger of django-pgtrigger: those can be switched off for a session (`pgtrigger.ignore`). ALWAYS, so
# that they fire in a session that plays a replica, too. The search path is fixed, so that now() is PostgreSQL's own.
APPEND_ONLY = """
    CREATE FUNCTION petition_refuse_to_change_the_trace() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.done_at < now() - interval '2 years' THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'The trace is only ever added to, and its entries stay for two years.';
    END $$;

    CREATE TRIGGER trace_only_grows BEFORE UPDATE OR DELETE ON petition_staffaction
    FOR EACH ROW EXECUTE FUNCTION petition_refuse_to_change_the_trace();

    CREATE TRIGGER trace_is_never_truncated BEFORE TRUNCATE ON petition_staffaction
    FOR EACH STATEMENT EXECUTE FUNCTION petition_refuse_to_change_the_trace();

    ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER trace_only_grows;
    ALTER TABLE petition_staffaction ENABLE ALWAYS TRIGGER trace_is_never_truncated;
"""
UNDO = """
    DROP TRIGGER trace_only_grows ON petition_staffaction;
    DROP TRIGGER trace_is_never_truncated ON petition_staffaction;
    DROP FUNCTION petition_refuse_to_change_the_trace();
"""


class Migration(migrations.Migration):
    """What staff do is kept for two years, and the database sees to it."""

    dependencies = [
        ('petition', '0002_unlogged_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='StaffAction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('done_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('user_id', models.BigIntegerField(null=True, verbose_name='account')),
                ('username', models.CharField(blank=True, max_length=150, verbose_name='who')),
                ('action', models.CharField(choices=petition.models.trace.actions, max_length=30, verbose_name='action')),
                ('petition', models.CharField(blank=True, max_length=50, verbose_name='petition')),
                ('about', models.CharField(blank=True, max_length=200, verbose_name='about')),
                ('detail', models.CharField(blank=True, max_length=1000, verbose_name='detail')),
                ('count', models.PositiveBigIntegerField(null=True, verbose_name='how many')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
            ],
            options={
                'verbose_name': 'entry of the trace',
                'verbose_name_plural': 'trace',
                'indexes': [models.Index(models.F('done_at'), name='trace_by_time'), models.Index(models.F('user_id'), models.F('done_at'), name='trace_by_account'), models.Index(models.F('action'), models.F('done_at'), name='trace_by_action'), models.Index(models.F('petition'), models.F('done_at'), name='trace_by_petition'), models.Index(models.F('about'), models.F('done_at'), name='trace_by_subject')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('detail__contains', '@'), _negated=True), models.Q(('reason__contains', '@'), _negated=True)), name='the_trace_holds_no_address')],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, UNDO),
    ]
