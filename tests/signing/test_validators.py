"""What may be typed as a name and as words: every script, every emoji, nothing that cannot be seen."""

from contextlib import suppress

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from petition import validators
from petition.models import Link

URL = "/en/petitions/chechnya/sign/"

EMOJI = ["\U0001fa77", "\U0001fa75", "\U0001fa76", "\U0001fae8", "\U0001fac6", "\U0001f6d8", "\U0001f1fa\U0001f1e6"]
EMOJI += ["\u2764\ufe0f\u200d\U0001f525", "1\ufe0f\u20e3", "\U0001f3f3\ufe0f\u200d\u26a7\ufe0f"]
EMOJI += ["\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"]

WRITING = {
    "Vietnamese, each mark by itself": "Nguye\u0302\u0303n Thi\u0323 Hie\u0323\u0302n",
    "Hebrew with points and accents": "\u05e9\u05c1\u05bc\u05b8\u0591\u05dc\u05d5\u05b9\u05dd",
    "Arabic with vowels": "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f\u064c \u0627\u0644\u0644\u0651\u0670\u0647",
    "Thai": "\u0e17\u0e35\u0e48\u0e19\u0e49\u0e33",
    "Tibetan": "\u0f56\u0f66\u0f92\u0fb2\u0f74\u0f56\u0f66",
    "Tibetan, the longest there is": "\u0f67\u0f90\u0fb5\u0fa8\u0fb3\u0fba\u0fbc\u0fbb\u0f82",
    "Hindi": "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
    "Persian with a joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Korean": "\ud55c\uad6d\uc5b4",
}

BROKEN = ["\x00", "\x1b", "\ufffd", "\u202e", "\u2066", "\ue000", "\U000f0000", "\ufdd0", "\ufffe", "\U0001fffe"]
BROKEN += ["\U0001ffff", "\U0010ffff", "\u0378"]

NOTHING = ["\u2800", "\u3164", "\u115f\u1160", "\uffa0", "\u200b\u200b", "\u2060", "\u00ad", "\u0301" * 200, "\ufe0f"]
NOTHING += ["\u200e \u200f", "\U000e0067", "\u034f", "\U0001d159"]

PILES = ["Z" + "\u0301" * 5, "a\u0300\u0301\u0302\u0303\u0304", "o" + "\u0489" * 20, "\u0f67" + "\u0f90" * 10]
PILES += ["b" + "\u0301\u200d" * 5, "\u05e9" + "\u05b8" * 5]


@pytest.fixture
def sign(client, petition, sign_data):
    def send(**data):
        return client.post(URL, sign_data(shows_name="on", **data))

    return send


@pytest.mark.django_db
@pytest.mark.parametrize("text", EMOJI + list(WRITING.values()))
def test_every_script_and_every_emoji_may_be_used(sign, text):
    assert sign(name=text, words=text).status_code == 303
    assert (Link.objects.get().name, Link.objects.get().words) == (text, text)


@pytest.mark.django_db
@pytest.mark.parametrize("text", [*BROKEN, *NOTHING, *PILES])
@pytest.mark.parametrize("field", ["name", "words"])
def test_what_cannot_be_read_is_refused_in_names_and_in_words(sign, field, text):
    response = sign(**{field: text if text in NOTHING else f"Anna {text} K."})

    assert response.status_code == 422
    assert f'href="#id_{field}"' in response.content.decode()
    assert not Link.objects.exists()


@pytest.mark.parametrize("text", ["a" + sign + "b" for sign in BROKEN])
def test_the_sign_that_cannot_be_shown_is_named(text):
    with pytest.raises(ValidationError, match=rf"(\ufffd|U\+{ord(text[1]):04X})\. Please remove"):
        validators.refuse_unreadable(text)


def test_half_of_a_pair_is_refused():
    with pytest.raises(ValidationError, match=r"U\+D83D"):
        validators.refuse_unreadable("a\ud83db")


@pytest.mark.parametrize("text", NOTHING)
def test_what_shows_nothing_is_refused_and_seen_beside_a_letter(text):
    with pytest.raises(ValidationError, match="None of this can be seen"):
        validators.refuse_unreadable(text)
    if len(text) < 5:
        validators.refuse_unreadable("A" + text)


@pytest.mark.parametrize("text", PILES)
def test_the_letter_under_a_pile_of_marks_is_named(text):
    with pytest.raises(ValidationError, match=f"too many accents: {text[0]}\\."):
        validators.refuse_unreadable(text)


@pytest.mark.parametrize("marks", [1, 4])
def test_as_many_marks_as_scripts_write_may_stand_on_a_letter(marks):
    validators.refuse_unreadable("a" + "\u0301" * marks + "b" + "\u0301" * marks)


@given(st.text())
def test_any_text_passes_or_is_told_why(text):
    with suppress(ValidationError):
        validators.refuse_unreadable(text)
        assert not text or validators.has_something_to_see(text)


@pytest.mark.parametrize(
    "name", ["J.Su", "Kim.Ru Lee", "O.Net", "Ivan I.Su", "J. Su", "A.B.Me", "Dr.Info", "И.Су", "J.SU"]
)
def test_initials_are_no_link(name):
    validators.refuse_link(name)


@pytest.mark.parametrize(
    "name",
    [
        "example.ru",
        "Example.ru",
        "EXAMPLE.RU",
        "www.x",
        "https://",
        "HTTP:x",
        "vk.com/abc",
        "t.me/abc",
        "t.me",
        "T.me/abc",
        "buy example.com now",
        "пример.рф",
        "Anna (anna.su)",
    ],
)
def test_links_are_links(name):
    with pytest.raises(ValidationError, match="link"):
        validators.refuse_link(name)
