import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import parler.fields
import parler.models
import petition.models.audit
import petition.models.live_settings
import petition.models.random_ids
import petition.models.signature
import petition.models.withdrawn
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DailySalt',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('salt', models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name='ForgottenHour',
            fields=[
                ('hour', models.DateTimeField(primary_key=True, serialize=False)),
                ('first_transaction', models.BigIntegerField()),
                ('own_transactions', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('part', models.CharField(choices=[('web', 'Web'), ('mail', 'Mail'), ('fold', 'Fold')], max_length=10, primary_key=True, serialize=False)),
                ('beat_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='KeyFingerprint',
            fields=[
                ('name', models.CharField(max_length=30, primary_key=True, serialize=False)),
                ('fingerprint', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='LanguageApproval',
            fields=[
                ('language', models.CharField(max_length=7, primary_key=True, serialize=False, verbose_name='language')),
                ('approved_on', models.DateField(default=django.utils.timezone.localdate, editable=False, verbose_name='approved on')),
            ],
            options={
                'verbose_name': 'approved language',
                'verbose_name_plural': 'approved languages',
            },
        ),
        migrations.CreateModel(
            name='ListedDomain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verdict', models.CharField(choices=[('allow', 'never limited, never held'), ('block', 'held for review')], max_length=5, verbose_name='list')),
                ('ends_on', models.DateField(default=petition.models.live_settings.in_30_days, help_text='The last day, in UTC. Deleted afterwards.', verbose_name='until')),
                ('domain', models.CharField(help_text='As example.org; with *. in front also all below it.', max_length=253, unique=True, verbose_name='mail domain')),
            ],
            options={
                'verbose_name': 'listed mail domain',
                'verbose_name_plural': 'listed mail domains',
            },
        ),
        migrations.CreateModel(
            name='ListedNetwork',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verdict', models.CharField(choices=[('allow', 'never limited, never held'), ('block', 'held for review')], max_length=5, verbose_name='list')),
                ('ends_on', models.DateField(default=petition.models.live_settings.in_30_days, help_text='The last day, in UTC. Deleted afterwards.', verbose_name='until')),
                ('network', models.CharField(help_text='As 192.0.2.0/24 or 2001:db8::/32.', max_length=43, unique=True, verbose_name='network')),
            ],
            options={
                'verbose_name': 'listed network',
                'verbose_name_plural': 'listed networks',
            },
        ),
        migrations.CreateModel(
            name='OutboxKey',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('public', models.BinaryField(max_length=32)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Petition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(unique=True, verbose_name='short name in links')),
                ('opened_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='opened at')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='closed at')),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='ended at')),
                ('paused_at', models.DateTimeField(blank=True, null=True, verbose_name='paused at')),
                ('collected_before', models.PositiveIntegerField(default=0, help_text='Signatures collected elsewhere before this site opened.', verbose_name='collected before')),
                ('collected_before_on', models.DateField(blank=True, null=True, verbose_name='collected before, as of')),
                ('goal', models.PositiveIntegerField(blank=True, help_text='Empty: the next round number above the total.', null=True, verbose_name='goal')),
            ],
            options={
                'verbose_name': 'petition',
                'verbose_name_plural': 'petitions',
                'permissions': [('switch_petition', 'Can open, pause and close petitions, and set their goal'), ('change_collected_before', 'Can change what was collected before')],
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='Retention',
            fields=[
                ('kind', models.CharField(max_length=60, primary_key=True, serialize=False, verbose_name='kind')),
                ('ran_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='last ran at')),
            ],
            options={
                'verbose_name': 'when data is deleted',
                'verbose_name_plural': 'when data is deleted',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Signature',
            fields=[
                ('id', models.BigIntegerField(db_default=petition.models.random_ids.RandomId(), default=petition.models.random_ids.random_id, editable=False, primary_key=True, serialize=False)),
                ('email_digest', models.BinaryField(max_length=32, null=True)),
                ('country', models.CharField(blank=True, db_default='', default='', max_length=2, verbose_name='country')),
                ('language', models.CharField(max_length=10, verbose_name='language')),
                ('source', models.CharField(blank=True, db_default='', default='', max_length=24, verbose_name='source')),
                ('consent_version', models.PositiveSmallIntegerField(verbose_name='consent version')),
                ('created_at', models.DateTimeField(default=petition.models.signature.this_hour, verbose_name='signed at')),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='confirmed at')),
                ('held_at', models.DateTimeField(blank=True, null=True, verbose_name='held at')),
                ('held_reason', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='reason for holding')),
                ('released_at', models.DateTimeField(blank=True, null=True, verbose_name='released at')),
                ('invalidated_at', models.DateTimeField(blank=True, null=True, verbose_name='invalidated at')),
                ('invalidated_reason', models.CharField(blank=True, db_default='', default='', max_length=200, verbose_name='reason for invalidating')),
                ('domain_digest', models.BinaryField(max_length=32, null=True)),
                ('network_digest', models.BinaryField(max_length=3, null=True)),
            ],
            options={
                'verbose_name': 'signature',
                'verbose_name_plural': 'signatures',
                'permissions': [('review_signature', 'Can approve and hide names and words'), ('hold_signature', 'Can hold and release signatures'), ('invalidate_signature', 'Can invalidate and restore signatures'), ('find_signature', 'Can find one signature by its address')],
            },
        ),
        migrations.CreateModel(
            name='Source',
            fields=[
                ('slug', models.CharField(max_length=24, primary_key=True, serialize=False, validators=[django.core.validators.RegexValidator('^[a-z0-9-]{1,24}\\Z')], verbose_name='tag')),
                ('title', models.CharField(max_length=100, verbose_name='partner')),
            ],
            options={
                'verbose_name': 'source',
                'verbose_name_plural': 'sources',
            },
        ),
        migrations.CreateModel(
            name='StaffAction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('done_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('user_id', models.BigIntegerField(null=True, verbose_name='account')),
                ('username', models.CharField(blank=True, max_length=150, verbose_name='who')),
                ('action', models.CharField(choices=petition.models.audit.actions, max_length=30, verbose_name='action')),
                ('petition', models.CharField(blank=True, max_length=50, verbose_name='petition')),
                ('about', models.CharField(blank=True, max_length=200, verbose_name='about')),
                ('detail', models.CharField(blank=True, max_length=1000, verbose_name='detail')),
                ('count', models.PositiveBigIntegerField(null=True, verbose_name='how many')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
            ],
            options={
                'verbose_name': 'entry of the audit log',
                'verbose_name_plural': 'audit log',
            },
        ),
        migrations.CreateModel(
            name='Switches',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rate_per_network', models.CharField(blank=True, default='', max_length=20, validators=[django.core.validators.RegexValidator('^(0|[1-9][0-9]*/[smhd])\\Z', 'Write it as 300/h, with s, m, h or d for the period; 0 is no limit.')], verbose_name='signing and asking, per network')),
                ('burst_per_network', models.CharField(blank=True, default='', max_length=20, validators=[django.core.validators.RegexValidator('^(0|[1-9][0-9]*/[smhd])\\Z', 'Write it as 300/h, with s, m, h or d for the period; 0 is no limit.')], verbose_name='the same, in a short time')),
                ('mails_per_address', models.CharField(blank=True, default='', max_length=20, validators=[django.core.validators.RegexValidator('^(0|[1-9][0-9]*/[smhd])\\Z', 'Write it as 300/h, with s, m, h or d for the period; 0 is no limit.')], verbose_name='mails, per address and kind')),
                ('hold_per_network', models.CharField(blank=True, default='', max_length=20, validators=[django.core.validators.RegexValidator('^(0|[1-9][0-9]*/[smhd])\\Z', 'Write it as 300/h, with s, m, h or d for the period; 0 is no limit.')], verbose_name='confirmations, per network, before the rest is held')),
            ],
            options={
                'verbose_name': 'live settings',
                'verbose_name_plural': 'live settings',
            },
            bases=(parler.models.TranslatableModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='SwitchesTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('banner', models.CharField(blank=True, help_text='One sentence, shown on top of every page.', max_length=300, verbose_name='banner')),
            ],
            options={
                'verbose_name': 'live settings Translation',
                'db_table': 'petition_switches_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='TallyChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('country', models.CharField(max_length=2)),
                ('language', models.CharField(max_length=10)),
                ('source', models.CharField(max_length=24)),
                ('measure', models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12)),
                ('amount', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Withdrawn',
            fields=[
                ('id', models.BigIntegerField(default=petition.models.withdrawn.random_id, primary_key=True, serialize=False)),
                ('digest', models.CharField(max_length=64)),
                ('hour', models.DateTimeField(default=petition.models.signature.this_hour)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='AddressMark',
            fields=[
                ('id', models.BigIntegerField(db_default=petition.models.random_ids.RandomId(), default=petition.models.random_ids.random_id, editable=False, primary_key=True, serialize=False)),
                ('email_digest', models.BinaryField(max_length=32)),
                ('kind', models.CharField(choices=[('no_mail', 'asked for no mail'), ('hold', 'held if it returns')], max_length=10, verbose_name='kind')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'address mark',
                'verbose_name_plural': 'address marks',
                'constraints': [models.UniqueConstraint(models.F('email_digest'), models.F('kind'), name='one_mark_of_a_kind_per_address')],
            },
        ),
        migrations.CreateModel(
            name='CountsToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Who will read with it: a dashboard, a partner.', max_length=100, unique=True, verbose_name='name')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='made at')),
                ('revoked_at', models.DateTimeField(editable=False, null=True, verbose_name='revoked at')),
                ('last_used_on', models.DateField(editable=False, null=True, verbose_name='last used on')),
                ('created_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL, verbose_name='made by')),
            ],
            options={
                'verbose_name': 'token for counts',
                'verbose_name_plural': 'tokens for counts',
                'default_permissions': ('add', 'change', 'view'),
            },
        ),
        migrations.CreateModel(
            name='Lookup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked_by', models.BigIntegerField(verbose_name='asked by')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='asked at')),
                ('address', models.BinaryField(help_text='A libsodium sealed box: only the worker with its key can open it.')),
                ('approved_by', models.BigIntegerField(null=True, verbose_name='approved by')),
                ('approved_at', models.DateTimeField(null=True, verbose_name='approved at')),
                ('answered_at', models.DateTimeField(null=True, verbose_name='answered at')),
                ('email_digest', models.BinaryField(max_length=32, null=True)),
                ('key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to='petition.outboxkey')),
            ],
            options={
                'verbose_name': 'find one signature',
                'verbose_name_plural': 'find one signature',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='PublishedCount',
            fields=[
                ('petition', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='petition.petition')),
                ('counted', models.BigIntegerField(default=0)),
                ('lag', models.PositiveSmallIntegerField()),
                ('secret', models.BinaryField(max_length=32)),
                ('checked_at', models.DateTimeField()),
                ('week', models.DateField()),
                ('final_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='TotalTally',
            fields=[
                ('petition', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='petition.petition')),
                ('counted', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='OutgoingMail',
            fields=[
                ('id', models.BigIntegerField(db_default=petition.models.random_ids.RandomId(), default=petition.models.random_ids.random_id, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('sign', 'after signing'), ('withdraw', 'to withdraw')], max_length=10, verbose_name='kind')),
                ('recipient', models.BinaryField(help_text='A libsodium sealed box: only the worker with its key can open it.')),
                ('language', models.CharField(max_length=10, verbose_name='language')),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='due at')),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='attempts')),
                ('last_status', models.PositiveSmallIntegerField(help_text='The SMTP status code of the last attempt; its text would quote the address.', null=True, verbose_name='last status')),
                ('parked_at', models.DateTimeField(null=True, verbose_name='parked at')),
                ('key', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to='petition.outboxkey', verbose_name='key')),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition', verbose_name='petition')),
            ],
            options={
                'verbose_name': 'outgoing mail',
                'verbose_name_plural': 'outgoing mails',
                'permissions': [('retry_outgoingmail', 'Can have mails tried again')],
            },
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('token_digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('code_digest', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('kind', models.CharField(choices=[('sign', 'to confirm'), ('withdraw', 'to withdraw')], max_length=10)),
                ('email_digest', models.BinaryField(max_length=32, null=True)),
                ('name', models.CharField(blank=True, db_default='', default='', max_length=100)),
                ('words', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('country', models.CharField(blank=True, db_default='', default='', max_length=2)),
                ('language', models.CharField(blank=True, db_default='', default='', max_length=10)),
                ('created_at', models.DateTimeField(default=petition.models.signature.this_hour)),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='InvalidationCampaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='made at')),
                ('state', models.CharField(blank=True, choices=[('', 'counted or held'), ('counted', 'counted'), ('held', 'held')], default='', max_length=10, verbose_name='state')),
                ('domain', models.CharField(blank=True, default='', max_length=253, verbose_name='mail domain')),
                ('domain_digests', models.BinaryField(default=b'')),
                ('network_digest', models.BinaryField(max_length=32, null=True)),
                ('country', models.CharField(blank=True, default='', max_length=2, verbose_name='country')),
                ('source', models.CharField(blank=True, default='', max_length=24, verbose_name='source')),
                ('signed_since', models.DateTimeField(blank=True, null=True, verbose_name='signed from')),
                ('signed_until', models.DateTimeField(blank=True, null=True, verbose_name='signed before')),
                ('name_pattern', models.CharField(blank=True, default='', max_length=100, verbose_name='name')),
                ('applied_at', models.DateTimeField(null=True, verbose_name='applied at')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished at')),
                ('cancelled_at', models.DateTimeField(null=True, verbose_name='cancelled at')),
                ('undone_at', models.DateTimeField(null=True, verbose_name='undone at')),
                ('undo_finished_at', models.DateTimeField(null=True, verbose_name='undo finished at')),
                ('faded_at', models.DateTimeField(null=True, verbose_name='faded at')),
                ('asked_by', models.BigIntegerField(null=True)),
                ('reached', models.BigIntegerField(default=0)),
                ('last_id', models.BigIntegerField(default=0)),
                ('first_id', models.BigIntegerField(null=True)),
                ('changed', models.PositiveBigIntegerField(default=0, verbose_name='how many invalidated')),
                ('restored', models.PositiveBigIntegerField(default=0, verbose_name='how many restored')),
                ('petition', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='petition.petition', verbose_name='petition')),
            ],
            options={
                'verbose_name': 'invalidation campaign',
                'verbose_name_plural': 'invalidation campaigns',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='HourTally',
            fields=[
                ('pk', models.CompositePrimaryKey('petition_id', 'hour', 'measure', blank=True, editable=False, primary_key=True, serialize=False)),
                ('hour', models.DateTimeField()),
                ('measure', models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12)),
                ('amount', models.BigIntegerField()),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
        ),
        migrations.CreateModel(
            name='DayTally',
            fields=[
                ('pk', models.CompositePrimaryKey('petition_id', 'day', 'country', 'language', 'source', 'measure', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('country', models.CharField(max_length=2)),
                ('language', models.CharField(max_length=10)),
                ('source', models.CharField(max_length=24)),
                ('measure', models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12)),
                ('amount', models.BigIntegerField()),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
        ),
        migrations.CreateModel(
            name='Counts',
            fields=[
            ],
            options={
                'verbose_name': 'counts',
                'verbose_name_plural': 'counts',
                'proxy': True,
                'default_permissions': ('view',),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.petition',),
        ),
        migrations.CreateModel(
            name='PetitionTranslation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('language_code', models.CharField(db_index=True, max_length=15, verbose_name='Language')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('addressee', models.CharField(blank=True, max_length=200, verbose_name='addressee')),
                ('demand', models.TextField(help_text='Plain paragraphs, separated by an empty line.', verbose_name='demand')),
                ('plan', models.TextField(blank=True, db_default='', help_text='To whom it is handed, when, and what follows. Plain paragraphs. Empty: nothing is said of it.', verbose_name='what happens with the number')),
                ('thanks', models.TextField(blank=True, verbose_name='thanks')),
                ('pause_notice', models.CharField(blank=True, db_default='', help_text='Why, and when to come back. Empty: a general sentence.', max_length=300, verbose_name='notice while signing is paused')),
                ('collected_before_source', models.CharField(blank=True, max_length=200, verbose_name='source of the signatures collected before')),
                ('master', parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='petition.petition')),
            ],
            options={
                'verbose_name': 'petition Translation',
                'db_table': 'petition_petition_translation',
                'db_tablespace': '',
                'managed': True,
                'default_permissions': (),
            },
            bases=(parler.models.TranslatedFieldsModelMixin, models.Model),
        ),
        migrations.CreateModel(
            name='PublishedCell',
            fields=[
                ('pk', models.CompositePrimaryKey('petition_id', 'week', 'country', 'language', 'source', 'measure', blank=True, editable=False, primary_key=True, serialize=False)),
                ('week', models.DateField()),
                ('country', models.CharField(max_length=2)),
                ('language', models.CharField(max_length=10)),
                ('source', models.CharField(max_length=24)),
                ('measure', models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12)),
                ('amount', models.BigIntegerField()),
                ('shown', models.BigIntegerField()),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
        ),
        migrations.CreateModel(
            name='PublishedHour',
            fields=[
                ('pk', models.CompositePrimaryKey('petition_id', 'hour', blank=True, editable=False, primary_key=True, serialize=False)),
                ('hour', models.DateTimeField()),
                ('counted', models.BigIntegerField()),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
        ),
        migrations.CreateModel(
            name='PublishedWeek',
            fields=[
                ('pk', models.CompositePrimaryKey('petition_id', 'week', 'measure', blank=True, editable=False, primary_key=True, serialize=False)),
                ('week', models.DateField()),
                ('measure', models.CharField(choices=[('counted', 'counted'), ('signed', 'signed'), ('confirmed', 'confirmed'), ('withdrawn', 'withdrawn'), ('lapsed', 'lapsed'), ('held', 'held'), ('released', 'released'), ('invalidated', 'invalidated'), ('restored', 'restored'), ('held_gone', 'withdrawn while held'), ('invalid_gone', 'withdrawn while invalidated')], max_length=12)),
                ('amount', models.BigIntegerField()),
                ('shown', models.BigIntegerField()),
                ('petition', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='petition.petition')),
            ],
        ),
        migrations.CreateModel(
            name='SeenDomain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('name', models.CharField(max_length=253, verbose_name='mail domain')),
                ('shared_on', models.DateField(verbose_name='last shared by 20 on')),
            ],
            options={
                'verbose_name': 'known mail domain',
                'verbose_name_plural': 'known mail domains',
                'default_permissions': (),
                'constraints': [models.CheckConstraint(condition=models.Q(('digest__length', 32)), name='a_domain_digest_has_32_bytes')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='seendomain',
            trigger=pgtrigger.compiler.Trigger(name='only_shared_domains', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n                    IF (\n    SELECT count(DISTINCT seen.email_digest)\n    FROM (\n        SELECT signature.email_digest\n        FROM generate_series(0, 23) AS clock,\n        LATERAL (\n            SELECT email_digest FROM petition_signature\n            WHERE created_at = (NEW.shared_on::timestamp AT TIME ZONE 'UTC') + make_interval(hours => clock)\n                AND domain_digest = NEW.digest\n            LIMIT 100\n        ) AS signature\n        LIMIT 100\n    ) AS seen\n) < 20 THEN\n                        RAISE EXCEPTION 'Fewer than 20 mailboxes shared this mail domain on that day.'\n                            USING ERRCODE = 'check_violation';\n                    END IF;\n                    RETURN NEW;\n                ", hash='fede3ec8fc7f06fc25b68d0241fd9520344e37d7', operation='INSERT OR UPDATE', pgid='pgtrigger_only_shared_domains_f9820', table='petition_seendomain', when='BEFORE')),
        ),
        migrations.CreateModel(
            name='ShownWords',
            fields=[
                ('signature', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='shown', serialize=False, to='petition.signature', verbose_name='signature')),
                ('name', models.CharField(blank=True, db_default='', default='', max_length=100, verbose_name='name')),
                ('words', models.CharField(blank=True, db_default='', default='', max_length=500, verbose_name='words of support')),
                ('language', models.CharField(max_length=10, verbose_name='language')),
                ('asked_at', models.DateTimeField(default=petition.models.signature.this_hour, verbose_name='asked for at')),
                ('approved_at', models.DateTimeField(blank=True, null=True, verbose_name='approved at')),
            ],
            options={
                'verbose_name': 'name and words',
                'verbose_name_plural': 'names and words',
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='signature',
            name='campaign',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='petition.invalidationcampaign', verbose_name='invalidated by campaign'),
        ),
        migrations.AddField(
            model_name='signature',
            name='petition',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='petition.petition', verbose_name='petition'),
        ),
        migrations.AddField(
            model_name='outgoingmail',
            name='signature',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to='petition.signature', verbose_name='signature'),
        ),
        migrations.AddField(
            model_name='link',
            name='signature',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to='petition.signature'),
        ),
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
        migrations.CreateModel(
            name='Signals',
            fields=[
            ],
            options={
                'verbose_name': 'signals of fakes',
                'verbose_name_plural': 'signals of fakes',
                'permissions': [('view_signals', 'Can see which groups of signatures stand out')],
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('petition.signature',),
        ),
        migrations.AddIndex(
            model_name='staffaction',
            index=models.Index(models.F('done_at'), name='audit_log_by_time'),
        ),
        migrations.AddIndex(
            model_name='staffaction',
            index=models.Index(models.F('user_id'), models.F('done_at'), name='audit_log_by_account'),
        ),
        migrations.AddIndex(
            model_name='staffaction',
            index=models.Index(models.F('action'), models.F('done_at'), name='audit_log_by_action'),
        ),
        migrations.AddIndex(
            model_name='staffaction',
            index=models.Index(models.F('petition'), models.F('done_at'), name='audit_log_by_petition'),
        ),
        migrations.AddIndex(
            model_name='staffaction',
            index=models.Index(models.F('about'), models.F('done_at'), name='audit_log_by_subject'),
        ),
        migrations.AddConstraint(
            model_name='staffaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('detail__contains', '@'), _negated=True), models.Q(('reason__contains', '@'), _negated=True)), name='the_audit_log_holds_no_address'),
        ),
        migrations.AddConstraint(
            model_name='switches',
            constraint=models.CheckConstraint(condition=models.Q(('id', 1)), name='there_is_one_row_of_switches'),
        ),
        migrations.AddField(
            model_name='switchestranslation',
            name='master',
            field=parler.fields.TranslationsForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='translations', to='petition.switches'),
        ),
        migrations.AddField(
            model_name='tallychange',
            name='petition',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='petition.petition'),
        ),
        migrations.AddConstraint(
            model_name='lookup',
            constraint=models.CheckConstraint(condition=models.Q(('approved_by', None), models.Q(('approved_by', models.F('asked_by')), _negated=True), _connector='OR'), name='nobody_approves_her_own_question'),
        ),
        migrations.AddConstraint(
            model_name='lookup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answered_at', None), ('email_digest', None)), models.Q(('address', b''), ('answered_at__isnull', False), ('email_digest__isnull', False), ('key', None)), _connector='OR'), name='an_answered_question_holds_no_address'),
        ),
        migrations.AddConstraint(
            model_name='invalidationcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('finished_at', None), models.Q(('applied_at__isnull', False), ('cancelled_at', None)), _connector='OR'), name='only_applied_campaigns_are_finished'),
        ),
        migrations.AddConstraint(
            model_name='invalidationcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('undone_at', None), models.Q(('applied_at__isnull', False), ('finished_at__isnull', False)), models.Q(('applied_at__isnull', False), ('cancelled_at__isnull', False)), _connector='OR'), name='only_ended_campaigns_are_undone'),
        ),
        migrations.AddConstraint(
            model_name='invalidationcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('undo_finished_at', None), ('undone_at__isnull', False), _connector='OR'), name='only_undone_campaigns_finish_that'),
        ),
        migrations.AddConstraint(
            model_name='invalidationcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('restored__lte', models.F('changed'))), name='no_more_is_restored_than_was_invalidated'),
        ),
        migrations.AddConstraint(
            model_name='petitiontranslation',
            constraint=models.UniqueConstraint(fields=('language_code', 'master'), name='petition_petition_translation_uniq_lang'),
        ),
        migrations.AddIndex(
            model_name='shownwords',
            index=models.Index(models.F('asked_at'), models.F('signature'), condition=models.Q(('approved_at', None)), name='words_to_review'),
        ),
        migrations.AddIndex(
            model_name='shownwords',
            index=models.Index(models.OrderBy(models.F('approved_at'), descending=True), models.OrderBy(models.F('signature'), descending=True), condition=models.Q(('approved_at__isnull', False), models.Q(('words', ''), _negated=True)), name='words_shown'),
        ),
        migrations.AddConstraint(
            model_name='shownwords',
            constraint=models.CheckConstraint(condition=models.Q(('name', ''), ('words', ''), _negated=True), name='there_is_a_name_or_words_to_show'),
        ),
        migrations.AddConstraint(
            model_name='shownwords',
            constraint=models.CheckConstraint(condition=models.Q(petition.models.signature.WholeHour('asked_at'), petition.models.signature.WholeHour('approved_at')), name='times_of_words_are_whole_hours'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='shownwords',
            trigger=pgtrigger.compiler.Trigger(name='clear_approval', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."words" IS DISTINCT FROM (NEW."words"))', func='NEW.approved_at = NULL; RETURN NEW;', hash='ecb9ae36ee2fe52be4179ccac4d2ba852924c6d0', operation='UPDATE OF "name", "words"', pgid='pgtrigger_clear_approval_30295', table='petition_shownwords', when='BEFORE')),
        ),
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
            bases=('petition.shownwords',),
        ),
        migrations.AddIndex(
            model_name='signature',
            index=models.Index(models.F('email_digest'), models.F('created_at'), condition=models.Q(('confirmed_at', None)), name='pending_signatures'),
        ),
        migrations.AddIndex(
            model_name='signature',
            index=models.Index(models.F('created_at'), models.F('domain_digest'), condition=models.Q(('domain_digest__isnull', False), ('network_digest__isnull', False), _connector='OR'), name='signatures_by_hour_and_domain'),
        ),
        migrations.AddIndex(
            model_name='signature',
            index=models.Index(models.F('created_at'), models.F('id'), name='signatures_by_hour'),
        ),
        migrations.AddIndex(
            model_name='signature',
            index=models.Index(models.F('held_at'), models.F('id'), condition=models.Q(('held_at__isnull', False), ('invalidated_at', None)), name='signatures_held'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.UniqueConstraint(models.F('petition'), models.F('email_digest'), condition=models.Q(('confirmed_at__isnull', False)), name='one_confirmed_signature_per_address'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('held_at', None), ('confirmed_at__isnull', False), _connector='OR'), name='only_confirmed_signatures_are_held'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('invalidated_at', None), ('confirmed_at__isnull', False), _connector='OR'), name='only_confirmed_signatures_are_invalidated'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(petition.models.signature.WholeHour('created_at'), petition.models.signature.WholeHour('confirmed_at'), petition.models.signature.WholeHour('held_at'), petition.models.signature.WholeHour('released_at'), petition.models.signature.WholeHour('invalidated_at')), name='signature_times_are_whole_hours'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('email_digest__length', 32)), name='an_email_digest_has_32_bytes'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('confirmed_at', None), ('email_digest__isnull', False), _connector='OR'), name='a_confirmed_signature_has_a_digest'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='ledger_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)\n        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)\n        FROM new_rows n LEFT JOIN new_rows o ON false,\n        LATERAL (VALUES (n.petition_id, n.confirmed_at, n.country, n.language, n.source, 'counted', 1, n.confirmed_at IS NOT NULL AND n.held_at IS NULL AND n.invalidated_at IS NULL),\n(n.petition_id, n.created_at, n.country, n.language, n.source, 'signed', 1, true),\n(n.petition_id, n.confirmed_at, n.country, n.language, n.source, 'confirmed', 1, n.confirmed_at IS NOT NULL AND o.confirmed_at IS NULL),\n(n.petition_id, n.held_at, n.country, n.language, n.source, 'held', 1, n.held_at IS NOT NULL AND o.held_at IS NULL),\n(n.petition_id, n.invalidated_at, n.country, n.language, n.source, 'invalidated', 1, n.invalidated_at IS NOT NULL AND o.invalidated_at IS NULL)) AS c (petition_id, hour, country, language, source, measure, amount, applies)\n        WHERE c.applies\n        GROUP BY 1, 2, 3, 4, 5, 6\n        HAVING sum(c.amount) <> 0;\n        RETURN NULL;\n    ", hash='8cc810b0f61df252942a5a223bccc6f108af2c3b', level='STATEMENT', operation='INSERT', pgid='pgtrigger_ledger_insert_c4829', referencing='REFERENCING NEW TABLE AS new_rows ', table='petition_signature', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='ledger_update', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)\n        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)\n        FROM old_rows o JOIN new_rows n ON n.id = o.id,\n        LATERAL (VALUES (o.petition_id, o.confirmed_at, o.country, o.language, o.source, 'counted', -1, o.confirmed_at IS NOT NULL AND o.held_at IS NULL AND o.invalidated_at IS NULL),\n(n.petition_id, n.confirmed_at, n.country, n.language, n.source, 'counted', 1, n.confirmed_at IS NOT NULL AND n.held_at IS NULL AND n.invalidated_at IS NULL),\n(n.petition_id, n.confirmed_at, n.country, n.language, n.source, 'confirmed', 1, n.confirmed_at IS NOT NULL AND o.confirmed_at IS NULL),\n(n.petition_id, n.held_at, n.country, n.language, n.source, 'held', 1, n.held_at IS NOT NULL AND o.held_at IS NULL),\n(n.petition_id, date_trunc('hour', now(), 'UTC'), n.country, n.language, n.source, 'released', 1, n.held_at IS NULL AND o.held_at IS NOT NULL),\n(n.petition_id, n.invalidated_at, n.country, n.language, n.source, 'invalidated', 1, n.invalidated_at IS NOT NULL AND o.invalidated_at IS NULL),\n(n.petition_id, date_trunc('hour', now(), 'UTC'), n.country, n.language, n.source, 'restored', 1, n.invalidated_at IS NULL AND o.invalidated_at IS NOT NULL)) AS c (petition_id, hour, country, language, source, measure, amount, applies)\n        WHERE c.applies\n        GROUP BY 1, 2, 3, 4, 5, 6\n        HAVING sum(c.amount) <> 0;\n        RETURN NULL;\n    ", hash='69091bad400681d1bb204413d51923dd8920de09', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_ledger_update_d2994', referencing='REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ', table='petition_signature', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='ledger_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n        INSERT INTO petition_tallychange (petition_id, hour, country, language, source, measure, amount)\n        SELECT c.petition_id, c.hour, c.country, c.language, c.source, c.measure, sum(c.amount)\n        FROM old_rows o,\n        LATERAL (VALUES (o.petition_id, o.confirmed_at, o.country, o.language, o.source, 'counted', -1, o.confirmed_at IS NOT NULL AND o.held_at IS NULL AND o.invalidated_at IS NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'withdrawn', 1, o.confirmed_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'held_gone', 1, o.held_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'invalid_gone', 1, o.invalidated_at IS NOT NULL),\n(o.petition_id, date_trunc('hour', now(), 'UTC'), o.country, o.language, o.source, 'lapsed', 1, o.confirmed_at IS NULL)) AS c (petition_id, hour, country, language, source, measure, amount, applies)\n        WHERE c.applies\n        GROUP BY 1, 2, 3, 4, 5, 6\n        HAVING sum(c.amount) <> 0;\n        RETURN NULL;\n    ", hash='c132e723fc76a700c6c2fde34a6112f9fe7b7144', level='STATEMENT', operation='DELETE', pgid='pgtrigger_ledger_delete_bf791', referencing='REFERENCING OLD TABLE AS old_rows ', table='petition_signature', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='refuse_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Signatures are deleted, never truncated: the count would not hear of it.';", hash='c2083c99837188fffb0995687bced20094e217c2', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_refuse_truncate_5b833', table='petition_signature', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='refuse_another_id', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id"))', func="RAISE EXCEPTION 'A signature keeps its id.';", hash='20f42f12c2da1e3f3c152483df544b620161e7ac', operation='UPDATE OF "id"', pgid='pgtrigger_refuse_another_id_a542d', table='petition_signature', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='forget_words', sql=pgtrigger.compiler.UpsertTriggerSql(func="\n                DELETE FROM petition_shownwords USING old_rows WHERE signature_id = old_rows.id;\n                UPDATE petition_link SET name = '', words = '', country = '' FROM old_rows\n                WHERE signature_id = old_rows.id AND (name <> '' OR words <> '');\n                RETURN NULL;\n            ", hash='7c2d5e12f62899440f0291bb4bb2d1fe6dabb95d', level='STATEMENT', operation='DELETE', pgid='pgtrigger_forget_words_08d33', referencing='REFERENCING OLD TABLE AS old_rows ', table='petition_signature', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='signature',
            trigger=pgtrigger.compiler.Trigger(name='forget_campaign', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.campaign_id IS NOT NULL AND NEW.campaign_id = OLD.campaign_id AND (NEW.invalidated_at, NEW.invalidated_reason) IS DISTINCT FROM (OLD.invalidated_at, OLD.invalidated_reason))', func='NEW.campaign_id = NULL; RETURN NEW;', hash='958884935a369713502a8b1ac09b5e931cbc5da7', operation='UPDATE OF "invalidated_at", "invalidated_reason"', pgid='pgtrigger_forget_campaign_87626', table='petition_signature', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='outgoingmail',
            index=models.Index(models.F('due_at'), condition=models.Q(('parked_at', None)), name='waiting_mail_by_due_at'),
        ),
        migrations.AddIndex(
            model_name='link',
            index=models.Index(models.F('code_digest'), condition=models.Q(('code_digest', ''), _negated=True), name='links_by_code'),
        ),
        migrations.AddIndex(
            model_name='link',
            index=models.Index(models.F('signature'), condition=models.Q(models.Q(('name', ''), _negated=True), models.Q(('words', ''), _negated=True), _connector='OR'), name='links_with_words'),
        ),
        migrations.AddConstraint(
            model_name='switchestranslation',
            constraint=models.UniqueConstraint(fields=('language_code', 'master'), name='petition_switches_translation_uniq_lang'),
        ),
        migrations.AddIndex(
            model_name='tallychange',
            index=models.Index(models.F('petition'), condition=models.Q(('measure', 'counted')), include=('amount',), name='unfolded_counted_changes'),
        ),
    ]
