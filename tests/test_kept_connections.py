"""Threads of the app server keep their connection, and a visitor never meets one that has ended meanwhile."""

from contextlib import closing
from unittest.mock import patch

import psycopg2
import pytest
from django.db import close_old_connections, connection
from django.db.backends.postgresql import base

from petition import tally
from petition.models import Petition

from .conftest import make_petition


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
