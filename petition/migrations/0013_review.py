from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('petition', '0012_signatures_to_look_at'),
    ]

    operations = [
        migrations.CreateModel(
            name='Review',
            fields=[
            ],
            options={
                'verbose_name': 'name and words to review',
                'verbose_name_plural': 'names and words to review',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.signature',),
        ),
    ]
