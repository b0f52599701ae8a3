"""A page waits for the database so long, and no longer."""

import pytest
from django.db import OperationalError, connection, transaction

from petition.models import ListedDomain, Verdict
from petition.postgres.timeouts import TimeLimitError, read_within

pytestmark = pytest.mark.django_db


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def limit():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_what_takes_too_long_is_ended():
    with pytest.raises(TimeLimitError), read_within(0.1):
        run("SELECT pg_sleep(10)")

    with read_within(60):
        run("SELECT pg_sleep(0.1)")


def test_it_is_for_reading_and_undone_in_the_end():
    ListedDomain.objects.create(domain="a.example", verdict=Verdict.ALLOW)

    with read_within(60):
        run("CREATE TEMPORARY TABLE read AS SELECT domain FROM petition_listeddomain")
        ListedDomain.objects.create(domain="b.example", verdict=Verdict.ALLOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('read')")
        assert cursor.fetchone() == (None,)

    assert ListedDomain.objects.get().domain == "a.example"


def test_the_time_is_that_of_all_statements_together():
    def sleep_often():
        with read_within(0.5):
            for _ in range(50):
                run("SELECT pg_sleep(0.1)")

    with pytest.raises(TimeLimitError):
        sleep_often()


def test_the_limit_from_before_is_back_afterwards():
    with transaction.atomic():
        run("SET LOCAL statement_timeout = '7min'")
        with read_within(60):
            assert limit() != "7min"
        assert limit() == "7min"
        with pytest.raises(TimeLimitError), read_within(0.1):
            run("SELECT pg_sleep(10)")
        assert limit() == "7min"


def test_no_other_error_is_taken_for_it():
    with pytest.raises(OperationalError), read_within(60):
        run("DO $$ BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = 'lock_not_available'; END $$")
