"""Whoever seizes the machine, or a copy of its disk, with all keys of that hour, reads nothing that was deleted.

PostgreSQL of its own, with the settings that it is shipped with; all of its files are searched for what was planted.
"""

import random

import pytest
from django.core.management import call_command
from django.db import connection
from environ import Env

from config.local import postgres
from petition import confirmation, identity, live_settings, signing, withdrawal
from petition.mail import keys, queue
from petition.mail.keys import Keyring
from petition.models import OutgoingMail, ShownWords, Signature
from petition.models.signature import this_hour
from petition.moderation import review
from tests.conftest import make_petition
from tests.support import links

PEOPLE = 60
chance = random.Random(7)


@pytest.fixture
def cluster(tmp_path, django_db_blocker, settings):
    """The files of a server that nobody else uses; the site's connection leads there."""
    settings.OUTBOX_KEYS_DIR = str(tmp_path / "keys")
    data = tmp_path / "postgres"
    with postgres.running(data, fsync="off"), django_db_blocker.unblock():
        before = dict(connection.settings_dict)
        connection.close()
        connection.settings_dict.update(Env.db_url_config(postgres.url(data)))
        keys._newest = live_settings._state = identity._salt = None
        try:
            call_command("migrate", verbosity=0)
            Keyring().rotate()
            yield data / "cluster"
        finally:
            connection.close()
            connection.settings_dict.update(before)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def found(cluster, planted):
    """Which of these stand anywhere in the files."""
    execute("CHECKPOINT")
    left = set(planted)
    for path in cluster.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            left -= {text for text in left if text in content}
    return set(planted) - left


class Person:
    """A signer with a name and words like nobody else's."""

    def __init__(self, petition):
        self.petition = petition
        self.email = f"person{chance.randrange(10**9)}@example.org"
        self.letters, self.written = [], []

    def sign(self):
        name, words = (f"{kind}{chance.getrandbits(64):x}" for kind in ("Имя ", "Слова "))
        self.written += [name.encode(), words.encode()]
        answers = signing.Answers(email=self.email, name=name, words=words, shows_name=True)
        assert signing.sign(self.petition.slug, answers, language="ru", network="192.0.2.1")
        mail = OutgoingMail.objects.filter(signature__isnull=False).latest("due_at")
        box = bytes(mail.recipient)
        # A part of it will do: whoever has less cannot open it.
        self.letters.append((Keyring().open(mail.key_id, box).token, box[200:264]))

    def press(self):
        token, _box = self.letters[-1]
        link = confirmation.find(token)
        confirmation.confirm(link.signature, link=link.link)

    def withdraw(self):
        token = links.withdraw_token(self.petition, self.email)
        assert withdrawal.withdraw(withdrawal.find(token).link)

    @property
    def shown(self):
        digest = identity.email_digest(self.email)
        return ShownWords.objects.get(signature__email_digest=digest, signature__confirmed_at__isnull=False)


def test_nothing_that_was_deleted_is_left_in_any_file(cluster, settings):
    petition = make_petition()
    people = [Person(petition) for _ in range(PEOPLE)]
    for person in people:
        person.sign()
    while queue.deliver_due():
        pass
    for person in people:
        person.press()
    # Samples of columns, which a vacuum takes by itself now and then, are kept as well.
    execute("ANALYZE")
    withdrawn, hidden, changed, lapsed, kept = (people[number::5] for number in range(5))
    for person in withdrawn:
        person.withdraw()
    for person in hidden:
        review.decide({person.shown.pk: review.fingerprint(person.shown)}, review.Decision.HIDE)
    replaced = [text for person in changed for text in person.written]
    for person in changed:
        person.sign()
        queue.deliver_due()
        person.press()
    Signature.objects.filter(pk__in=[person.shown.pk for person in lapsed]).erase()
    boxes = [box for person in people for _token, box in person.letters]
    gone = [text for person in (*withdrawn, *hidden, *lapsed) for text in person.written] + replaced
    # An answer of her own still stands in her link, which is hers for a week.
    gone = [text for text in gone if text not in replaced]

    assert len(found(cluster, [*gone, *boxes])) > PEOPLE, "the search finds what PostgreSQL keeps"
    assert OutgoingMail.objects.count() == 0

    call_command("forget")

    assert found(cluster, [*gone, *boxes]) == set()
    still = {text for person in kept for text in person.written}
    assert found(cluster, still) == still
    assert Signature.objects.counted().count() == len([*hidden, *changed, *kept])


def test_forgetting_leaves_the_log_alone_where_the_role_may_not_end_it(cluster, caplog):
    execute("CREATE ROLE weak")
    execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO weak")
    execute("SET ROLE weak")

    from petition import forgetting

    forgetting.is_told = False
    for _ in range(2):
        forgetting.throw_log_away()

    assert [record.message for record in caplog.records if "write-ahead" in record.message] == [
        "The write-ahead log keeps what was deleted: this role may not end it (petition.W003)"
    ]
    assert this_hour()
