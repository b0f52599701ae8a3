from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("petition", "0021_signatures_by_hour_and_domain"),
    ]

    operations = [
        RemoveIndexConcurrently(model_name="signature", name="signatures_with_signals"),
    ]
