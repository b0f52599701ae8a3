from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('petition', '0013_review'),
    ]

    operations = [
        migrations.CreateModel(
            name='HeldSignature',
            fields=[
            ],
            options={
                'verbose_name': 'held signature',
                'verbose_name_plural': 'held signatures',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.signature',),
        ),
    ]
