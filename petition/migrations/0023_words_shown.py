from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("petition", "0022_without_signatures_with_signals"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="signature",
            index=models.Index(
                F("approved_at").desc(),
                F("id").desc(),
                condition=Q(confirmed_at__isnull=False, held_at=None, invalidated_at=None)
                & (Q(shows_name=True, approved_at__isnull=False) & ~Q(words="")),
                name="words_shown",
            ),
        ),
    ]
