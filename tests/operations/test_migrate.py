"""Several machines may migrate as they start: one does it, and the others wait and find it done."""

import subprocess

import pytest
from django.db import connection

from tests.support import server

COMMAND = [server.PYTHON, "manage.py", "migrate", "--no-input"]


@pytest.fixture
def empty_database():
    """The address of a database without a table."""
    name = f"{connection.settings_dict['NAME']}_empty"
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        yield server.database_url().replace(connection.settings_dict["NAME"], name)
    finally:
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.django_db(transaction=True)
def test_three_at_once_end_well_and_one_of_them_did_it(empty_database):
    environment = server.environment(DATABASE_URL=empty_database)
    running = [
        subprocess.Popen(
            COMMAND, cwd=server.PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _number in range(3)
    ]
    said = [started.communicate(timeout=120)[0] for started in running]

    assert [started.returncode for started in running] == [0, 0, 0], said
    assert sorted("Applying petition.0001_initial" in text for text in said) == [False, False, True]


@pytest.mark.django_db(transaction=True)
def test_one_that_is_killed_lets_the_next_one_in(empty_database):
    environment = server.environment(DATABASE_URL=empty_database)
    first = subprocess.Popen(COMMAND, cwd=server.PROJECT, env=environment, stdout=subprocess.PIPE)
    first.stdout.readline()
    first.kill()
    first.wait()

    done = subprocess.run(COMMAND, cwd=server.PROJECT, env=environment, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
