from django.db import migrations, models

import petition.models.mailing_list
import petition.models.random_ids

# PostgreSQL keeps samples of every column, for its plans; of these nothing may be kept that is deleted.
NO_SAMPLES = """
    ALTER TABLE petition_subscription ALTER box SET STATISTICS 0, ALTER leave_digest SET STATISTICS 0;
    ALTER TABLE petition_subscriptionrequest ALTER box SET STATISTICS 0, ALTER leave_digest SET STATISTICS 0;
"""


# New tables, and the name of a kind of mail: nothing is done to a table that signers use.
class Migration(migrations.Migration):
    dependencies = [("petition", "0008_review_claims")]

    operations = [
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        db_default=petition.models.random_ids.RandomId(),
                        default=petition.models.random_ids.random_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="No.",
                    ),
                ),
                ("box", models.BinaryField(help_text="A libsodium sealed box: only the organisers can open it.")),
                ("key", models.CharField(max_length=16, verbose_name="fingerprint of the key")),
                ("leave_digest", models.BinaryField(max_length=32, unique=True)),
                ("week", models.DateField(default=petition.models.mailing_list.this_monday)),
            ],
            options={
                "verbose_name": "mailing list",
                "verbose_name_plural": "mailing list",
                "permissions": [("export_mailing_list", "Can export the sealed mailing list")],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SubscriptionRequest",
            fields=[
                ("token_digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "box",
                    models.BinaryField(help_text="A libsodium sealed box: only the organisers can open it.", null=True),
                ),
                ("key", models.CharField(max_length=16)),
                ("leave_digest", models.BinaryField(max_length=32, null=True)),
                ("day", models.DateField(default=petition.models.mailing_list.today)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(box=None, leave_digest=None)
                        | models.Q(box__isnull=False, leave_digest__isnull=False),
                        name="a_pressed_request_holds_no_box",
                    )
                ],
            },
        ),
        migrations.AlterField(
            model_name="outgoingmail",
            name="kind",
            field=models.CharField(
                choices=[
                    ("sign", "after signing"),
                    ("withdraw", "to withdraw"),
                    ("subscribe", "to subscribe to updates"),
                ],
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.RunSQL(NO_SAMPLES, migrations.RunSQL.noop),
    ]
