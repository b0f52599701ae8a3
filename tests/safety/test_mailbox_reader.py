"""The mailbox reader: a provider, a family, the police with a telephone. She cannot tell who has signed.

She types an address, reads its mail, opens and presses its links before and after, during their week and after it,
withdraws, disowns and undoes, and compares what she sees with what an address of her own gets.

What differs on purpose:
- An address whose owner said "I did not sign this" gets no letter after signing for 30 days. It tells that somebody who
  reads this mailbox pressed that, signed or not; it asked for silence, and gets it.
- An address gets five letters of a kind in a day, whoever types it. Each of them is in the mailbox that she reads.
- Words that its owner had shown in public leave the public page when a press takes them over: who signs in public is
  public.
"""

import random

import pytest

from petition.models import OutgoingMail
from tests.safety.reader import KINDS, PLANS, Reader, asks_to_withdraw, become, looks_again, new_address, once, play

pytestmark = pytest.mark.django_db

TARGETS = 10


@pytest.fixture(autouse=True)
def _site(petition, known_switches, settings):
    settings.RATE_PER_NETWORK = settings.BURST_PER_NETWORK = "1000/m"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("new", "disowned")])
def test_whatever_she_does_she_sees_what_a_new_address_shows(monkeypatch, plan, kind):
    stranger, known = once(plan, "new", monkeypatch), once(plan, kind, monkeypatch)

    for seen, expected in zip(known.seen, stranger.seen, strict=True):
        assert seen == expected
    assert len(known.seen) > 5


def test_an_address_that_asked_for_silence_differs_by_the_silence_alone(monkeypatch):
    stranger, disowned = new_address(), new_address()
    become("disowned", disowned)
    readers = [Reader(address, monkeypatch) for address in (stranger, disowned)]
    letters = [reader.sign("Xenia") for reader in readers]

    assert readers[0].seen[0] == readers[1].seen[0]
    assert letters[0]
    assert letters[1] is None
    assert not OutgoingMail.objects.exists()

    seen = [once(asks_to_withdraw, kind, monkeypatch).seen for kind in ("new", "disowned")]
    assert seen[0] == seen[1]


def test_the_letter_that_its_owner_got_does_not_tell_whether_she_pressed_it(monkeypatch):
    """The reader finds it, and brings about with a letter of her own all that may change its answer."""
    seen = []
    for is_pressed in (False, True):
        owner = Reader(new_address(), monkeypatch)
        letter = owner.sign("Anna")
        assert letter
        if is_pressed:
            owner.send(letter.confirm)
        reader = Reader(owner.address, monkeypatch)
        own = reader.sign("Xenia")
        assert own
        for data in ({}, {"not_me": "1"}, {"undo": "1"}):
            looks_again(reader, letter, own)
            reader.send(own.confirm, data)
        looks_again(reader, letter, own)
        again = reader.sign("Zoe")
        assert again
        reader.send(again.confirm)
        looks_again(reader, letter, own, again)
        seen.append(reader.seen)

    assert seen[0] == seen[1]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
def test_her_guesses_are_right_as_often_as_a_coin(monkeypatch, plan):
    """She has tried it with an address of hers that counts and one that does not, and knows what to look for."""
    chance = random.Random(20261127)
    looks = {kind: once(plan, kind, monkeypatch).seen for kind in ("new", "counted")}
    right = tossed = 0
    for truth in (chance.choice(["new", "counted"]) for _ in range(TARGETS)):
        seen = play(plan, truth, monkeypatch).seen
        fits = [kind for kind, look in looks.items() if look == seen]
        tossed += len(fits) != 1
        right += (fits[0] if len(fits) == 1 else chance.choice(["new", "counted"])) == truth

    assert tossed == TARGETS
    assert right <= TARGETS * 0.8, f"{right} right of {TARGETS}"
