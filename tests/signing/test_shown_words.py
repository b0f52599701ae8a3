"""Names and words: stored only to be shown, apart from signatures, and the same for an address that had signed before.

Whoever reads a mailbox, and types its address here as often as he likes, sees the pages of the links that it gets. They
must not tell whether the address had signed before.
"""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from petition import retention, withdrawal
from petition.models import Link, ShownWords, Signature
from petition.models.link import token_digest
from petition.models.signature import this_hour
from petition.moderation import review
from tests.support import links

pytestmark = pytest.mark.django_db
ADDRESS = "anna@example.org"


@pytest.fixture(params=[False, True], ids=["unknown address", "known address"])
def address(request, make_signature):
    """An address that may have signed before, with a name that is shown."""
    if request.param:
        make_signature(email=ADDRESS, confirmed=True, name="Before", country="DE", approved_at=this_hour())
    return ADDRESS


@pytest.fixture
def mail(client, make_signature):
    """A letter after signing, with what was typed: its link."""

    class Mail:
        def __init__(self, **typed):
            self.signature = make_signature(email=ADDRESS, **typed)
            self.token = links.token(self.signature)
            self.url = f"/en/confirm/{self.token}/"

        def press(self, **data):
            return client.post(self.url, data)

        def page(self):
            return client.get(self.url).content.decode()

        def words(self):
            """What its page says would be shown."""
            return "".join(re.findall(r'<blockquote class="words">(.*?)</blockquote>', self.page(), re.DOTALL))

    return Mail


def shown():
    """What is stored to be shown for the one counted signature: name, words, country, whether it is approved."""
    counted = Signature.objects.counted().get()
    words = counted.shown_words
    return words and (words.name, words.words, counted.country, words.approved_at is not None)


def hide():
    entry = ShownWords.objects.get()
    review.decide({entry.pk: review.fingerprint(entry)}, review.Decision.HIDE)


def test_what_is_not_to_be_shown_is_not_stored(client, petition, sign_data):
    client.post("/en/petitions/chechnya/sign/", sign_data(name="Anna", words="With you"))

    assert not Link.objects.get().has_words
    assert not ShownWords.objects.exists()


@pytest.mark.usefixtures("address")
def test_a_press_shows_what_was_typed_and_needs_approval(mail):
    mail(name="Anna", words="With you", country="ES").press()

    assert shown() == ("Anna", "With you", "ES", False)


@pytest.mark.usefixtures("address")
def test_a_press_without_words_shows_nothing_any_more(mail):
    mail().press()

    assert shown() is None


@pytest.mark.usefixtures("address")
def test_the_last_press_decides_whichever_mail_it_was_in(mail):
    first, second = mail(name="First", country="ES"), mail(name="Second", country="FR")
    for pressed, name, country in ((first, "First", "ES"), (second, "Second", "FR"), (first, "First", "ES")):
        assert pressed.press().status_code == 303
        assert shown() == (name, "", country, False)


@pytest.mark.usefixtures("address")
def test_a_page_shows_what_was_typed_with_it_whatever_is_pressed(mail):
    first, second, silent = mail(name="First", country="ES"), mail(name="Second"), mail()
    before = [letter.page() for letter in (first, second, silent)]

    for letter in (first, second, silent, second, first, first):
        letter.press()
        assert [letter.page() for letter in (first, second, silent)] == before


@pytest.mark.usefixtures("address")
def test_who_leaves_out_what_a_stranger_typed_leaves_nothing_of_it(mail):
    letter = mail(name="Not me", words="Not mine", country="ES")

    letter.press(without_words="1")

    assert shown() is None
    assert letter.words() == ""
    assert not Link.objects.filter(name="Not me").exists()


@pytest.mark.usefixtures("address")
def test_what_a_moderator_hides_is_erased_from_the_page_of_its_link_and_no_other(mail):
    hidden, waiting = mail(name="Unkind"), mail(name="Another")
    hidden.press()

    hide()

    assert shown() is None
    assert (hidden.words(), "Another" in waiting.words()) == ("", True)
    waiting.press()
    assert shown() == ("Another", "", "", False)


@pytest.mark.usefixtures("address")
def test_the_same_words_again_keep_their_approval_and_others_lose_it(mail):
    mail(name="Anna").press()
    ShownWords.objects.all().approve()

    mail(name="Anna").press()
    assert shown() == ("Anna", "", "", True)

    mail(name="Olga").press()
    assert shown() == ("Olga", "", "", False)


@pytest.mark.usefixtures("address")
def test_withdrawing_erases_what_was_typed(mail):
    letter = mail(name="Anna", words="With you")
    letter.press()
    token = links.withdraw_token(letter.signature.petition, ADDRESS)

    withdrawal.withdraw(withdrawal.find(token).link)

    assert not ShownWords.objects.exists()
    assert [link.has_words for link in Link.objects.all()] == [False, False]


@pytest.mark.parametrize(("hours", "is_kept"), [(30 * 24, True), (30 * 24 + 1, False)])
def test_what_nobody_has_approved_within_30_days_is_erased(make_signature, counted_rows, hours, is_kept):
    then = this_hour() - timedelta(hours=hours) + (timezone.now() - this_hour())
    then = then.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    waiting = make_signature(confirmed=True, confirmed_at=then, created_at=then, name="Anna")
    approved = make_signature(confirmed=True, confirmed_at=then, created_at=then, name="Olga", approved_at=then)

    retention.purge()

    assert ShownWords.objects.filter(pk=waiting.pk).exists() is is_kept
    assert ShownWords.objects.filter(pk=approved.pk).exists()
    assert counted_rows() == 2


def test_a_lapsed_signature_leaves_no_words(make_signature):
    then = this_hour() - timedelta(days=9)
    token = links.token(make_signature(created_at=then, name="Anna"))

    Signature.objects.lapsed().purge()

    assert not Link.objects.get(pk=token_digest(token)).has_words
