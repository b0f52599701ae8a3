from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('petition', '0015_campaigns'),
    ]

    operations = [
        migrations.CreateModel(
            name='SoughtSignature',
            fields=[
            ],
            options={
                'verbose_name': 'find one signature',
                'verbose_name_plural': 'find one signature',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.signature',),
        ),
    ]
