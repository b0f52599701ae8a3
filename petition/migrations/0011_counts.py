import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

from petition import roles


def give_to_roles(apps, schema_editor):
    roles.ensure(apps)


class Migration(migrations.Migration):
    """Who may see the counts, what lets a dashboard read them, and what there is to see.

    The ledger tells apart what is withdrawn while it is held or invalidated, so that how many are is known.
    `manage.py recount` adds what was withdrawn before.
    """

    dependencies = [
        ('petition', '0010_switches'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CountsToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Who will read with it: a dashboard, a partner.', max_length=100, unique=True, verbose_name='name')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='made at')),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL, verbose_name='made by')),
                ('revoked_at', models.DateTimeField(editable=False, null=True, verbose_name='revoked at')),
                ('last_used_on', models.DateField(editable=False, null=True, verbose_name='last used on')),
            ],
            options={
                'verbose_name': 'token for counts',
                'verbose_name_plural': 'tokens for counts',
                'default_permissions': ('add', 'change', 'view'),
            },
        ),
        migrations.CreateModel(
            name='Counts',
            fields=[
            ],
            options={
                'verbose_name': 'counts',
                'verbose_name_plural': 'counts',
                'permissions': [('view_exact_counts', 'Can see exact counts, below ten as well')],
                'proxy': True,
                'default_permissions': ('view',),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.petition',),
        ),
        migrations.AlterField(
            model_name='source',
            name='slug',
            field=models.CharField(max_length=24, primary_key=True, serialize=False, validators=[django.core.validators.RegexValidator('^[a-z0-9-]{1,24}\\Z'), django.core.validators.RegexValidator('^(other|total)\\Z', 'Counts use this word for something else.', inverse_match=True)], verbose_name='tag'),
        ),
        migrations.RunPython(give_to_roles, migrations.RunPython.noop),
        # Last, since signing waits from here to the end of the transaction.
        migrations.AlterField(
            model_name='daytally',
            name='measure',
            field=models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12),
        ),
        migrations.AlterField(
            model_name='hourtally',
            name='measure',
            field=models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12),
        ),
        migrations.AlterField(
            model_name='tallychange',
            name='measure',
            field=models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12),
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='signature',
            name='ledger_delete',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='ledger_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)\n        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)\n        FROM old_rows o,\n        LATERAL (VALUES (o.petition_id, o.confirmed_at, o.country, o.language, o.source, 'counted', -1, o.confirmed_at IS NOT NULL AND o.held_at IS NULL AND o.invalidated_at IS NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'withdrawn', 1, o.confirmed_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'held_gone', 1, o.held_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'invalid_gone', 1, o.invalidated_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'lapsed', 1, o.confirmed_at IS NULL)) AS c (petition_id, hour, country, language, source, measure, amount, applies)\n        WHERE c.applies\n        GROUP BY 1, 2, 3, 4, 5, 6\n        HAVING sum(c.amount) <> 0;\n        RETURN NULL;\n    ", hash='c132e723fc76a700c6c2fde34a6112f9fe7b7144', level='STATEMENT', operation='DELETE', pgid='pgtrigger_ledger_delete_bf791', referencing='REFERENCING OLD TABLE AS old_rows ', table='petition_signature', when='AFTER')),
        ),
    ]
