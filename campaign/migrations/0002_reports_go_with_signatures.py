from django.db import migrations


class Migration(migrations.Migration):
    """A report goes with its signature, by whatever route that is deleted."""

    dependencies = [("campaign", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE campaign_report ADD CONSTRAINT a_report_goes_with_its_signature"
            " FOREIGN KEY (signature_id) REFERENCES petition_signature (id) ON DELETE CASCADE",
            "ALTER TABLE campaign_report DROP CONSTRAINT a_report_goes_with_its_signature",
        ),
    ]
