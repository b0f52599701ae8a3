from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("petition", "0006_what_waits")]

    operations = [
        # Not CONCURRENTLY: sent means deleted, so the table is small, and what is left half done would stop the next one.
        migrations.AddIndex(
            model_name="outgoingmail",
            index=models.Index(
                "parked_at", condition=models.Q(("parked_at__isnull", False)), name="parked_mail_by_parked_at"
            ),
        ),
    ]
