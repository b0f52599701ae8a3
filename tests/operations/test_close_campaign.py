"""The end of a petition: the numbers stay, and nobody can be found any more."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from campaign.models import Report
from petition import closing, identity, withdrawal
from petition.counts import tally
from petition.mail import keys
from petition.models import (
    AddressMark,
    HourTally,
    InvalidationCampaign,
    KeyFingerprint,
    Link,
    Lookup,
    OutboxKey,
    OutgoingMail,
    Petition,
    SeenDomain,
    ShownWords,
    Signature,
    StaffAction,
)
from petition.models.signature import this_hour
from tests.conftest import create_signature, make_petition
from tests.support import links

ANNA = "anna@example.org"
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def over(petition, make_signature):
    """A petition that was closed two days ago, with somebody in every state, and all that is kept about people."""
    hour = this_hour()
    signals = {"network_digest": b"abc", "domain_digest": identity.domain_digest(ANNA)}
    make_signature(
        email=ANNA, confirmed=True, name="Anna K.", words="With you", country="DE", source="choir", **signals
    )
    make_signature(confirmed=True, held_at=hour, held_reason="Ask Anna", **signals)
    make_signature(confirmed=True, invalidated_at=hour, invalidated_reason="Ask Boris")
    pending = make_signature(email="vera@example.org")
    links.token(pending)
    half = keys.newest(fresh=True)
    sealed = half.seal(keys.Opened(ANNA, ""))
    OutgoingMail.objects.create(
        petition=petition, kind="sign", recipient=sealed, key_id=half.key, signature=pending, language="en"
    )
    Lookup.objects.create(asked_by=1, reason="She asks", address=sealed, key_id=half.key)
    AddressMark.remember(identity.email_digest(ANNA), AddressMark.Kind.HOLD)
    KeyFingerprint.objects.get_or_create(name="email_digest", defaults={"fingerprint": "x"})
    InvalidationCampaign.objects.create(petition=petition, reason="Robots", name_pattern="Anna*")
    while tally.fold():
        pass
    Petition.objects.update(closed_at=timezone.now() - 2 * DAY)
    petition.refresh_from_db()
    return petition


def end(petition):
    call_command("close_campaign", petition.slug, yes=petition.slug)


def numbers():
    tallied = HourTally.objects.exclude(measure="lapsed").order_by("hour", "measure")
    return list(tallied.values_list("hour", "measure", "amount")), tally.exact("chechnya")


def test_the_numbers_stay_and_recount_finds_nothing_wrong(over):
    before = numbers()

    end(over)

    assert numbers() == before
    found = tally.recount()
    assert (found.difference, found.hours, found.days, found.standing) == (0, 0, 0, 0)
    assert numbers() == before
    # Who waited has lapsed; nobody is booked as withdrawn.
    assert not HourTally.objects.filter(measure="withdrawn").exists()
    assert HourTally.objects.get(measure="lapsed").amount == 1


def test_nothing_about_single_people_is_left(over):
    digests = {bytes(digest) for digest in Signature.objects.values_list("email_digest", flat=True)}
    digests.add(identity.domain_digest(ANNA))

    end(over)

    for model in (ShownWords, OutgoingMail, Link, Lookup, AddressMark, SeenDomain, OutboxKey, KeyFingerprint, Report):
        assert not model.objects.exists(), model
    rows = Signature.objects.all()
    assert rows.count() == 3
    assert not rows.exclude(domain_digest=None, network_digest=None, held_reason="", invalidated_reason="").exists()
    assert len({bytes(row.email_digest) for row in rows} - digests) == 3
    assert InvalidationCampaign.objects.get().name_pattern == ""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            stored = "\n".join(text for (text,) in cursor.fetchall())
            assert [digest for digest in digests if digest.hex() in stored] == [], table


def test_what_can_still_be_done_is_said(over, capsys):
    end(over)

    said = capsys.readouterr().out
    assert "3 signatures are kept as numbers" in said
    assert "1 pending signatures" in said
    assert "Nothing about single people" in said
    assert "EMAIL_DIGEST_KEY can be destroyed now" in said
    assert StaffAction.objects.get().action == "petition_ended"


def test_a_petition_that_goes_on_keeps_the_key_and_what_petitions_share(over, capsys):
    other = make_petition(slug="other")
    signature = create_signature(other, email=ANNA, confirmed=True)
    digest = bytes(signature.email_digest)

    end(over)

    assert "EMAIL_DIGEST_KEY is still needed by: other." in capsys.readouterr().out
    signature.refresh_from_db()
    assert bytes(signature.email_digest) == digest
    assert AddressMark.objects.exists()
    assert KeyFingerprint.objects.exists()


def test_doing_it_again_or_after_a_crash_changes_no_number(over, monkeypatch):
    before = numbers()
    monkeypatch.setattr(closing, "BATCH", 1)
    with monkeypatch.context() as crash:
        crash.setattr(closing, "_forget_what_petitions_share", lambda: {}["a crash"])
        with pytest.raises(KeyError):
            end(over)

    end(over)
    end(over)

    assert numbers() == before
    assert not AddressMark.objects.exists()


@pytest.mark.parametrize("closed", [None, timedelta(hours=23), -DAY])
def test_while_somebody_may_sign_or_confirm_it_is_refused(over, closed):
    Petition.objects.update(closed_at=closed and timezone.now() - closed)

    with pytest.raises(CommandError, match="It is not over"):
        end(over)
    assert Signature.objects.pending().exists()
    assert Petition.objects.get().ended_at is None


def test_another_slug_changes_nothing(over, monkeypatch):
    with pytest.raises(CommandError, match="Nothing has changed"):
        call_command("close_campaign", over.slug, yes="chechny")
    monkeypatch.setattr("builtins.input", lambda question: "")
    with pytest.raises(CommandError, match="Nothing has changed"):
        call_command("close_campaign", over.slug)
    with pytest.raises(CommandError, match="no such petition"):
        call_command("close_campaign", "chechny", yes="chechny")

    assert Signature.objects.pending().exists()


def test_the_slug_can_be_typed(over, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "chechnya")

    call_command("close_campaign", "chechnya")

    assert Petition.objects.get().ended_at


def test_an_ended_petition_is_never_opened_again(over):
    end(over)

    for closed_at in (None, timezone.now() + DAY):
        with pytest.raises(IntegrityError, match="an_ended_petition_stays_closed"), transaction.atomic():
            Petition.objects.update(closed_at=closed_at)


def test_who_withdraws_afterwards_is_told_what_everybody_is_told(over):
    end(over)

    link = Link.objects.of_token(links.withdraw_token(over, ANNA))
    assert withdrawal.withdraw(link) == 0
    assert Signature.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_files_are_written_anew(petition, make_signature):
    """Outside of a transaction, as the command runs."""
    make_signature(confirmed=True)
    Petition.objects.update(closed_at=timezone.now() - 2 * DAY)

    end(petition)

    assert Signature.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_role_of_the_web_server_may_end_it_though_not_the_log(petition, make_signature):
    """As `deploy/manage` does, whose role owns the tables and has no right to CHECKPOINT."""
    make_signature(confirmed=True)
    Petition.objects.update(closed_at=timezone.now() - 2 * DAY)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE owns_the_tables")
        cursor.execute("DO $$ BEGIN EXECUTE format('GRANT %I TO owns_the_tables', current_user); END $$")
        cursor.execute("SET ROLE owns_the_tables")
    try:
        said = call_command("close_campaign", petition.slug, yes=petition.slug)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE owns_the_tables")

    assert "has ended" in said
    assert "--command='SELECT pg_switch_wal()' --command=CHECKPOINT" in said
    assert StaffAction.objects.filter(action="petition_ended").count() == 1
