"""The count stays exact while everything happens at once. The whole soak is `make soak`."""

from collections import Counter

import pytest
from django.db import connection

from bench import soak
from bench.actions import WEIGHTS
from tests.support import server


def switch(trigger, how):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE petition_signature {how} TRIGGER {trigger}")


@pytest.fixture
def without_a_trigger(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%ledger_delete%'")
        ((trigger,),) = cursor.fetchall()
    switch(trigger, "DISABLE")
    yield
    switch(trigger, "ENABLE")


@pytest.mark.django_db(transaction=True)
def test_the_count_is_exact_while_everything_happens_at_once(petition):
    soaked = soak.soak(5, 5_000, server.environment(**server.worker_keys()))

    assert soaked.is_exact, soaked.text()
    assert set(soaked.done) == set(WEIGHTS)
    assert {name for name, number in soaked.changed.items() if number} >= {
        *("sign", "confirm", "confirm by code", "withdraw", "hold", "release", "invalidate", "restore"),
        *("purge", "age", "correct", "fold"),
    }
    assert soaked.probes > 10
    assert soaked.recounts > 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("without_a_trigger")
def test_a_soak_finds_a_count_that_is_wrong(petition):
    soaked = soak.soak(4, 1_000, server.environment(**server.worker_keys()), connections=8)

    assert not soaked.is_exact
    assert any(mistake.startswith("recount found") for mistake in soaked.mistakes)
    assert any("but what is counted" in mistake for mistake in soaked.mistakes)
    assert "times the count was not exact" in soaked.text()


def test_deadlocks_are_told_from_other_errors():
    soaked = soak.Soaked(1, errors=Counter({"withdraw: deadlock detected": 2, "confirm: connection is closed": 3}))

    assert soaked.deadlocks == 2
    assert "2 deadlocks, 3 other errors" in soaked.text()
