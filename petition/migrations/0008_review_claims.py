from datetime import timedelta

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("petition", "0007_parked_mail")]

    operations = [
        migrations.CreateModel(
            name="ReviewClaim",
            fields=[
                (
                    "signature",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=models.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="petition.signature",
                    ),
                ),
                ("account_id", models.BigIntegerField()),
                ("until", models.DateTimeField(db_default=Now() + timedelta(minutes=10))),
            ],
            options={"default_permissions": ()},
        ),
        # Who read what must not reach the write-ahead log.
        migrations.RunSQL(
            "ALTER TABLE petition_reviewclaim SET UNLOGGED", "ALTER TABLE petition_reviewclaim SET LOGGED"
        ),
    ]
