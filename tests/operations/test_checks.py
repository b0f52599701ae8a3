"""What would hurt silently stops the start, with an id and a hint that says what to do."""

import re
import subprocess
from contextlib import suppress

import pytest
from django.conf import settings as django_settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from petition.checks.configuration import of_the_worker
from petition.models import KeyFingerprint
from petition.web.loopback import is_loopback
from tests.support import server

PASSWORD = "hunter2-secret"


def production(**overrides):
    """An environment that may start on the open internet; None leaves a variable out."""
    values = {
        "LOCAL": None,
        "SITE_URL": "https://petition.example.org",
        "ALLOWED_HOSTS": "petition.example.org",
        "EMAIL_URL": f"smtps://user:{PASSWORD}@mail.example.org:587",
        "SECRET_KEY": "of-production-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG",
        "CONTACT_EMAIL": "hello@network.example",
        "CONTROLLER": "The Network, 1 Long Street",
        "HOSTING_COUNTRY": "CH",
        "DONATE_URL": "https://network.example/give",
        **overrides,
    }
    return server.environment(**values)


def workers(**overrides):
    """The same for a worker."""
    return production(**server.worker_keys() | overrides)


def run(*command, environment):
    done = subprocess.run(
        [server.PYTHON, *command], cwd=server.PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def manage(*command, **overrides):
    return run("manage.py", *command, environment=production(**overrides))


STARTS = {
    "check": ("manage.py", "check"),
    "worker": ("manage.py", "worker", "--once"),
    "wsgi": ("-c", "import config.wsgi"),
}
# For each check what provokes it in production, and the word of its hint that tells an operator what to do.
REFUSALS = [
    ("E001", {"SITE_URL": None}, "SITE_URL"),
    ("E001", {"SITE_URL": "http://petition.example.org"}, "SITE_URL"),
    ("E001", {"SITE_URL": "https://petition.example.org/path"}, "SITE_URL"),
    ("E001", {"SITE_URL": "https://petition.example.org?x="}, "SITE_URL"),
    ("E011", {"TRUSTED_PROXIES": "0.0.0.0/0"}, "unix"),
    ("E011", {"TRUSTED_PROXIES": "::/0"}, "unix"),
    ("E015", {"ADMIN_PATH": "en"}, "ADMIN_PATH"),
    ("E015", {"ADMIN_PATH": "/"}, "ADMIN_PATH"),
    ("E002", {"SECRET_KEY": None}, "secrets.token_hex"),
    ("E002", {"SECRET_KEY": "short"}, "secrets.token_hex"),
    ("E017", {"EMAIL_DIGEST_KEY": "ab" * 32}, "the worker alone"),
    ("E005", {"DATABASE_URL": None}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": "sqlite:////tmp/x.sqlite3"}, "DATABASE_URL"),
    ("E006", {"EMAIL_URL": None}, "EMAIL_URL"),
    ("E006", {"EMAIL_URL": "consolemail://"}, "EMAIL_URL"),
    ("E006", {"EMAIL_URL": "smtp://"}, "EMAIL_URL"),
    ("E007", {"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"),
    ("E007", {"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
    ("E007", {"ALLOWED_HOSTS": "petition.example.org,*"}, "ALLOWED_HOSTS"),
    ("E008", {"LOCAL": "1"}, "LOCAL"),
    ("E008", {"LOCAL": "1", "SITE_URL": "http://192.168.0.7:8000"}, "LOCAL"),
    ("E009", {"LOCAL": "1", "SITE_URL": "http://127.0.0.1:8000", "GRANIAN_HOST": "0.0.0.0"}, "GRANIAN_HOST"),
    ("E009", {"LOCAL": "1", "SITE_URL": "http://localhost", "GRANIAN_HOST": "::"}, "GRANIAN_HOST"),
    ("E010", {"RATE_PER_NETWORK": "many"}, "300/h"),
    ("E010", {"BURST_PER_NETWORK": "30"}, "300/h"),
    ("E010", {"MAILS_PER_ADDRESS": "5/y"}, "300/h"),
    ("E010", {"HOLD_PER_NETWORK": "-1/h"}, "300/h"),
    ("E018", {"COUNT_STEP": "9"}, "Leave it out"),
    ("E018", {"COUNT_STEP": "1"}, "Leave it out"),
    ("E018", {"COUNT_STEP": "many"}, "Leave it out"),
    ("E016", {"MAIL_CONNECTIONS": "0"}, "1 to 99"),
    ("E016", {"MAIL_CONNECTIONS": "many"}, "1 to 99"),
    ("E016", {"MAIL_CONNECTIONS": "100"}, "1 to 99"),
    ("E011", {"TRUSTED_PROXIES": "proxy.example.org"}, "TRUSTED_PROXIES"),
    ("E035", {"METRICS_ADDRESS": "0.0.0.0:9464"}, "127.0.0.1:9464"),
    ("E035", {"METRICS_ADDRESS": "[::]:9464"}, "127.0.0.1:9464"),
    ("E035", {"METRICS_ADDRESS": ":9464"}, "127.0.0.1:9464"),
    ("E035", {"METRICS_ADDRESS": "127.0.0.1"}, "127.0.0.1:9464"),
    ("E035", {"METRICS_ADDRESS": "127.0.0.1:99999"}, "127.0.0.1:9464"),
    ("E036", {"LOG_FORMAT": "xml"}, "Leave it out"),
    ("E011", {"TRUSTED_PROXIES": "127.0.0.1/32,10.0.0.7/8"}, "TRUSTED_PROXIES"),
    ("E052", {"NOTIFY_URL": f"http://hooks.example.org/{PASSWORD}"}, "https://"),
    ("E052", {"NOTIFY_URL": f"https://user:{PASSWORD}@hooks.example.org/"}, "without a user"),
    ("E052", {"NOTIFY_URL": f"https:///{PASSWORD}"}, "webhook"),
    ("E052", {"NOTIFY_URL": f"https://[{PASSWORD}/"}, "webhook"),
    ("E053", {"NOTIFY_EMAIL": "staff"}, "one address"),
    ("E053", {"NOTIFY_EMAIL": "a@example.org,b@example.org"}, "one address"),
    ("E054", {"NOTIFY_COUNT": "0"}, "Leave it out"),
    ("E054", {"NOTIFY_HOURS": "4h"}, "Leave it out"),
    ("E056", {"CAMPAIGN_SHARE": "101"}, "Leave it out"),
    ("E056", {"NAMES_PER_HOUR": "no"}, "Leave it out"),
    # What cannot even be read.
    ("E005", {"DATABASE_URL": f"postgresql://user:{PASSWORD}/x@host/db"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": f"postgresql://user:x@host:{PASSWORD}/db"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": f"//user:{PASSWORD}@host/db"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": f"user:{PASSWORD}@host/db"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": f"mysql://user:{PASSWORD}@host/db"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": f"postgresql://user:{PASSWORD}@host"}, "DATABASE_URL"),
    ("E005", {"DATABASE_URL": ""}, "DATABASE_URL"),
    ("E006", {"EMAIL_URL": f"smtp://user:{PASSWORD}@mail.example.org:port"}, "EMAIL_URL"),
    ("E006", {"EMAIL_URL": f"smtp://user:{PASSWORD}/x@mail.example.org:25"}, "EMAIL_URL"),
    ("E006", {"EMAIL_URL": f"tls://user:{PASSWORD}@mail.example.org"}, "EMAIL_URL"),
    ("E006", {"EMAIL_URL": f"user:{PASSWORD}@mail.example.org"}, "EMAIL_URL"),
    ("E014", {"CACHE_URL": f"redish://user:{PASSWORD}@host/1"}, "CACHE_URL"),
    ("E014", {"CACHE_URL": f"user:{PASSWORD}@host"}, "CACHE_URL"),
    ("E014", {"CACHE_URL": f"redis://[{PASSWORD}"}, "CACHE_URL"),
    ("E014", {"CACHE_URL": "locmemcache://"}, "CACHE_URL"),
]


def check_refusal(answer, identifier, hint):
    code, said = answer
    assert code != 0
    assert f"petition.{identifier}" in said
    assert "HINT" in said
    assert hint in said
    assert PASSWORD not in said


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("identifier", "broken", "hint"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_start_is_refused_with_id_and_hint(identifier, broken, hint):

    check_refusal(manage("check", **broken), identifier, hint)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", ["worker", "wsgi"])
@pytest.mark.parametrize(
    "broken",
    [
        {"SECRET_KEY": None},
        {"DATABASE_URL": None},
        {"DATABASE_URL": f"//user:{PASSWORD}@host/db"},
        {"EMAIL_URL": None},
        {"SITE_URL": None},
        {"ALLOWED_HOSTS": None},
        {"LOCAL": "1"},
    ],
    ids=str,
)
def test_server_and_worker_refuse_like_the_check_does(start, broken):
    (identifier, hint), *_ = [(identifier, hint) for identifier, values, hint in REFUSALS if values == broken]

    environment = workers(**broken) if start == "worker" else production(**broken)
    check_refusal(run(*STARTS[start], environment=environment), identifier, hint)


@pytest.mark.django_db(transaction=True)
def test_several_faults_are_told_at_once():
    code, said = manage("check", SECRET_KEY=None, EMAIL_URL=None, SITE_URL=None, ALLOWED_HOSTS=None, DATABASE_URL=None)

    assert code != 0
    for identifier in ("E001", "E002", "E005", "E006", "E007"):
        assert f"petition.{identifier}" in said


def test_a_deployment_is_not_passed_without_its_database(tmp_path):
    nowhere = f"postgresql:///petition?host={tmp_path}"
    check_refusal(
        manage("check", "--deploy", "--database", "default", DATABASE_URL=nowhere), "E021", "Is PostgreSQL running"
    )
    # A server that starts before its database waits for it.
    code, said = manage("check", "--database", "default", DATABASE_URL=nowhere)
    assert (code, "E021" in said) == (0, False), said


@pytest.mark.django_db(transaction=True)
class TestCompleteEnvironment:
    def test_starts_without_a_warning(self):

        code, said = manage("check", "--deploy", "--database", "default", "--fail-level", "WARNING")

        # What the server logs is the operator's to set, and W001 tells; the servers of our tests have it set.
        assert (code, "no issues" in said) == (0, True), said

    def test_starts_the_worker_and_the_server(self):

        for start, variables in (("worker", workers), ("wsgi", production)):
            code, said = run(*STARTS[start], environment=variables(EMAIL_URL="smtp://127.0.0.1:1"))
            assert code == 0, said

    def test_has_no_page_with_mails(self, tmp_path):
        environment = {name: value for name, value in production().items() if name not in server.environment()}
        log = tmp_path / "web.log"
        with server.web(log, **{**environment, **overrides_for_production()}) as port:
            host = {"Host": "petition.example.org"}
            assert server.fetch(port, "GET", "/dev/mail/", headers=host).status_code == 404
            assert server.fetch(port, "GET", "/dev/mail", headers=host).status_code == 404
            home = server.fetch(port, "GET", "/nowhere", headers=host)
            assert home["Strict-Transport-Security"] == "max-age=31536000"
            assert "dev/mail" not in home.content.decode()
            login = server.fetch(port, "GET", "/admin/login/", headers=host)
            assert "Secure" in login["Set-Cookie"]
            assert "HttpOnly" in login["Set-Cookie"]
            assert "Path=/admin/" in login["Set-Cookie"]
            # A name that is not ours.
            assert server.fetch(port, "GET", "/en/").status_code == 400


def overrides_for_production():
    names = ("LOCAL", "SITE_URL", "ALLOWED_HOSTS", "EMAIL_URL", "SECRET_KEY")
    return {name: production().get(name) for name in names}


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_refused_says_why_and_serves_nothing(tmp_path):
    log = tmp_path / "web.log"
    port = server.free_port()
    command = (*server.GRANIAN, server.IN_EARNEST, "--port", str(port))
    with server.process(*command, log=log, LOCAL=None, SITE_URL=None) as started:
        server.wait_until(lambda: started.poll() is not None or "petition.E001" in log.read_text())
        with suppress(OSError):
            assert server.fetch(port, "GET", "/healthz").status_code >= 500
    assert "Links in mails are built from SITE_URL" in log.read_text()


@pytest.mark.django_db
def test_a_database_that_keeps_its_log_is_warned_of():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL wal_recycle = on")

    (warning,) = [m for m in checks.run_checks(databases=["default"]) if m.id == "petition.W002"]
    assert "wal_recycle = 'off'" in warning.hint
    assert not warning.is_serious()


@pytest.mark.django_db
@pytest.mark.parametrize(("is_worker", "told"), [(True, ["petition.W003"]), (False, [])])
def test_a_worker_that_may_not_end_the_log_is_warned_of(settings, is_worker, told):
    settings.IS_WORKER = is_worker
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE weak; GRANT SELECT ON ALL TABLES IN SCHEMA public TO weak; SET LOCAL ROLE weak")

    found = [message for message in checks.run_checks(databases=["default"]) if message.id == "petition.W003"]

    assert [warning.id for warning in found] == told
    assert all("pg_checkpoint" in warning.hint for warning in found)


# What the worker alone needs.


@pytest.mark.django_db
class TestWorkersKeys:
    @pytest.fixture(autouse=True)
    def _own_directory(self, settings, tmp_path):
        settings.OUTBOX_KEYS_DIR = str(tmp_path / "keys")
        settings.WITHDRAWN_LIST = str(tmp_path / "withdrawals" / "list")

    def refused(self):
        return [(error.id, error.hint) for error in of_the_worker() if error.is_serious()]

    def identifiers(self):
        return [identifier for identifier, _hint in self.refused()]

    def test_the_first_start_remembers_the_key_and_not_what_it_is(self):
        assert self.refused() == []

        stored = KeyFingerprint.objects.get(name="email_digest").fingerprint
        assert django_settings.EMAIL_DIGEST_KEY not in stored
        assert len(stored) == 64

    def test_another_key_is_refused_from_then_on_and_the_old_one_is_still_known(self, settings):
        own = settings.EMAIL_DIGEST_KEY
        assert self.refused() == []
        settings.EMAIL_DIGEST_KEY = "00" * 32

        ((identifier, hint),) = self.refused()
        assert identifier == "petition.E012"
        assert "Restore the old key" in hint
        settings.EMAIL_DIGEST_KEY = own
        assert self.refused() == []

    def test_capital_letters_make_no_other_key(self, settings):
        assert self.refused() == []
        settings.EMAIL_DIGEST_KEY = settings.EMAIL_DIGEST_KEY.upper()

        assert self.refused() == []

    @pytest.mark.parametrize("key", ["", "ab" * 31 + "xy", "ab" * 31, "ab" * 32 + "\n"])
    def test_what_is_no_key_is_refused_and_not_remembered(self, settings, key):
        settings.EMAIL_DIGEST_KEY = key

        assert self.identifiers() == ["petition.E003"]
        assert not KeyFingerprint.objects.exists()

    def test_a_directory_that_others_can_read_is_refused(self, settings, tmp_path):
        shared = tmp_path / "shared"
        for mode, identifiers in ((0o700, []), (0o750, ["petition.E013"]), (0o701, ["petition.E013"])):
            shared.mkdir(exist_ok=True)
            shared.chmod(mode)
            settings.OUTBOX_KEYS_DIR = str(shared)

            assert self.identifiers() == identifiers, oct(mode)

    @pytest.mark.parametrize("directory", ["", "/proc/nowhere", "/dev/null"])
    def test_a_directory_that_cannot_be_is_refused(self, settings, directory):
        settings.OUTBOX_KEYS_DIR = directory

        ((identifier, hint),) = self.refused()
        assert identifier == "petition.E013"
        assert "RuntimeDirectory=" in hint

    @pytest.mark.parametrize("path", ["", "/proc/nowhere/list", "/dev/null/list"])
    def test_a_list_of_withdrawals_that_cannot_be_written_is_refused(self, settings, path):
        settings.WITHDRAWN_LIST = path

        ((identifier, hint),) = self.refused()
        assert identifier == "petition.E019"
        assert "another disk" in hint

    def test_several_faults_are_told_at_once(self, settings):
        settings.EMAIL_DIGEST_KEY = settings.OUTBOX_KEYS_DIR = settings.WITHDRAWN_LIST = ""

        assert self.identifiers() == ["petition.E003", "petition.E013", "petition.E019"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_refused_says_why_and_tells_no_key():
    assert run(*STARTS["worker"], environment=workers(EMAIL_URL="smtp://127.0.0.1:1"))[0] == 0
    other = "0123456789abcdef" * 4

    for broken, identifier, hint in (
        ({"EMAIL_DIGEST_KEY": None}, "E003", "secrets.token_hex"),
        ({"EMAIL_DIGEST_KEY": other}, "E012", "Restore the old key"),
        ({"OUTBOX_KEYS_DIR": None}, "E013", "RuntimeDirectory="),
    ):
        code, said = run(*STARTS["worker"], environment=workers(**broken))
        assert code != 0
        assert f"petition.{identifier}" in said
        assert hint in said
        assert other not in said
        assert django_settings.EMAIL_DIGEST_KEY not in said


@pytest.mark.django_db(transaction=True)
def test_a_trial_gives_the_key_to_its_worker_alone(tmp_path):
    """As `make run` does: everything else of it could not tell one address from another, either."""
    (tmp_path / "local.env").write_text(f"SECRET_KEY={django_settings.SECRET_KEY}\n")
    (tmp_path / "worker.env").write_text(f"EMAIL_DIGEST_KEY={'ab' * 32}\n")
    environment = server.environment(VAR_DIR=str(tmp_path), EMAIL_URL="smtp://127.0.0.1:1")
    tell = "import sys; sys.argv = ['manage.py', {!r}]; from config import settings; print(settings.EMAIL_DIGEST_KEY)"

    told = {name: run("-c", tell.format(name), environment=environment)[1].strip() for name in ("worker", "shell")}

    assert told == {"worker": "ab" * 32, "shell": ""}
    assert run(*STARTS["worker"], environment=environment)[0] == 0


@pytest.mark.django_db
def test_a_database_that_logs_statements_is_warned_of():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL log_error_verbosity = verbose")

    (warning,) = [m for m in checks.run_checks(databases=["default"]) if m.id == "petition.W001"]
    assert "log_error_verbosity = 'terse'" in warning.hint
    assert not warning.is_serious()


# What counts as this machine.


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.7", "", "localhost.example.org", "127.0.0.1.example.org", "example.org", "1"]
)
def test_another_machine(host):
    assert not is_loopback(host)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("site_url", ["http://127.0.0.1:8000", "http://localhost:8001", "http://[::1]:8000", None])
def test_a_trial_on_this_machine_starts(site_url):

    environment = server.environment(SITE_URL=site_url, ALLOWED_HOSTS=None, EMAIL_URL=None)
    code, said = run("manage.py", "check", "--database", "default", environment=environment)

    assert code == 0, said


def test_each_check_is_provoked_here():
    """A new check needs a row above, or a test elsewhere."""
    code = "".join(path.read_text() for path in (server.PROJECT / "petition/checks").iterdir() if path.suffix == ".py")
    defined = set(re.findall(r'id="petition\.(\w+)"', code))
    checks = "E003 E012 E013 E019 E020 E021 E022 E040 E041 E050 E051 E072 W001 W002 W003 W050 W071"
    elsewhere = set(checks.split())

    assert defined == {identifier for identifier, _broken, _hint in REFUSALS} | elsewhere


def test_commands_refuse_too(settings):
    settings.ALLOWED_HOSTS = ["*"]

    with pytest.raises(SystemCheckError, match=r"petition\.E007"):
        call_command("check")


ASK_FROM = """
import sys, config.wsgi as wsgi
said = []
answer = wsgi.application(
    {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz", "SERVER_NAME": "x", "SERVER_PORT": "80",
     "HTTP_HOST": "127.0.0.1", "REMOTE_ADDR": sys.argv[1], "wsgi.input": sys.stdin.buffer,
     "wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1"},
    lambda status, headers: said.append(status))
print(said[0], b"".join(answer))
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "status"), [("127.0.0.1", "200 OK"), ("::1", "200 OK"), ("", "200 OK"), ("192.0.2.1", "403 Forbidden")]
)
def test_a_trial_run_answers_its_own_machine_alone_wherever_the_server_listens(address, status):

    _code, said = run("-c", ASK_FROM, address, environment=server.environment())

    assert status in said
