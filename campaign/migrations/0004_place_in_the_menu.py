import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaign', '0003_reports_of_words'),
    ]

    operations = [
        migrations.AddField(
            model_name='page',
            name='menu',
            field=models.CharField(blank=True, choices=[('campaign', 'The campaign'), ('take-part', 'Take part'), ('site', 'This site')], db_default='', default='', help_text='The column at the foot of every page in which it is named. Empty: only links in texts lead to it.', max_length=10, verbose_name='place in the menu'),
        ),
        migrations.AlterField(
            model_name='figure',
            name='published_at',
            field=models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish.', null=True, verbose_name='published at'),
        ),
        migrations.AlterField(
            model_name='page',
            name='published_at',
            field=models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish.', null=True, verbose_name='published at'),
        ),
        migrations.AlterField(
            model_name='partner',
            name='published_at',
            field=models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish.', null=True, verbose_name='published at'),
        ),
        migrations.AlterField(
            model_name='testimony',
            name='published_at',
            field=models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish.', null=True, verbose_name='published at'),
        ),
        migrations.AlterField(
            model_name='update',
            name='published_at',
            field=models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: from the moment that you press Publish.', null=True, verbose_name='published at'),
        ),
    ]
