"""Whoever asks with somebody's address learns nothing: answer, SQL and rows are the same for eight kinds of address."""

import re
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from petition import identity, live_settings, rate_limits
from petition.models import AddressMark, ListedDomain, OutgoingMail, Signature, Verdict
from petition.models.signature import this_hour

ADDRESS = "known@example.org"

KINDS = ["new", "pending", "counted", "held", "invalidated", "over its mail limit", "I did not sign this", "blocked"]


@pytest.fixture
def know(make_signature, settings):
    """Bring an address into a state."""

    def know(kind):
        if kind == "pending":
            make_signature(email=ADDRESS)
        elif kind == "counted":
            make_signature(email=ADDRESS, confirmed=True)
        elif kind == "held":
            make_signature(email=ADDRESS, confirmed=True, held_at=this_hour(), held_reason="busy network")
        elif kind == "invalidated":
            make_signature(email=ADDRESS, confirmed=True, invalidated_at=this_hour(), invalidated_reason="fake")
        elif kind == "over its mail limit":
            for _ in range(9):
                rate_limits.over("mail:sign", identity.email_digest(ADDRESS).hex(), settings.MAILS_PER_ADDRESS)
        elif kind == "I did not sign this":
            AddressMark.remember(identity.email_digest(ADDRESS), AddressMark.Kind.NO_MAIL)
        elif kind == "blocked":
            ListedDomain.objects.create(domain=identity.domain(ADDRESS), verdict=Verdict.BLOCK)
            live_settings._state = None
            live_settings.state()

    return know


CLOCKS = {"Date", "Expires"}
networks = (f"192.0.2.{number}" for number in count(1))


def observe(client, url, data):
    """Everything an outsider could see, and everything the database was asked."""
    rows = Signature.objects.count(), OutgoingMail.objects.count()
    with CaptureQueriesContext(connection) as queries:
        # From a network of its own, or the minute in which a limit begins anew would show.
        response = client.post(url, data, REMOTE_ADDR=next(networks))
    headers = {name: value for name, value in response.items() if name not in CLOCKS}
    sql = [re.sub(r"'(?:[^']|'')*'(::\w+)?|\b\d+\b|s\d+_x\d+", "?", query["sql"]) for query in queries.captured_queries]
    written = Signature.objects.count() - rows[0], OutgoingMail.objects.count() - rows[1]
    return response.status_code, headers, response.content, sql, written


@pytest.mark.parametrize("kind", KINDS)
def test_signing_tells_nothing_about_an_address(client, petition, know, sign_data, known_switches, kind):
    url = "/en/petitions/chechnya/sign/"
    client.post(url, sign_data())  # the salt of the day is fetched once a minute
    unknown = observe(client, url, sign_data(email="nobody@example.net"))

    know(kind)
    known = observe(client, url, sign_data(email=ADDRESS))

    assert known == unknown
    assert known[-1] == (1, 1)
    assert len([sql for sql in known[3] if "EXECUTE sign (" in sql]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_asking_to_withdraw_tells_nothing_about_an_address(client, petition, know, known_switches, kind):
    url = "/en/petitions/chechnya/withdraw/"
    client.post(url, {"email": "first@example.net"})
    unknown = observe(client, url, {"email": "nobody@example.net"})

    know(kind)
    known = observe(client, url, {"email": ADDRESS})

    assert known == unknown
    assert known[-1] == (0, 1)


@pytest.mark.parametrize("typed", ["email", "address", "to"])
def test_a_code_is_asked_for_without_an_address(client, petition, typed):
    url = "/en/petitions/chechnya/confirm-code/"

    assert b"email" not in client.get(url).content.split(b"<form")[1].split(b"</form>")[0]
    assert client.post(url, {"code": "0000-000-000", typed: ADDRESS}).status_code == 422
    assert ADDRESS.encode() not in client.post(url, {"code": "0000-000-000", typed: ADDRESS}).content


def test_the_pages_after_a_form_are_the_same_for_everyone(client, petition, know):
    pages = ["check-inbox", "withdraw/check-inbox", "thanks", "withdrawn"]
    before = [client.get(f"/en/petitions/chechnya/{page}/").content for page in pages]

    petition.closed_at = timezone.now() + timedelta(days=1)
    know("pending")

    assert [client.get(f"/en/petitions/chechnya/{page}/").content for page in pages] == before
