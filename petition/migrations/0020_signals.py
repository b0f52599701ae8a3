import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from petition import roles


def show_signals(apps, schema_editor):
    roles.ensure(apps)


class Migration(migrations.Migration):

    dependencies = [
        ('petition', '0016_soughtsignature'),
    ]

    operations = [
        migrations.CreateModel(
            name='SeenDomain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('name', models.CharField(max_length=253, verbose_name='mail domain')),
                ('shared_on', models.DateField(verbose_name='last shared by 20 on')),
            ],
            options={
                'verbose_name': 'known mail domain',
                'verbose_name_plural': 'known mail domains',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Signals',
            fields=[
            ],
            options={
                'verbose_name': 'signals of fakes',
                'verbose_name_plural': 'signals of fakes',
                'permissions': [('view_signals', 'Can see which groups of signatures stand out')],
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.signature',),
        ),
        migrations.AddConstraint(
            model_name='seendomain',
            constraint=models.CheckConstraint(condition=models.Q(('digest__length', 32)), name='a_domain_digest_has_32_bytes'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='seendomain',
            trigger=pgtrigger.compiler.Trigger(name='only_shared_domains', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n                    IF (\n    SELECT count(DISTINCT seen.email_digest)\n    FROM (\n        SELECT signature.email_digest\n        FROM generate_series(0, 23) AS clock,\n        LATERAL (\n            SELECT email_digest FROM petition_signature\n            WHERE created_at = (NEW.shared_on::timestamp AT TIME ZONE 'UTC') + make_interval(hours => clock)\n                AND domain_digest = NEW.digest\n            LIMIT 100\n        ) AS signature\n        LIMIT 100\n    ) AS seen\n) < 20 THEN\n                        RAISE EXCEPTION 'Fewer than 20 mailboxes shared this mail domain on that day.'\n                            USING ERRCODE = 'check_violation';\n                    END IF;\n                    RETURN NEW;\n                ", hash='fede3ec8fc7f06fc25b68d0241fd9520344e37d7', operation='INSERT OR UPDATE', pgid='pgtrigger_only_shared_domains_f9820', table='petition_seendomain', when='BEFORE')),
        ),
        migrations.RunPython(show_signals, migrations.RunPython.noop),
    ]
