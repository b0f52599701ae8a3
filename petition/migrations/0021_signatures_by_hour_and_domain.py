from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Takes the place of `signatures_with_signals`, while signers are signing."""

    atomic = False

    dependencies = [
        ("petition", "0020_signals"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="signature",
            index=models.Index(
                models.F("created_at"),
                models.F("domain_digest"),
                condition=models.Q(
                    ("domain_digest__isnull", False), ("network_digest__isnull", False), _connector="OR"
                ),
                name="signatures_by_hour_and_domain",
            ),
        ),
    ]
