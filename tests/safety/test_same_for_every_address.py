"""The same for every address: statements and rows, in the web and in the worker, whatever stands about it.

Whoever watches the database, its size or the time that things take from beside it cannot tell who has signed.

What differs on purpose:
- Whether a row that was pressed is the confirmed one. It is what the ledger counts, which is published by steps alone;
  to tell whose row it is takes the digest key.
- How many signatures are left once something is deleted, by withdrawing, disowning, or by the clock: where there were
  more there go more. In each of these one statement does it, however many there are.
- An address that asked for silence: its mail is forgotten and not sent.
"""

import pytest

from tests.safety.reader import KINDS, PLANS, Reader, become, new_address, once

pytestmark = pytest.mark.django_db

DELETES = {"withdraws", "asks_to_withdraw", "disowns", "disowns_what_she_pressed"}


@pytest.fixture(autouse=True)
def _site(petition, known_switches, settings):
    settings.RATE_PER_NETWORK = settings.BURST_PER_NETWORK = "1000/m"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("new", "disowned")])
def test_web_and_worker_ask_the_database_the_same(monkeypatch, plan, kind):
    stranger, known = once(plan, "new", monkeypatch), once(plan, kind, monkeypatch)

    for asked, expected in zip(known.asked, stranger.asked, strict=True):
        assert asked == expected


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("new", "disowned")])
def test_as_many_signatures_links_and_mails_are_there_at_each_step(monkeypatch, plan, kind):
    stranger, known = once(plan, "new", monkeypatch), once(plan, kind, monkeypatch)

    def rows(reader):
        first = 1 if plan.__name__ in DELETES else 0
        return [(what, added[first:]) for what, added in reader.rows if what != "purge"]

    assert rows(known) == rows(stranger)


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_writes_one_signature_one_link_and_one_mail_and_the_mail_goes(monkeypatch, kind):
    address = new_address()
    become(kind, address)
    reader = Reader(address, monkeypatch)

    reader.sign()

    assert [added for _what, added in reader.rows] == [[1, 1, 1], [0, 0, -1]]
