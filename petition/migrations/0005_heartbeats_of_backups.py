from django.db import migrations, models


# Only names of rows: nothing is done to the table.
class Migration(migrations.Migration):
    dependencies = [("petition", "0004_mail_answers")]

    operations = [
        migrations.AlterField(
            model_name="heartbeat",
            name="part",
            field=models.CharField(
                choices=[
                    ("web", "Web"),
                    ("mail", "Mail"),
                    ("fold", "Fold"),
                    ("taken", "Taken"),
                    ("refused", "Refused"),
                    ("backup", "Backup"),
                    ("no backup", "No Backup"),
                    ("drill", "Drill"),
                    ("no drill", "No Drill"),
                ],
                max_length=10,
                primary_key=True,
                serialize=False,
            ),
        ),
    ]
