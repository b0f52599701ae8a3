"""`manage.py rehearse`: how much this server takes, found out without a trace, and what a launch still lacks."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from petition import rehearsal
from petition.counts import tally
from petition.models import Action, Heartbeat, OutgoingMail, Signature, StaffAction
from petition.models.signature import this_hour

pytestmark = pytest.mark.django_db(transaction=True)


def databases():
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE '%%\\_rehearsal'")
        return [name for (name,) in cursor.fetchall() if name.startswith(connection.settings_dict["NAME"])]


def test_it_measures_and_leaves_nothing_but_a_line_in_the_audit_log(petition, mailoutbox):
    before = tally.exact(petition.slug).total

    said = call_command("rehearse", seconds=1, workers=1)

    found = re.search(
        r"^(\d+) signatures a second, (\d+) mails a second with one worker, first limit: .+\.$", said, re.M
    )
    assert found, said
    assert int(found[1]) > 0
    assert int(found[2]) > 0
    assert (Signature.objects.count(), OutgoingMail.objects.count()) == (0, 0)
    assert tally.exact(petition.slug).total == before
    assert mailoutbox == databases() == []
    assert StaffAction.objects.get(action=Action.REHEARSED).count > 0


@pytest.mark.parametrize(("hours", "is_refused"), [(0, True), (1, True), (2, False)])
def test_it_is_refused_while_people_sign(make_signature, hours, is_refused):
    make_signature(created_at=this_hour() - timedelta(hours=hours))

    if is_refused:
        with pytest.raises(CommandError, match="People have signed"):
            call_command("rehearse", yes=True)
    else:
        rehearsal.require_peace(yes=True)


def test_on_a_real_site_it_wants_to_be_told_twice(petition, settings):
    settings.LOCAL = False

    with pytest.raises(CommandError, match="Add --yes"):
        call_command("rehearse")
    rehearsal.require_peace(yes=True)


def test_a_role_that_may_make_no_database_is_told_how():
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE may_little")
        cursor.execute("SET ROLE may_little")
    try:
        with pytest.raises(rehearsal.RefusedError, match="CREATEDB"), rehearsal.scratch_database():
            pass
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE may_little")


def test_what_a_crash_left_is_replaced_and_what_is_not_ours_is_left_alone():
    name = f"{connection.settings_dict['NAME']}_rehearsal"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    with pytest.raises(rehearsal.RefusedError, match="not ours"), rehearsal.scratch_database():
        pass
    assert databases() == [name]

    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON DATABASE \"{name}\" IS '{rehearsal.MARK}'")
    with rehearsal.scratch_database():
        assert databases() == [name]
    assert databases() == []


def test_the_list_before_a_launch_says_what_is_missing(petition, make_staff, settings):
    def missing():
        return " ".join(said for kind, said in rehearsal.checklist() if kind == "missing")

    make_staff("administrator", is_superuser=True)
    settings.RATE_PER_NETWORK = "0/h"
    for said in (
        "has no addressee",
        "No worker runs",
        "with a second factor: 0",
        "do everything: 1",
        "RATE_PER_NETWORK",
    ):
        assert said in missing()

    Heartbeat.beat(Heartbeat.Part.FOLD)
    settings.RATE_PER_NETWORK = "300/h"
    assert not any(said in missing() for said in ("No worker runs", "RATE_PER_NETWORK"))
