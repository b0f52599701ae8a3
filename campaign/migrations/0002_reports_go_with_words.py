from django.db import migrations


class Migration(migrations.Migration):
    """A report goes with the words that it is about, by whatever route they are deleted."""

    dependencies = [("campaign", "0001_initial"), ("petition", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE campaign_report ADD CONSTRAINT a_report_goes_with_its_words"
            " FOREIGN KEY (shown_id) REFERENCES petition_shownwords (signature_id) ON DELETE CASCADE",
            "ALTER TABLE campaign_report DROP CONSTRAINT a_report_goes_with_its_words",
        ),
    ]
