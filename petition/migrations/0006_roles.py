from django.db import migrations

from petition import roles


def make_roles(apps, schema_editor):
    roles.ensure(apps)


class Migration(migrations.Migration):
    """The groups of staff. A later permission comes with its migration, whose last step calls `roles.ensure` again."""

    dependencies = [
        ('petition', '0005_trace'),
        ('campaign', '0001_initial'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='outgoingmail',
            options={'permissions': [('retry_outgoingmail', 'Can have mails tried again')], 'verbose_name': 'outgoing mail', 'verbose_name_plural': 'outgoing mails'},
        ),
        migrations.AlterModelOptions(
            name='petition',
            options={'permissions': [('switch_petition', 'Can open, pause and close petitions, and set their goal'), ('change_collected_before', 'Can change what was collected before')], 'verbose_name': 'petition', 'verbose_name_plural': 'petitions'},
        ),
        migrations.AlterModelOptions(
            name='signature',
            options={'permissions': [('review_signature', 'Can approve and hide names and words'), ('hold_signature', 'Can hold and release signatures'), ('invalidate_signature', 'Can invalidate and restore signatures'), ('find_signature', 'Can find one signature by its address')], 'verbose_name': 'signature', 'verbose_name_plural': 'signatures'},
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
