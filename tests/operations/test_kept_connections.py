"""Threads of the app server keep their connection, and a visitor never meets one that has ended meanwhile."""

import contextlib
from contextlib import closing
from unittest.mock import patch

import psycopg2
import pytest
from django.db import ProgrammingError, close_old_connections, connection, transaction
from django.db.backends.postgresql import base

from petition.counts import tally
from petition.models import Petition
from petition.postgres.prepared import Prepared
from tests.conftest import make_petition


@pytest.mark.django_db(transaction=True)
def test_a_visitor_does_not_notice_that_the_database_was_restarted_between_two_requests():
    make_petition()
    ended = connection.connection
    with connection._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ended.get_backend_pid()])

    close_old_connections()  # as at the start of each request

    assert tally.current("chechnya").total == 150_000
    assert connection.connection is not ended


@pytest.mark.django_db(transaction=True)
def test_what_the_server_says_unasked_ends_no_connection():
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    kept = connection.connection
    with closing(psycopg2.connect(kept.dsn)) as other, other, other.cursor() as cursor:
        cursor.execute("NOTIFY news")

    close_old_connections()

    assert not Petition.objects.exists()
    assert connection.connection is kept


@pytest.mark.django_db(transaction=True)
def test_the_server_is_asked_only_after_an_error():
    connection.ensure_connection()
    with patch.object(base.DatabaseWrapper, "is_usable") as asked:
        assert connection.is_usable()
        assert not asked.called

        connection.errors_occurred = True
        connection.is_usable()
        assert asked.called
    connection.errors_occurred = False


@pytest.mark.django_db(transaction=True)
def test_a_statement_is_planned_once_for_each_connection_and_again_on_a_new_one():
    sum_up = Prepared("sum_up", "SELECT %(a)s::int + %(b)s::int * %(a)s::int")

    def ask(a, b):
        with connection.cursor() as cursor:
            sum_up.execute(cursor, {"a": a, "b": b})
            return cursor.fetchone()[0]

    def plans():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE name = 'sum_up'",
            )
            return cursor.fetchall()

    assert [ask(1, 2), ask(3, 4)] == [3, 15]
    assert plans() == [(2,)]

    connection.close()

    assert ask(5, 6) == 35
    assert plans() == [(1,)]


@pytest.mark.django_db
def test_a_statement_outlives_the_transaction_that_first_used_it():
    answer = Prepared("answer", "SELECT 40 + %(more)s::int")
    for more in (1, 2):
        with contextlib.suppress(ZeroDivisionError), transaction.atomic(), connection.cursor() as cursor:
            answer.execute(cursor, {"more": more})
            assert cursor.fetchone() == (40 + more,)
            raise ZeroDivisionError


@pytest.mark.django_db
def test_an_error_in_such_a_statement_is_one_of_django():
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        Prepared("nonsense", "SELECT nothing FROM nowhere").execute(cursor, {})
