import django.utils.timezone
from django.db import migrations, models

# As of the audit log, and for the same reasons: `0002_audit_log_and_unlogged_tables.py`.
APPEND_ONLY = """
    CREATE FUNCTION petition_refuse_to_change_versions() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'Versions of texts are only ever added to.';
    END $$;

    CREATE TRIGGER versions_only_grow BEFORE UPDATE OR DELETE ON petition_textversion
    FOR EACH ROW EXECUTE FUNCTION petition_refuse_to_change_versions();

    CREATE TRIGGER versions_are_never_truncated BEFORE TRUNCATE ON petition_textversion
    FOR EACH STATEMENT EXECUTE FUNCTION petition_refuse_to_change_versions();

    ALTER TABLE petition_textversion ENABLE ALWAYS TRIGGER versions_only_grow;
    ALTER TABLE petition_textversion ENABLE ALWAYS TRIGGER versions_are_never_truncated;
"""
CHANGEABLE = """
    DROP TRIGGER versions_only_grow ON petition_textversion;
    DROP TRIGGER versions_are_never_truncated ON petition_textversion;
    DROP FUNCTION petition_refuse_to_change_versions();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('petition', '0010_anomaly_marks_and_proposals'),
    ]

    operations = [
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=60)),
                ('row', models.CharField(max_length=60)),
                ('language', models.CharField(blank=True, max_length=7)),
                ('number', models.PositiveIntegerField(default=1)),
                ('values', models.JSONField(null=True)),
                ('saved_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('user_id', models.BigIntegerField(null=True)),
                ('username', models.CharField(blank=True, max_length=150)),
            ],
            options={
                'verbose_name': 'draft',
                'verbose_name_plural': 'drafts',
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(models.F('kind'), models.F('row'), models.F('language'), name='one_draft_of_a_text_in_a_language')],
            },
        ),
        migrations.CreateModel(
            name='TextVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=60)),
                ('row', models.CharField(max_length=60)),
                ('language', models.CharField(max_length=7)),
                ('values', models.JSONField()),
                ('published_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('user_id', models.BigIntegerField(null=True)),
                ('username', models.CharField(blank=True, max_length=150)),
            ],
            options={
                'verbose_name': 'version of a text',
                'verbose_name_plural': 'versions of texts',
                'default_permissions': (),
                'indexes': [models.Index(models.F('kind'), models.F('row'), models.F('language'), models.F('id'), name='versions_of_a_text')],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
