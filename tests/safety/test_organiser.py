"""An organiser, or a partner with a token, types addresses into the public form and reads every number there is."""

import json
import random
import re
from datetime import date, timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from petition.counts import tally
from petition.mail import claims, queue
from petition.management.commands.worker import Command
from petition.models import CountsToken, Signature
from tests.counts.test_standing import LEDGER

TARGETS, OWN = 20, 6  # half of each have signed
LINK = re.compile(r"/en/confirm/[^/\s]+/")
PAGE = reverse("admin:petition_counts_page", args=["chechnya"])
GROUPINGS = ("hour", "day", "measure", "source", "country,language", "week,country,language,source,measure")


@pytest.fixture
def attacker(client, petition, publish, settings, make_staff, monkeypatch):
    """Two accounts in one person, who starts on a Tuesday."""
    # PostgreSQL's clock does not travel, and by ours its claims have run out.
    monkeypatch.setattr(claims, "SPARE_SECONDS", -1_000_000_000)
    monkeypatch.setattr("petition.clock.seconds_ahead", lambda: 0.0)
    settings.COUNT_STEP = "10"
    publish()
    token = CountsToken(name="A dashboard", ends_on=date(2100, 1, 1))
    token.make()
    token.save()
    tuesday = timezone.now() - timedelta(days=timezone.now().weekday() - 1)
    with time_machine.travel(tuesday.replace(hour=12)) as clock:
        yield Attacker(client, make_staff("organiser"), token.shown_once, clock)


class Attacker:
    def __init__(self, client, account, token, clock):
        self.client, self.account, self.token, self.clock = client, account, token, clock
        self.networks, self.seen = 0, {}

    def sign(self, *addresses):
        for address in addresses:
            self.networks += 1
            answer = self.client.post(
                "/en/petitions/chechnya/sign/",
                {"email": address, "consent": "on", "website": "", "country": "RU"},
                REMOTE_ADDR=f"192.0.2.{self.networks % 250}",
            )
            assert answer.status_code == 303
        Command().drain()

    def wait(self, **time):
        self.clock.shift(timedelta(**time))
        Command().drain()

    def read(self):
        """All numbers by their names."""
        seen = {}
        count = self.client.get("/petitions/chechnya/count.json").json()
        seen |= {("count", name): count[name] for name in ("total", "confirmed_here", "goal")}
        self.client.force_login(self.account)  # a session does not live for weeks
        page = self.client.get(PAGE).content.decode()
        for place, number in enumerate(re.findall(r"<dd>\s*([\d,.%–]+)\s*</dd>", page)):
            seen["page", place] = float(re.sub(r"[,%]", "", number.replace("–", "0")))
        now = json.loads(b"".join(self.client.get(f"{PAGE}download.json").streaming_content))["now"]
        seen |= {("now", name): number or 0 for name, number in now.items()}
        for by in GROUPINGS:
            answer = self.client.get(
                f"/petitions/chechnya/counts.json?by={by}", headers={"authorization": f"Bearer {self.token}"}
            )
            assert answer.status_code == 200, answer.content
            for row in json.loads(b"".join(answer.streaming_content))["rows"]:
                # Which week or hour it is differs from person to person.
                name = tuple(value for key, value in row.items() if key not in ("amount", "week", "day", "hour"))
                seen[by, *name] = seen.get((by, *name), 0) + row["amount"]
        return seen

    def ask_about(self, address):
        """How all numbers change, at once and after two weeks, when its row has lapsed, if this address is typed."""
        before, changes = self.seen or self.read(), {}
        sent = len(mail.outbox)
        self.sign(address)
        assert len(mail.outbox) == sent + 1
        for weeks in (0, 2):
            if weeks:
                self.wait(weeks=weeks)
            self.seen = self.read()
            for name in before.keys() | self.seen.keys():
                changes[weeks, name] = self.seen.get(name, 0) - before.get(name, 0)
        return changes


def guesses(attacker, chance):
    """Type addresses of her own, known to have signed or not, and see which numbers tell them apart; then the others.
    How many of those are told rightly."""
    people = {f"person{n}@example.org": n % 2 == 0 for n in range(TARGETS)}
    own = {f"own{n}@example.net": n % 2 == 0 for n in range(OWN)}
    signers = [address for address, has_signed in (people | own).items() if has_signed]
    attacker.sign(*signers)
    for message in mail.outbox:
        attacker.client.post(LINK.search(message.body)[0])
    assert Signature.objects.confirmed().count() == len(signers)
    attacker.wait(weeks=3)

    learned = {address: attacker.ask_about(address) for address in own}
    names = set().union(*learned.values())

    def values(name, has_signed):
        return {learned[address].get(name, 0) for address in own if own[address] is has_signed}

    telling = [name for name in names if values(name, True).isdisjoint(values(name, False))]
    right = 0
    for address in chance.sample(sorted(people), len(people)):
        changes = attacker.ask_about(address)
        votes = [
            (changes.get(name, 0) in values(name, True)) - (changes.get(name, 0) in values(name, False))
            for name in telling
        ]
        guess = sum(votes) > 0 if sum(votes) else chance.random() < 0.5
        right += guess == people[address]
    return right


@pytest.mark.django_db
def test_typing_an_address_moves_no_number_that_tells_whether_it_has_signed(attacker):
    right = guesses(attacker, random.Random(1))

    assert 4 <= right <= 16


@pytest.mark.django_db
def test_the_same_attack_tells_everybody_where_numbers_are_exact_and_known_rows_go_at_once(attacker, monkeypatch):
    """As it was: an address that counts already had its new row deleted when its mail was sent, and staff saw it."""
    finish, standing = queue.finish, tally.standing

    def finish_and_delete(mails):
        for sent in mails:
            row = Signature.objects.filter(pk=sent.signature_id).first()
            if row and Signature.objects.confirmed().of_address(row.petition_id, row.email_digest).exists():
                row.delete()
        finish(mails)

    def exact(petition_id):
        with connection.cursor() as cursor:
            cursor.execute(LEDGER)
            waiting, held, invalidated = cursor.fetchone()
        return tally.Standing(waiting, held, invalidated, *tuple(vars(standing(petition_id)).values())[3:])

    monkeypatch.setattr(queue, "finish", finish_and_delete)
    monkeypatch.setattr(tally, "standing", exact)

    assert guesses(attacker, random.Random(1)) == TARGETS
