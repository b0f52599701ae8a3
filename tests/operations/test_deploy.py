"""What deploy/ ships for a server: units, settings and the guide agree with each other and with the code."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import environ
import pytest
from django.db import connection

from petition.checks.database import FORGETFUL, PRIVATE_LOGS
from petition.postgres import base

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
UNITS = DEPLOY / "systemd"
HOME = "/srv/petition"  # where the guide puts the project
WEB, WORKER, SANDBOX = (
    (UNITS / name).read_text()
    for name in ("petition-web.service", "petition-worker@.service", "petition-.service.d/sandbox.conf")
)
SERVICES = ("petition-web.service", "petition-worker@1.service", "petition-metrics.service", "petition-backup.service")
GUIDE = (PROJECT / "docs" / "install.md").read_text()
COMMANDS = "".join(re.findall(r"^```\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL))
# What is decided by the one who starts the program rather than by the operator.
NOT_THE_OPERATORS = {"LOCAL", "VAR_DIR", "GRANIAN_HOST", "SECOND_FACTOR"}

with_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def values(unit, name):
    """What a unit sets, each time that it does."""
    return re.findall(rf"^{name}=(.*)$", unit.replace("\\\n", ""), re.MULTILINE)


def settings_in(template):
    """The names that a template sets or, commented out, offers."""
    return re.findall(r"^#?([A-Z_]+)=", (DEPLOY / template).read_text(), re.MULTILINE)


def names_read_by_the_settings():
    for call in ast.walk(ast.parse((PROJECT / "config" / "settings.py").read_text())):
        if not isinstance(call, ast.Call):
            continue
        # Either env.str("NAME") or from_url(env.db_url, "NAME").
        if any(re.fullmatch(r"env\.\w+", ast.unparse(part)) for part in [call.func, *call.args]):
            yield from [part.value for part in call.args if isinstance(part, ast.Constant)][:1]


@pytest.fixture
def installed(tmp_path):
    """The environment of a systemd that has the units, with the paths of this checkout and its Python."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for unit in folder.glob("*.service"):
        text = unit.read_text().replace(f"{HOME}/.venv/bin", str(Path(sys.executable).parent))
        unit.write_text(text.replace(HOME, str(PROJECT)))
    (folder / "petition-worker@1.service").symlink_to("petition-worker@.service")
    return {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}


@with_systemd
def test_systemd_understands_every_line(installed):
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *SERVICES, "petition-backup.timer"],
        env=installed,
        capture_output=True,
        text=True,
    )

    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@with_systemd
@pytest.mark.parametrize("unit", SERVICES)
def test_the_services_may_do_little(installed, unit):
    """At most 1.5 of 10 on the scale of `systemd-analyze security`."""
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit],
        env=installed,
        capture_output=True,
        text=True,
    )

    assert said.returncode == 0, said.stdout + said.stderr


def test_only_the_worker_has_the_key_to_digests_and_those_to_recipients():
    own = settings_in("worker.env")
    assert own == ["EMAIL_DIGEST_KEY", "OUTBOX_KEYS_DIR", "NOTIFY_EMAIL", "NOTIFY_URL", "WITHDRAWN_LIST"]
    assert set(own).isdisjoint(settings_in("petition.env"))
    assert values(WORKER, "EnvironmentFile") == ["/etc/petition/petition.env", "/etc/petition/worker.env"]
    for other in (WEB, SANDBOX, (DEPLOY / "manage").read_text()):
        assert "worker.env" not in other


def test_the_web_server_cannot_look_into_the_worker():
    """Whose environment a process of the same user could read."""
    assert values(WEB, "User") == ["petition"]
    assert values(WORKER, "User") == values(WORKER, "Group") == ["petition-worker"]
    assert "--uid=petition " in (DEPLOY / "manage").read_text()
    assert values(SANDBOX, "InaccessiblePaths") == ["/etc/petition"]
    assert values(WEB, "RestrictAddressFamilies") == ["AF_UNIX"]
    assert values(WEB, "PrivateNetwork") == ["yes"]


def test_keys_to_recipients_lie_in_memory_outlive_a_restart_and_are_the_workers_alone():
    (place,) = re.findall(r"^OUTBOX_KEYS_DIR=(.*)$", (DEPLOY / "worker.env").read_text(), re.MULTILINE)

    assert [f"/run/{name}" for name in values(WORKER, "RuntimeDirectory")] == [place]
    assert values(WORKER, "RuntimeDirectoryMode") == ["0700"]
    # With "restart", a worker that is stopped would take the keys from the others: they share one directory.
    assert values(WORKER, "RuntimeDirectoryPreserve") == ["yes"]
    assert values(WEB, "InaccessiblePaths") == [f"-{place}"]


def test_nothing_typed_reaches_the_disk():
    assert values(SANDBOX, "LimitCORE") == values(SANDBOX, "MemorySwapMax") == ["0"]
    assert values(SANDBOX, "UMask") == ["0077"]
    assert values(SANDBOX, "ProtectSystem") == ["strict"]


def test_the_templates_name_every_setting_and_nothing_else():
    read = set(names_read_by_the_settings())
    named = settings_in("petition.env") + settings_in("worker.env")

    assert {"DATABASE_URL", "CACHE_URL", "EMAIL_URL", "SITE_URL"} <= read
    assert sorted(named) == sorted(read - NOT_THE_OPERATORS)


@pytest.mark.parametrize("template", ["petition.env", "worker.env"])
def test_the_templates_hold_no_secret_and_no_comment_behind_a_value(template):
    """systemd takes such a comment for a part of the value."""
    for line in (DEPLOY / template).read_text().splitlines():
        assert re.fullmatch(r"(#.*|[A-Z_]+=[^\s#]*)?", line), line
        if re.search("KEYS?=", line):
            assert line.endswith("=")


def test_what_is_copied_by_hand_is_the_same_template():
    assert (PROJECT / ".env.example").resolve() == DEPLOY / "petition.env"


def test_the_server_starts_as_make_run_starts_it_but_for_crashes_at_the_start_and_its_socket():
    [start] = values(WEB, "ExecStart")

    program, *arguments = shlex.split(start)
    assert program == f"{HOME}/.venv/bin/python"
    assert tuple(arguments) == (
        *("-m", "config.serve", "--respawn-interval", "10"),
        *("--uds", "/run/petition/web.sock", "--uds-permissions", "0o660"),
    )
    assert values(WEB, "RuntimeDirectory") == ["petition"]
    # nginx, and nobody else, may speak through it.
    assert values(WEB, "Group") == ["www-data"]
    assert values(WEB, "RuntimeDirectoryMode") == ["0750"]


def test_nginx_and_the_units_mean_the_same_places():
    nginx = (DEPLOY / "nginx.conf").read_text() + (DEPLOY / "nginx-site.conf").read_text()

    assert set(re.findall(r"unix:([^\s;]+)", nginx)) == {"/run/petition/web.sock"}
    assert set(re.findall(r"/srv/[^\s;]+", nginx)) == {f"{HOME}/var/static/", f"{HOME}/deploy"}
    for unit in (WEB, WORKER):
        assert values(unit, "WorkingDirectory") == [HOME]
    assert values(WORKER, "ExecStart") == [f"{HOME}/.venv/bin/python manage.py worker"]


def test_the_settings_for_postgresql_are_those_that_the_check_asks_for():
    lines = (DEPLOY / "postgresql.conf").read_text().splitlines()

    others = {"min_wal_size": "32MB", "max_wal_size": "256MB", "client_connection_check_interval": "2s"}
    assert dict(line.split(" = ") for line in lines if " = " in line) == PRIVATE_LOGS | FORGETFUL | others


def test_the_guide_names_only_files_and_units_that_exist():
    for name in re.findall(r"\bdeploy/([\w./-]*\w)", GUIDE):
        assert (DEPLOY / name).exists(), name
    for name in re.findall(r"\bpetition-(?:web|worker@|backup(?!-))", GUIDE):
        assert (UNITS / f"{name}.service").exists()
    for command in sorted(set(re.findall(r"(?:deploy/manage|manage\.py) (\w+)", COMMANDS))):
        assert subprocess.run([sys.executable, "manage.py", "help", command], cwd=PROJECT).returncode == 0, command
    assert {
        *values(WEB, "User"),
        *values(WORKER, "User"),
    } == set(re.findall(r"^adduser .* ([\w-]+)$", COMMANDS, re.MULTILINE))


def test_the_guide_gives_nginx_the_numbers_that_its_file_asks_for():
    nginx = (DEPLOY / "nginx.conf").read_text()
    for name in ("worker_connections", "worker_rlimit_nofile"):
        assert set(re.findall(rf"{name} (\d+);", nginx)) <= set(re.findall(rf"{name} (\d+);", COMMANDS))


def test_the_guide_installs_what_is_locked_and_nothing_else():
    installs = re.findall(r"pip install .*", COMMANDS)

    assert len(installs) == 2
    assert set(installs) == {"pip install --require-hashes --only-binary :all: -r deploy/requirements.txt"}


def test_the_guide_and_the_scripts_are_read_by_a_shell(tmp_path):
    (tmp_path / "guide").write_text(COMMANDS)

    for script in (tmp_path / "guide", DEPLOY / "manage", DEPLOY / "install.sh"):
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert os.access(DEPLOY / "manage", os.X_OK)
    assert os.access(DEPLOY / "install.sh", os.X_OK)


def test_backups_lie_where_their_service_may_write_and_apart_from_the_workers_keys():
    backup = (UNITS / "petition-backup.service").read_text()
    (place,) = re.findall(r"^BACKUP_DIR=(.*)$", (DEPLOY / "petition.env").read_text(), re.MULTILINE)

    assert [f"/var/lib/{name}" for name in values(backup, "StateDirectory")] == [place]
    assert values(backup, "StateDirectoryMode") == ["0700"]
    assert values(backup, "User") == values(WEB, "User") != values(WORKER, "User")
    assert values(backup, "EnvironmentFile") == ["/etc/petition/petition.env"]


def test_the_script_holds_the_commands_of_the_guide_and_no_others():
    steps = re.findall(r"^## ([1-7]\. .*?)\n(.*?)(?=^## )", GUIDE, re.MULTILINE | re.DOTALL)
    # What follows the first block of a step is for looking, not for installing.
    blocks = [re.search(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1] for _title, text in steps]

    assert len(steps) == 7
    _head, first, script = (DEPLOY / "install.sh").read_text().partition("# 1. ")
    assert first + script == "\n".join(
        f"# {title}\n{block}" for (title, _text), block in zip(steps, blocks, strict=True)
    )


def test_the_script_says_which_value_is_missing_before_it_does_anything():
    known = {"PATH": os.environ["PATH"], "host": "petition.example.org", "me": "you@example.org"}
    said = subprocess.run([DEPLOY / "install.sh"], env=known, capture_output=True, text=True)

    assert said.returncode == 1
    assert said.stdout == ""
    assert "export mail=smtps://" in said.stderr


def test_the_guide_is_for_every_version_of_debian_and_postgresql():
    assert not re.search(r"/etc/postgresql/\d", GUIDE)


@pytest.mark.parametrize(("password", "written"), [("plain", "plain"), ("a&b%2Fc$d", "a&b%2Fc$d")])
def test_the_address_of_the_mail_server_is_written_as_it_is_given_and_once(tmp_path, password, written):
    (line,) = re.findall(r"^sed .*EMAIL_URL.*$", COMMANDS, re.MULTILINE)
    settings = tmp_path / "petition.env"
    shutil.copy(DEPLOY / "petition.env", settings)
    for mail in (f"smtps://me:{password}@mail.example.org:587", "smtp://somewhere.else"):
        command = line.replace("/etc/petition/petition.env", str(settings))
        subprocess.run(["bash", "-c", command], env={**os.environ, "mail": mail}, check=True)

    assert re.findall(r"^EMAIL_URL=.*", settings.read_text(), re.MULTILINE) == [
        f"EMAIL_URL=smtps://me:{written}@mail.example.org:587"
    ]


def test_the_guide_to_several_machines_leads_all_three_queues_to_all_apps(tmp_path):
    nodes = (PROJECT / "docs" / "nodes.md").read_text()
    [lines] = re.findall(r"^for queue in .*?^done$", nodes, re.MULTILINE | re.DOTALL)
    conf = tmp_path / "petition"
    shutil.copy(DEPLOY / "nginx.conf", conf)

    subprocess.run(["bash", "-c", lines.replace("/etc/nginx/sites-available/petition", str(conf))], check=True)

    assert "web.sock" not in conf.read_text()
    for queue in (32, 128, 256):
        assert [f"server 10.0.0.{node}:8000 max_conns={queue};" in conf.read_text() for node in (11, 12, 13)] == [
            True
        ] * 3


def test_the_app_of_several_machines_is_started_as_the_one_alone_but_for_its_address():
    [start] = values(WEB, "ExecStart")
    [other] = re.findall(
        r"ExecStart=(/\S.*?\S)$", (PROJECT / "docs" / "nodes.md").read_text().replace("\\\n", ""), re.M
    )

    there, alone = shlex.split(other), shlex.split(start)
    assert there[: there.index("--host")] == alone[: alone.index("--uds")]


def test_several_hosts_in_database_url_reach_libpq_as_they_are_written():
    """As docs/nodes.md writes them: it takes the one that can be written to."""
    text = (PROJECT / "docs" / "nodes.md").read_text()
    [url] = re.findall(r"^DATABASE_URL=(.*)$", text, re.MULTILINE)
    found = environ.Env.db_url_config(
        url.replace("10.0.0.31,10.0.0.32", "10.0.0.31:6432,10.0.0.31:5432,10.0.0.32:5432")
    )

    parameters = base.DatabaseWrapper(connection.settings_dict | found).get_connection_params()

    assert (parameters["host"], parameters["port"]) == ("10.0.0.31,10.0.0.31,10.0.0.32", "6432,5432,5432")
    assert (parameters["target_session_attrs"], parameters["connect_timeout"]) == ("read-write", 2)
