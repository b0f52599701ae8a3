import django.core.validators
import django.db.models.deletion
import parler.fields
import parler.models
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models
from typing import Any


# As in 0002: of what is deleted PostgreSQL may keep no samples.
NO_SAMPLES = """
    ALTER TABLE petition_invalidationcampaign ALTER same_name SET STATISTICS 0, ALTER shape SET STATISTICS 0,
        ALTER same_words SET STATISTICS 0;
"""
REASONS = [
    ("Made by a program", "Создано программой"),
    ("One person many times", "Один человек много раз"),
    ("Names of nobody", "Имена ненастоящие"),
    ("Not sure: somebody else should look", "Есть сомнения: пусть посмотрят коллеги"),
    ("Looked at: these are people", "Проверено: это люди"),
    ("Decided by mistake", "Решено по ошибке"),
]


def write_reasons(apps: Any, schema_editor: Any) -> None:
    """The first canned reasons. Administrators change and delete them, so nothing brings them back."""
    reasons = apps.get_model("petition", "CannedReason")
    texts = apps.get_model("petition", "CannedReasonTranslation")
    for number, (english, russian) in enumerate(REASONS, 1):
        reason = reasons.objects.create(position=10 * number)
        for language, text in (("en", english), ("ru", russian)):
            texts.objects.create(master=reason, language_code=language, text=text)


class Migration(migrations.Migration):
    dependencies = [
        ("petition", "0014_funnel"),
    ]

    operations = [
        migrations.CreateModel(
            name="CannedReason",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField(default=100, verbose_name="place in the list")),
            ],
            options={
                "verbose_name": "canned reason",
                "verbose_name_plural": "canned reasons",
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name="CannedReasonTranslation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("language_code", models.CharField(db_index=True, max_length=15, verbose_name="Language")),
                (
                    "text",
                    models.CharField(
                        help_text="It is kept with each signature: name nobody in it.",
                        max_length=100,
                        verbose_name="reason",
                    ),
                ),
            ],
            options={
                "verbose_name": "canned reason Translation",
                "db_table": "petition_cannedreason_translation",
                "db_tablespace": "",
                "managed": True,
                "default_permissions": (),
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name="NamesRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user_id", models.BigIntegerField()),
                ("hour", models.DateTimeField()),
                ("pages", models.PositiveIntegerField()),
                ("names", models.PositiveIntegerField()),
                ("told_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="invalidationcampaign",
            options={
                "default_permissions": (),
                "permissions": [("oversee_campaigns", "Can see, approve, stop and undo moderation campaigns")],
                "verbose_name": "moderation campaign",
                "verbose_name_plural": "moderation campaigns",
            },
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="approved_by",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="canned_reason",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="effect",
            field=models.CharField(
                choices=[
                    ("hold", "hold: keep them out of the count for now"),
                    ("invalidate", "invalidate: stop counting them"),
                ],
                db_default="invalidate",
                default="invalidate",
                max_length=10,
                verbose_name="what to do",
            ),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="is_large",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="language",
            field=models.CharField(blank=True, db_default="", default="", max_length=10, verbose_name="language"),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="same_name",
            field=models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="same name"),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="same_words",
            field=models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="same words"),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="shape",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=100, verbose_name="names written alike"
            ),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="stop_reason",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=500, verbose_name="why it was stopped"
            ),
        ),
        migrations.AddField(
            model_name="invalidationcampaign",
            name="undone_by",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="staffaction",
            name="canned_reason",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="switches",
            name="campaign_share",
            field=models.PositiveIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="per cent of the count that one person may take out of it",
            ),
        ),
        migrations.AddField(
            model_name="switches",
            name="names_per_hour",
            field=models.PositiveIntegerField(
                blank=True,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(10000),
                ],
                verbose_name="names that an account reads in an hour",
            ),
        ),
        migrations.AlterField(
            model_name="invalidationcampaign",
            name="changed",
            field=models.PositiveBigIntegerField(default=0, verbose_name="how many changed"),
        ),
        migrations.AlterField(
            model_name="invalidationcampaign",
            name="restored",
            field=models.PositiveBigIntegerField(default=0, verbose_name="how many undone"),
        ),
        migrations.AlterField(
            model_name="signature",
            name="campaign",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="petition.invalidationcampaign",
                verbose_name="changed by campaign",
            ),
        ),
        migrations.AddConstraint(
            model_name="invalidationcampaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("approved_by", None),
                    models.Q(
                        ("asked_by__isnull", False), models.Q(("approved_by", models.F("asked_by")), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="nobody_approves_her_own_campaign",
            ),
        ),
        migrations.AddConstraint(
            model_name="invalidationcampaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_large", False), ("applied_at", None), ("approved_by__isnull", False), _connector="OR"
                ),
                name="a_large_campaign_is_applied_by_two",
            ),
        ),
        migrations.AddField(
            model_name="cannedreasontranslation",
            name="master",
            field=parler.fields.TranslationsForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="translations",
                to="petition.cannedreason",
            ),
        ),
        migrations.AddConstraint(
            model_name="namesread",
            constraint=models.UniqueConstraint(fields=("user_id", "hour"), name="one_row_for_an_account_and_an_hour"),
        ),
        migrations.AddConstraint(
            model_name="cannedreasontranslation",
            constraint=models.UniqueConstraint(
                fields=("language_code", "master"), name="petition_cannedreason_translation_uniq_lang"
            ),
        ),
        migrations.RunPython(write_reasons, migrations.RunPython.noop),
        migrations.RunSQL(NO_SAMPLES, migrations.RunSQL.noop),
        # Last, since it is what waits for the table of signatures, and signers then wait for it.
        pgtrigger.migrations.RemoveTrigger(
            model_name="signature",
            name="forget_campaign",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="signature",
            trigger=pgtrigger.compiler.Trigger(
                name="forget_campaign",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.campaign_id IS NOT NULL AND NEW.campaign_id = OLD.campaign_id AND ((NEW.invalidated_at, NEW.invalidated_reason) IS DISTINCT FROM (OLD.invalidated_at, OLD.invalidated_reason) OR OLD.invalidated_at IS NULL AND (NEW.held_at, NEW.held_reason) IS DISTINCT FROM (OLD.held_at, OLD.held_reason)))",
                    func="NEW.campaign_id = NULL; RETURN NEW;",
                    hash="719c1c2219034781c982f9dea8f68b1c58cf3a56",
                    operation='UPDATE OF "invalidated_at", "invalidated_reason", "held_at", "held_reason"',
                    pgid="pgtrigger_forget_campaign_87626",
                    table="petition_signature",
                    when="BEFORE",
                ),
            ),
        ),
    ]
