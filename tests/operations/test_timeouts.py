"""A page waits for the database so long, and no longer."""

import pytest
from django.db import OperationalError, connection, transaction

from petition.models import ListedDomain, Verdict
from petition.postgres.timeouts import TimeLimitError, time_limit

pytestmark = pytest.mark.django_db


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def limit():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_what_takes_too_long_is_ended_and_undone():
    def allow_and_sleep():
        with time_limit(0.1):
            ListedDomain.objects.create(domain="a.example", verdict=Verdict.ALLOW)
            run("SELECT pg_sleep(10)")

    with pytest.raises(TimeLimitError):
        allow_and_sleep()

    assert not ListedDomain.objects.exists()


def test_what_is_in_time_stays():
    with time_limit(60):
        ListedDomain.objects.create(domain="a.example", verdict=Verdict.ALLOW)

    assert ListedDomain.objects.exists()


def test_the_time_is_that_of_all_statements_together():
    def sleep_often():
        with time_limit(0.5):
            for _ in range(50):
                run("SELECT pg_sleep(0.1)")

    with pytest.raises(TimeLimitError):
        sleep_often()


def test_the_limit_from_before_is_back_afterwards():
    with transaction.atomic():
        run("SET LOCAL statement_timeout = '7min'")
        with time_limit(60):
            assert limit() != "7min"
        assert limit() == "7min"
        with pytest.raises(TimeLimitError), time_limit(0.1):
            run("SELECT pg_sleep(10)")
        assert limit() == "7min"


def test_no_other_error_is_taken_for_it():
    with pytest.raises(OperationalError), time_limit(60):
        run("DO $$ BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = 'lock_not_available'; END $$")
