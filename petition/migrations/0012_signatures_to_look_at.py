from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """For the two queues of moderators, while signers are signing."""

    atomic = False

    dependencies = [
        ("petition", "0011_counts"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="signature",
            index=models.Index(
                models.F("held_at"),
                models.F("id"),
                condition=models.Q(
                    ("confirmed_at__isnull", False),
                    ("invalidated_at", None),
                    models.Q(
                        ("held_at__isnull", False),
                        models.Q(
                            ("shows_name", True),
                            models.Q(
                                models.Q(("name", ""), _negated=True),
                                models.Q(("words", ""), _negated=True),
                                _connector="OR",
                            ),
                            ("reviewed_at", None),
                        ),
                        _connector="OR",
                    ),
                ),
                name="signatures_to_look_at",
            ),
        ),
    ]
