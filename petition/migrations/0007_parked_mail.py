from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("petition", "0006_what_waits")]

    operations = [
        AddIndexConcurrently(
            model_name="outgoingmail",
            index=models.Index(
                "parked_at", condition=models.Q(("parked_at__isnull", False)), name="parked_mail_by_parked_at"
            ),
        ),
    ]
