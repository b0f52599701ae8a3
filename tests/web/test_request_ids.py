"""Whoever meets an error can quote an id, by which the operator finds its lines in the logs."""

import json
import re

import pytest
from django.db import OperationalError, connection

from petition import rate_limits
from tests.conftest import make_petition
from tests.operations.test_health import closed_database
from tests.support import server

QUOTED = re.compile(r"(?:quote|номер) <b translate=\"?no\"?>([0-9a-f]{12})</b>")
GIVEN = "0123456789ab"
SIGN = "/en/petitions/chechnya/sign/"


def quoted(response):
    """The id on an error page."""
    (found,) = QUOTED.findall(response.content.decode())
    return found


def fail(*args, **options):
    raise RuntimeError("of the test")


def lines(caplog):
    """What is said at a WARNING or above: the id of its request, and the message."""
    return [(record.request_id, record.getMessage()) for record in caplog.records if record.levelno >= 30]


@pytest.fixture
def log(caplog):
    """As our handler would see it."""
    from petition.web.logs import Private

    caplog.handler.addFilter(Private())
    return caplog


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "ask"),
    [
        (400, lambda client: client.post(SIGN, b"--x", content_type="multipart/form-data")),
        (403, lambda client: client.post(SIGN, {}, headers={"Origin": "https://elsewhere.example"})),
        (404, lambda client: client.get("/en/nothing/there/")),
        (405, lambda client: client.delete(SIGN)),
        (413, lambda client: client.post(SIGN, {"words": "x" * 200_000})),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_each_error_page_quotes_the_id_under_which_it_is_logged(client, petition, log, status, ask):
    response = ask(client)

    assert response.status_code == status
    assert quoted(response) in {request_id for request_id, _said in lines(log)}


@pytest.mark.django_db
def test_so_does_the_page_of_a_limit(client, petition, monkeypatch, sign_data):
    monkeypatch.setattr(rate_limits, "over_any", lambda uses: 60)

    assert quoted(client.post(SIGN, sign_data()))


@pytest.mark.django_db
def test_so_does_the_page_of_a_failure_of_ours(client, petition, log, monkeypatch):
    monkeypatch.setattr("petition.views.form_page", fail)
    client.raise_request_exception = False

    response = client.get(SIGN)

    assert response.status_code == 500
    assert (quoted(response), "500 GET petition:sign") in lines(log)


def test_so_does_the_page_that_shows_without_a_database(client, monkeypatch):
    def away(*args, **options):
        raise OperationalError("of the test")

    monkeypatch.setattr("petition.views.get_object_or_404", away)

    response = client.get("/ru/petitions/chechnya/withdraw/")

    assert response.status_code == 503
    assert quoted(response)


@pytest.mark.django_db
def test_two_errors_have_two_ids(client):
    first, second = (quoted(client.get("/en/nothing/there/")) for _ in range(2))

    assert first != second


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("proxies", "peer", "given", "is_taken"),
    [
        (["127.0.0.1/32"], "127.0.0.1", GIVEN, True),
        (["unix"], "", GIVEN, True),
        ([], "127.0.0.1", GIVEN, False),
        (["unix"], "127.0.0.1", GIVEN, False),
        (["127.0.0.1/32"], "203.0.113.7", GIVEN, False),
        (["127.0.0.1/32"], "127.0.0.1", "anna@example.org", False),
        (["127.0.0.1/32"], "127.0.0.1", GIVEN + "0", False),
    ],
)
def test_an_id_is_taken_from_a_trusted_proxy_alone(client, settings, proxies, peer, given, is_taken):
    settings.TRUSTED_PROXIES = proxies

    response = client.get("/en/nothing/there/", headers={"X-Request-ID": given}, REMOTE_ADDR=peer)

    assert (quoted(response) == given) is is_taken


@pytest.mark.django_db
def test_a_page_without_an_error_is_the_same_for_everyone(client, petition, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1/32"]
    answers = [client.get(SIGN, headers={"X-Request-ID": given}) for given in (GIVEN, "ba9876543210")]

    assert answers[0].content == answers[1].content
    assert dict(answers[0].items()) == dict(answers[1].items())
    assert GIVEN not in answers[0].content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_server_writes_each_line_as_json_with_the_id_that_was_quoted(tmp_path):
    make_petition()
    log = tmp_path / "web.log"
    with server.web(log, LOG_FORMAT="json") as port:
        assert server.fetch(port, "GET", "/healthz").status_code == 200
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE petition_petition RENAME TO elsewhere")
            try:
                broken = server.fetch(port, "GET", SIGN)
            finally:
                cursor.execute("ALTER TABLE elsewhere RENAME TO petition_petition")
        with closed_database():
            away = server.fetch(port, "GET", SIGN)

    # The first lines are granian's, from before it loads the site; so is its access log in tests.
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert (broken.status_code, away.status_code) == (500, 503)
    failures = {(line.get("request"), line["said"]): line for line in said}
    assert "ProgrammingError at" in failures[quoted(broken), "500 GET petition:sign"]["error"]
    assert (quoted(away), "503 GET petition:sign") in failures
    assert {"at", "level", "logger", "said"} <= set(said[0])
    assert "Traceback" not in log.read_text()
