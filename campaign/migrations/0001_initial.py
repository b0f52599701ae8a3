import campaign.models
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import parler.fields
import parler.models
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('petition', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Page',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('published_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: a draft, which nobody sees.', null=True, verbose_name='published at')),
                ('slug', models.SlugField(unique=True, validators=[campaign.models.refuse_taken], verbose_name='short name in links')),
            ],
            options={
                'verbose_name': 'page',
                'verbose_name_plural': 'pages',
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Partner',
            fields=[
                ('published_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: a draft, which nobody sees.', null=True, verbose_name='published at')),
                ('source', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='petition.source', verbose_name='source')),
                ('picture', models.BinaryField(null=True, verbose_name='picture')),
            ],
            options={
                'verbose_name': 'partner',
                'verbose_name_plural': 'partners',
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('shown', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='petition.shownwords', verbose_name='signature')),
                ('times', models.PositiveIntegerField(default=0, verbose_name='times reported')),
                ('reported_on', models.DateField(null=True, verbose_name='last reported on')),
            ],
            options={
                'verbose_name': 'reported words',
                'verbose_name_plural': 'reported words',
            },
        ),
        migrations.CreateModel(
            name='Testimony',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('published_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: a draft, which nobody sees.', null=True, verbose_name='published at')),
                ('slug', models.SlugField(help_text='For staff. It names nobody.', unique=True, verbose_name='short name')),
                ('source_url', models.URLField(blank=True, verbose_name='address of the source')),
            ],
            options={
                'verbose_name': 'testimony',
                'verbose_name_plural': 'testimonies',
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Update',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('published_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: a draft, which nobody sees.', null=True, verbose_name='published at')),
                ('slug', models.SlugField(unique=True, verbose_name='short name in links')),
            ],
            options={
                'verbose_name': 'update',
                'verbose_name_plural': 'updates',
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Figure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('published_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='In UTC. A time to come: shown from then on. Empty: a draft, which nobody sees.', null=True, verbose_name='published at')),
                ('slug', models.SlugField(help_text='Texts use it in braces, as {evacuated}.', verbose_name='name in texts')),
                ('number', models.PositiveIntegerField(blank=True, null=True, verbose_name='number')),
                ('day', models.DateField(blank=True, null=True, verbose_name='or day')),
                ('as_of', models.DateField(blank=True, help_text='When the number was right.', null=True, verbose_name='as of')),
                ('as_of_precision', models.CharField(choices=[('day', 'the day'), ('season', 'the season'), ('year', 'the year')], default='day', max_length=6, verbose_name='as of is exact to')),
                ('source_url', models.URLField(blank=True, verbose_name='address of the source')),
            ],
            options={
                'verbose_name': 'figure',
                'verbose_name_plural': 'figures',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('day__isnull', False), ('number', None)), models.Q(('day', None), ('number__isnull', False)), _connector='OR'), name='a_figure_is_a_number_or_a_day', violation_error_message='Give a number or a day, and not both.'), models.CheckConstraint(condition=models.Q(('number', None), ('as_of__isnull', False), _connector='OR'), name='a_number_says_when_it_was_right', violation_error_message='Say when the number was right.'), models.UniqueConstraint(models.F('slug'), models.F('published_at'), name='one_value_of_a_figure_at_a_time')],
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='FigureTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('label', models.CharField(max_length=200, verbose_name='what it counts')),
                ('source', models.CharField(max_length=200, verbose_name='source')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='campaign.figure')),
            ],
            options={
                'verbose_name': 'figure Translation',
                'db_table': 'campaign_figure_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('language_code', 'master'), name='campaign_figure_translation_uniq_lang')],
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='PageTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('description', models.CharField(blank=True, help_text='One sentence for search results and previews.', max_length=300, verbose_name='description')),
                ('body', models.TextField(help_text='Markdown. {name} stands for a figure.', verbose_name='text')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='campaign.page')),
            ],
            options={
                'verbose_name': 'page Translation',
                'db_table': 'campaign_page_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('language_code', 'master'), name='campaign_page_translation_uniq_lang')],
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='PartnerTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('text', models.TextField(help_text='Markdown: why your readers should sign.', max_length=600, verbose_name='text')),
                ('picture_alt', models.CharField(blank=True, help_text='For who cannot see it.', max_length=200, verbose_name='what the picture shows')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='campaign.partner')),
            ],
            options={
                'verbose_name': 'partner Translation',
                'db_table': 'campaign_partner_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('language_code', 'master'), name='campaign_partner_translation_uniq_lang')],
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='TestimonyTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('words', models.TextField(help_text='As they were published. Leave out what leads to a person.', max_length=600, verbose_name='words')),
                ('told_by', models.CharField(help_text='Without a name: “a survivor, April 2017”.', max_length=100, verbose_name='who said it')),
                ('source', models.CharField(max_length=200, verbose_name='source')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='campaign.testimony')),
            ],
            options={
                'verbose_name': 'testimony Translation',
                'db_table': 'campaign_testimony_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('language_code', 'master'), name='campaign_testimony_translation_uniq_lang')],
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='UpdateTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('description', models.CharField(help_text='One sentence for the list, search results and previews.', max_length=300, verbose_name='description')),
                ('body', models.TextField(help_text='Markdown. {name} stands for a figure.', verbose_name='text')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='campaign.update')),
            ],
            options={
                'verbose_name': 'update Translation',
                'db_table': 'campaign_update_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('language_code', 'master'), name='campaign_update_translation_uniq_lang')],
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
    ]
