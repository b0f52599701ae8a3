"""The drills name what there is: commands with their options, units, variables, and SQL that PostgreSQL takes."""

import re
import shlex
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connection

ROOT = Path(settings.BASE_DIR)
DRILLS = (ROOT / "docs" / "drills.md").read_text()
BLOCKS = "".join(re.findall(r"^```\n(.*?)^```", DRILLS, re.MULTILINE | re.DOTALL))
COMMANDS = sorted(set(re.findall(r"deploy/manage ([^`\n;]+)", DRILLS)))
SAMPLES = {"SLUG": "chechnya", "NAME": "anna", "ADDRESS": "anna@example.org"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_takes_these_options(command):
    name, *arguments = shlex.split(command)
    assert name in get_commands(), name

    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    parser.parse_args([SAMPLES.get(argument, argument) for argument in arguments])


@pytest.mark.django_db
def test_the_database_understands_each_question():
    questions = re.findall(r'--command="(SELECT [^"]+)"', BLOCKS)

    assert questions
    for question in questions:
        with connection.cursor() as cursor:
            cursor.execute(question)


def test_each_unit_and_variable_exists():
    units = {path.name.partition(".")[0] for path in (ROOT / "deploy" / "systemd").iterdir()}
    named = set(re.findall(r"\bpetition-(?:web|worker@|backup|metrics)", DRILLS))
    variables = "".join(path.read_text() for path in (ROOT / "deploy").glob("*.env"))

    assert {name for name in named if not {name, name.removesuffix("@") + "@"} & units} == set()
    for variable in re.findall(r"`([A-Z]{2,}_[A-Z_]+)`", DRILLS):
        assert variable in variables or hasattr(settings, variable), variable


def test_each_page_has_its_bad_day():
    assert re.findall(r"^## (.+)$", DRILLS, re.MULTILINE) == [
        "Bots are signing",
        "Mail is down",
        "Going viral",
        "The database is full",
        "The clock is wrong",
        "Keys that somebody else has",
        "A court order, or men at the door",
        "The host is blocked, or gone",
        "Leaving",
    ]
