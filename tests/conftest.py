import os
import secrets
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management.commands import flush
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from nacl.public import PrivateKey
from whitenoise.middleware import WhiteNoiseMiddleware

from petition import health, identity, live_settings, offline_key
from petition.admin import signatures
from petition.counts import publication, tally
from petition.mail import keys
from petition.mail.keys import Keyring
from petition.models import PaperSheets, Petition, ShownWords, Signature
from petition.models.signature import this_hour
from petition.moderation import similar
from petition.web import filled_pages
from tests.support import accounts, database
from tests.support.browser import chromium
from tests.support.patience import be_patient

numbers = count(1)
# A busy machine is slow, which is no fault of the code. `soak` is what `make soak` looks at for longer.
for profile in ("soak", "tests"):
    hypothesis_settings.register_profile(profile, deadline=None)
hypothesis_settings.load_profile("tests")
be_patient()


def pytest_configure():
    django_settings.PASSWORD_HASHERS = ["tests.support.accounts.QuickHasher"]
    # Each of several processes that share the tests has a folder of its own, so that nobody reads another's mails.
    if name := os.environ.get("PYTEST_XDIST_WORKER"):
        folder = Path(django_settings.VAR_DIR) / name
        folder.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            (folder / "static").symlink_to("../static")
        django_settings.VAR_DIR, django_settings.EMAIL_FILE_PATH = folder, str(folder / "mail")
        django_settings.OUTBOX_KEYS_DIR = str(folder / "outbox-keys")
        django_settings.WITHDRAWN_LIST = str(folder / "withdrawals" / "list")


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_listed_once():
    """Each test client sets up the middleware, which takes longer than most tests: it looks at every static file."""
    update = WhiteNoiseMiddleware.update_files_dictionary
    listed = {}

    def update_once(middleware, *folder):
        if folder not in listed:
            update(middleware, *folder)
            listed[folder] = middleware.files
        middleware.files = listed[folder]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "update_files_dictionary", update_once)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Transactional tests end with a flush, which is ours."""
    with django_db_blocker.unblock():
        database.keep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", lambda command, **options: database.restore())
        yield


@pytest.fixture(scope="module")
def shared_transaction(django_db_setup, django_db_blocker):
    """For rows that all tests of a module find: made once, where each of its tests has a transaction within."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _fresh_salt_and_switches():
    """Each test has a database of its own, so what processes remember of another is forgotten."""
    identity._salt = live_settings._state = keys._newest = None
    filled_pages._kept.clear()


@pytest.fixture(autouse=True)
def _outbox_key(request):
    """What a worker leaves in each database: a key to which mails can be sealed."""
    if {"db", "transactional_db"} & set(request.fixturenames) or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("_django_db_helper")
        Keyring().rotate()


@pytest.fixture
def publish(db):
    """The publishing step of the worker. In a test that asks for it nobody else takes it."""
    return publication.publish


@pytest.fixture(autouse=True)
def _published_at_once(request, monkeypatch):
    """Whoever reads the public number finds it published, as if a worker ran, unless the test says when it is."""
    if "publish" in request.fixturenames:
        return
    current, snapshot, inside = tally.current, tally.snapshot, []

    def read(slug):
        if not inside:
            publication.publish()
        return current(slug)

    @contextmanager
    def publish_first():
        publication.publish()
        with snapshot():
            inside.append(True)
            try:
                yield
            finally:
                inside.pop()

    monkeypatch.setattr(tally, "current", read)
    monkeypatch.setattr(tally, "snapshot", publish_first)


@pytest.fixture
def known_switches(db, monkeypatch):
    """For tests that count statements: the switches are known, and not asked for again."""
    monkeypatch.setattr(live_settings, "SECONDS", 3_600)
    live_settings.state()


@pytest.fixture(autouse=True)
def _no_page_cache(settings):
    """Tests see what is, not what was a few seconds ago. `tests/web/test_page_cache.py` switches it on."""
    settings.PAGE_CACHE_ENTRIES = 0


@pytest.fixture(autouse=True)
def _few_are_listed(monkeypatch):
    """Tests of lists have a few signatures of today. `tests/moderation/test_groups.py` takes the rule as it is."""
    monkeypatch.setattr(signatures, "listed", lambda rows: rows)
    monkeypatch.setattr(similar, "is_crowd_of_cell", lambda **cell: True)


@pytest.fixture(autouse=True)
def _health_in_the_transaction_of_the_test(monkeypatch):
    """A thread of its own would see nothing of it; real servers look at their health in one."""
    monkeypatch.setattr(health, "within", lambda seconds, ask: ask())
    monkeypatch.setattr(health, "close_old_connections", lambda: None)


def pytest_collection_modifyitems(items):
    """Tests in the browser come last: it is started once, and no other test shares the process with its loop.

    Those that start one of their own take longest, so they come first: nobody waits for them at the end.
    """
    items.sort(key=lambda item: ("browser" in item.fixturenames, item.get_closest_marker("browser") is None))
    for item in items:
        if item.get_closest_marker("browser"):
            item.user_properties.append(("browser", "needed"))  # told to JUnit, for `.ci/run`


@pytest.fixture(scope="session")
def browser():
    """Starting it takes longer than a test; each visitor has a profile of her own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def petition(db):
    return make_petition()


def make_petition(**overrides):
    values = {
        "slug": "chechnya",
        "opened_at": timezone.now() - timedelta(days=1),
        "collected_before": 150_000,
        "title": "Investigate",
        "demand": "An efficient investigation.",
        "collected_before_source": "an example",
        **overrides,
    }
    petition = Petition.objects.language("en").create(**values)
    petition.set_current_language("ru")
    petition.title, petition.demand, petition.collected_before_source = "Расследуйте", "Расследование.", "пример"
    petition.save()
    petition.set_current_language("en")
    return petition


def make_sheets(petition, **overrides):
    """Signatures on paper that wait for a second look, unless it is spelled out that they count."""
    values = {
        "collected_on": date(2026, 11, 1),
        "place": "Berlin",
        "amount": 240,
        "counted_by": "An office",
        "kept_at": "A safe",
        **overrides,
    }
    return PaperSheets.objects.create(petition=petition, **values)


@pytest.fixture
def make_signature(petition):
    """Signatures whose values decide nothing; spell out those that do.

    Of one that is not confirmed, only its link knows the name and words (`tests.support.links`).
    """
    return partial(create_signature, petition)


def create_signature(petition, *, email=None, confirmed=False, name="", words="", approved_at=None, **overrides):
    values = {
        "petition": petition,
        # A digest is slow, and whose it is seldom matters.
        "email_digest": identity.email_digest(email) if email else secrets.token_bytes(32),
        "language": "en",
        "consent_version": 1,
        **overrides,
    }
    if confirmed:
        values.setdefault("confirmed_at", this_hour())
    signature = Signature.objects.create(**values)
    signature.typed = {"name": name, "words": words, "language": signature.language, "country": signature.country}
    if signature.confirmed_at and (name or words):
        ShownWords.objects.create(
            signature=signature,
            name=name,
            words=words,
            language=signature.language,
            asked_at=signature.confirmed_at,
            approved_at=approved_at,
        )
    return signature


@pytest.fixture
def make_staff(db):
    return accounts.make_staff


@pytest.fixture
def moderator(client, make_staff):
    """The browser of vera, who is logged in."""
    client.force_login(make_staff("moderator", username="vera"))
    return client


@pytest.fixture
def list_key(settings):
    """The organisers' key of the mailing list, of which the site has the public half."""
    pair = PrivateKey.generate()
    settings.MAILING_LIST_KEY = offline_key.as_text(bytes(pair.public_key))
    settings.MAILING_LIST_WAITS = True
    return pair


@pytest.fixture
def sign_data():
    """What a browser sends for the shortest valid form."""

    def data(**overrides):
        return {"email": f"signer{next(numbers)}@example.org", "consent": "on", "website": "", **overrides}

    return data


@pytest.fixture
def counted_rows():
    """How many signatures count, straight from the rows."""

    def rows():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM petition_signature"
                " WHERE confirmed_at IS NOT NULL AND held_at IS NULL AND invalidated_at IS NULL"
            )
            return cursor.fetchone()[0]

    return rows
