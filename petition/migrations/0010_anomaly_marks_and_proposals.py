
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("petition", "0009_mailing_list"),
    ]

    operations = [
        migrations.CreateModel(
            name='AnomalyMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=10, verbose_name='kind')),
                ('name', models.CharField(max_length=24, verbose_name='group')),
                ('since', models.DateTimeField(verbose_name='from')),
                ('until', models.DateTimeField(verbose_name='until')),
                ('count', models.PositiveBigIntegerField(verbose_name='how many')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('username', models.CharField(max_length=150, verbose_name='who')),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
            ],
            options={
                'verbose_name': 'mark of a signal',
                'verbose_name_plural': 'marks of signals',
                'permissions': [('settle_signals', 'Can mark signals of fakes as settled')],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ProposedListing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=253, verbose_name='what')),
                ('network_digest', models.BinaryField(max_length=3, null=True)),
                ('day', models.DateField(null=True, verbose_name='day')),
                ('count', models.PositiveBigIntegerField(verbose_name='how many')),
                ('username', models.CharField(max_length=150, verbose_name='proposed by')),
                ('proposed_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='proposed at')),
                ('confirmed_at', models.DateTimeField(null=True, verbose_name='confirmed at')),
            ],
            options={
                'verbose_name': 'proposal for the lists',
                'verbose_name_plural': 'proposals for the lists',
                'permissions': [('propose_listing', 'Can propose to list a network or a mail domain'), ('confirm_listing', 'Can confirm proposals to list a network or a mail domain')],
                'default_permissions': (),
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('day', None), ('network_digest', None)), models.Q(('day__isnull', False), ('network_digest__isnull', False)), _connector='OR'), name='a_network_is_proposed_for_its_day'), models.UniqueConstraint(models.F('name'), models.F('day'), name='one_proposal_for_a_network'), models.UniqueConstraint(models.F('name'), condition=models.Q(('day', None)), name='one_proposal_for_a_domain')],
            },
        ),
    ]
