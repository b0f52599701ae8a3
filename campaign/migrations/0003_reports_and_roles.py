from django.db import migrations

from petition import roles


def make_roles(apps, schema_editor):
    roles.ensure(apps)


class Migration(migrations.Migration):
    """A report goes with its signature, by whatever route that is deleted; and the roles that look after all this."""

    dependencies = [
        ('campaign', '0002_publication'),
        ('petition', '0010_switches'),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE campaign_report ADD CONSTRAINT a_report_goes_with_its_signature"
            " FOREIGN KEY (signature_id) REFERENCES petition_signature (id) ON DELETE CASCADE",
            "ALTER TABLE campaign_report DROP CONSTRAINT a_report_goes_with_its_signature",
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
