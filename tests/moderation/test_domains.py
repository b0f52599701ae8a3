"""The name of a mail domain is kept once 20 mailboxes of a day share it, and never earlier."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from petition import identity, retention, signing
from petition.mail import queue, recipients
from petition.mail.keys import Keyring
from petition.models import OutgoingMail, SeenDomain, Signature
from petition.models.signature import this_hour
from petition.moderation import domains

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def sign(petition):
    def sign(*addresses):
        for address in addresses:
            signing.sign(petition.slug, signing.Answers(email=address), language="en", network="192.0.2.1")

    return sign


def mailboxes(number, domain="club.example"):
    return [f"member{n}@{domain}" for n in range(number)]


def read():
    """The addresses of all mails by their signatures, as the worker has just read them."""
    recognised = recipients.recognise(list(OutgoingMail.objects.all()), Keyring())
    return {known.mail.signature_id: known.opened.address for known in recognised}


def known():
    return list(SeenDomain.objects.order_by("name").values_list("name", flat=True))


@pytest.mark.parametrize(("number", "names"), [(19, []), (20, ["club.example"])])
def test_the_worker_keeps_the_name_of_a_domain_that_20_mailboxes_share(sign, mailoutbox, number, names):
    sign(*mailboxes(number), "anna@petrova.example")

    queue.deliver_due()

    assert len(mailoutbox) == number + 1
    assert known() == names


def test_one_mailbox_that_signs_twenty_times_makes_no_domain_known(sign, mailoutbox):
    sign(*["anna@petrova.example", "Anna+x@PETROVA.example"] * 15)

    while queue.deliver_due():
        pass

    assert known() == []


def test_twenty_over_two_days_are_not_twenty_of_a_day(make_signature):
    digest = identity.domain_digest("anyone@club.example")
    for _ in range(19):
        make_signature(created_at=NOON, domain_digest=digest)
        make_signature(created_at=NOON - DAY, domain_digest=digest)

    with pytest.raises(IntegrityError, match="Fewer than 20"), transaction.atomic():
        SeenDomain.objects.create(digest=digest, name="club.example", shared_on=NOON.date())


@pytest.mark.parametrize("hour", [0, 23])
def test_a_day_is_utc_and_has_all_its_hours(make_signature, hour):
    digest = identity.domain_digest("anyone@club.example")
    for n in range(20):
        make_signature(created_at=NOON.replace(hour=hour if n else 12), domain_digest=digest)

    SeenDomain.objects.create(digest=digest, name="club.example", shared_on=NOON.date())

    assert known() == ["club.example"]


@pytest.mark.parametrize(
    "attack",
    [
        "INSERT INTO petition_seendomain (digest, name, shared_on) VALUES (%(private)s, 'petrova.example', %(day)s)",
        "UPDATE petition_seendomain SET digest = %(private)s, name = 'petrova.example'",
        "UPDATE petition_seendomain SET shared_on = shared_on + 1",
        "INSERT INTO petition_seendomain (digest, name, shared_on) VALUES (%(shared)s, 'club.example', %(day)s)"
        " ON CONFLICT (digest) DO UPDATE SET digest = %(private)s, name = 'petrova.example'",
        "COPY petition_seendomain (digest, name, shared_on) FROM STDIN",
    ],
)
def test_whoever_writes_no_domain_is_kept_that_19_share(make_signature, attack):
    private, shared = (identity.domain_digest(f"x@{name}") for name in ("petrova.example", "club.example"))
    for n in range(39):
        make_signature(created_at=NOON, domain_digest=shared if n < 20 else private)
    SeenDomain.objects.create(digest=shared, name="club.example", shared_on=NOON.date())

    with pytest.raises(DatabaseError), transaction.atomic():
        write(attack, private, {"private": private, "shared": shared, "day": NOON.date()})

    assert known() == ["club.example"]


def write(attack, digest, values):
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if attack.startswith("COPY"):
            cursor.copy_expert(attack, io.StringIO(f"\\\\x{digest.hex()}\tpetrova.example\t{values['day']}\n"))
        else:
            cursor.execute(attack, values)


def test_a_batch_costs_one_statement_unless_a_domain_is_new(sign, django_assert_num_queries):
    sign(*mailboxes(20), *mailboxes(20, "firm.example"), *[f"anna@{n}.example" for n in range(10)])
    addresses = read()

    assert domains.name_shared(addresses) == 2
    with django_assert_num_queries(1):
        assert domains.name_shared(addresses) == 0


def test_what_was_typed_is_kept_in_the_one_spelling(sign):
    sign(*mailboxes(20, "Клуб.EXAMPLE"))

    domains.name_shared(read())

    assert known() == ["xn--90ard6a.example"]


def test_a_campaign_can_mean_the_known_ones_by_a_pattern(sign):
    sign(*mailboxes(20, "a.club.example"), *mailboxes(19, "b.club.example"))
    domains.name_shared(read())

    assert domains.meant_by("*.club.example") == ["a.club.example"]


def test_only_the_name_that_belongs_to_the_digest_is_kept(sign):
    """Somebody who writes to signatures could otherwise have a private domain named."""
    sign(*mailboxes(20))

    assert domains.name_shared(dict.fromkeys(read(), "anna@petrova.example")) == 0
    assert known() == []


def test_mails_without_a_signature_cost_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert domains.name_shared({}) == 0


@pytest.mark.parametrize(("age", "stays"), [(30, True), (31, False)])
def test_a_name_goes_30_days_after_it_was_last_shared(make_signature, age, stays):
    on = timezone.localdate() - age * DAY
    digest = identity.domain_digest("anyone@club.example")
    for _ in range(20):
        make_signature(created_at=datetime(on.year, on.month, on.day, tzinfo=UTC), domain_digest=digest, confirmed=True)
    SeenDomain.objects.create(digest=digest, name="club.example", shared_on=on)

    assert retention.purge()["known mail domains"] == (0 if stays else 1)
    assert SeenDomain.objects.exists() is stays


def test_a_domain_that_is_shared_again_stays_longer(make_signature, sign):
    digest = identity.domain_digest("anyone@club.example")
    before = this_hour() - 20 * DAY
    for _ in range(20):
        make_signature(created_at=before, domain_digest=digest)
    SeenDomain.objects.create(digest=digest, name="club.example", shared_on=before.date())
    sign(*mailboxes(20))

    domains.name_shared(read())

    assert SeenDomain.objects.get().shared_on == timezone.localdate()


def test_without_a_network_the_mail_domain_is_forgotten_too(make_signature):
    make_signature(created_at=this_hour() - 31 * DAY, confirmed=True, domain_digest=bytes(32))

    retention.purge()

    assert Signature.objects.get().domain_digest is None
