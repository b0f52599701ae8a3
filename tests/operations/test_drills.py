"""The drills name what there is: commands with their options, units, variables, and SQL that PostgreSQL takes."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connection

ROOT = Path(settings.BASE_DIR)
DRILLS = (ROOT / "docs" / "drills.md").read_text()
BLOCKS = "".join(re.findall(r"^```\n(.*?)^```", DRILLS, re.MULTILINE | re.DOTALL))
COMMANDS = sorted(set(re.findall(r"deploy/manage ([^`\n;\\]+)", DRILLS)))
SAMPLES = {"SLUG": "chechnya", "NAME": "anna", "ADDRESS": "anna@example.org"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_takes_these_options(command):
    name, *arguments = shlex.split(command)
    assert name in get_commands(), name

    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    parser.parse_args([SAMPLES.get(argument, argument) for argument in arguments])


@pytest.mark.django_db
def test_the_database_understands_each_question():
    questions = re.findall(r'--command="((?:SELECT|DELETE) [^"]+)"', BLOCKS)

    assert questions
    for question in questions:
        with connection.cursor() as cursor:
            # Without doing it: one drops a slot, another one logs staff out.
            cursor.execute(f"EXPLAIN {question}")


def test_each_unit_and_variable_exists():
    units = {path.name.partition(".")[0] for path in (ROOT / "deploy" / "systemd").iterdir()}
    named = set(re.findall(r"\bpetition-(?:web|worker@|backup|metrics)", DRILLS))
    variables = "".join(path.read_text() for path in (ROOT / "deploy").glob("*.env"))

    assert {name for name in named if not {name, name.removesuffix("@") + "@"} & units} == set()
    for variable in re.findall(r"`([A-Z]{2,}_[A-Z_]+)`", DRILLS):
        assert variable in variables or hasattr(settings, variable), variable


def test_no_unit_is_started_enabled_or_disabled_by_a_star():
    """systemd knows by a star only what it runs; `disable` warns, ends with 0, and leaves the workers running."""
    for verb, units in re.findall(r"systemctl (\w+)((?: --?[\w=]+| '?petition[^\s`;,)]+)+)", DRILLS):
        assert "*" not in units or verb in {"stop", "status"}, f"{verb}{units}"


def test_workers_that_a_block_stops_it_starts_again():
    for block in re.findall(r"^```\n(.*?)^```", DRILLS, re.MULTILINE | re.DOTALL):
        if "systemctl stop 'petition-worker@*'" in block:
            assert "systemctl start petition-worker@1 petition-worker@2" in block


def test_a_new_password_comes_before_the_new_second_factor():
    """Or whoever has the old one sets up a phone of their own."""
    assert 0 < DRILLS.index("deploy/manage changepassword") < DRILLS.index("deploy/manage reset_second_factor")


def test_no_command_writes_into_the_folder_of_the_code_which_is_roots():
    for out in re.findall(r"deploy/manage [^`\n]*--out (\S+)", DRILLS):
        assert out.startswith("/tmp/"), out


def test_the_share_of_503_is_counted_by_the_field_of_the_log_that_has_it():
    fields = re.search(r"log_format petition '(.+?)'", (ROOT / "deploy/nginx.conf").read_text())[1].split()

    assert {fields[int(number) - 1] for number in re.findall(r"seen\[\$(\d)\]\+\+", DRILLS)} == {"$status"}


def test_the_queues_that_are_made_longer_are_those_of_nginx():
    nginx = (ROOT / "deploy" / "nginx.conf").read_text()

    assert set(re.findall(r"s/(max_conns=\d+;)/", DRILLS)) == set(re.findall(r"max_conns=\d+;", nginx))


def test_more_processes_are_started_as_the_unit_starts_two():
    [start] = re.findall(r"^ExecStart=(.+)$", _unit().replace("\\\n", ""), re.MULTILINE)
    [more] = re.findall(r"^ExecStart=(\S.*)$", DRILLS.replace("\\\n", ""), re.MULTILINE)

    assert shlex.split(more) == [*shlex.split(start), "--workers", "4"]


def _unit():
    return (ROOT / "deploy" / "systemd" / "petition-web.service").read_text()


def test_where_the_script_stops_half_way_is_before_the_tables(tmp_path):
    """Or the restore would find a database that is not empty, and the worker another key's fingerprint."""
    [cut] = re.findall(r"^bash <\((sed '.+?' deploy/install.sh)\)", DRILLS, re.MULTILINE)

    done = subprocess.run(["bash", "-c", cut], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "createdb --owner=petition" in done
    assert "EMAIL_DIGEST_KEY" in done
    assert "deploy/manage" not in done


@pytest.mark.parametrize("block", re.findall(r"^```\n(.*?)^```", DRILLS, re.MULTILINE | re.DOTALL))
def test_a_shell_can_read_each_block(block):
    assert subprocess.run(["bash", "-n"], input=block, text=True).returncode == 0


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
