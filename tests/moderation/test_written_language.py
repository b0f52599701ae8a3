"""The language in which words are written, whatever the language of the site where they were typed."""

import pytest

from petition.moderation import written_language

EXAMPLES = {
    "en": [
        "Be strong",
        "Stay strong, we are with you",
        "No one should live in fear",
        "Love from Ireland",
        "I stand with the people of Chechnya. Human rights are for everyone.",
    ],
    "ru": [
        "Держитесь",
        "Мы с вами",
        "Свободу всем",
        "Никто не должен бояться из-за того, кого он любит",
        "Пожалуйста, не сдавайтесь!",
    ],
    "es": [
        "¡Ánimo!",
        "Mucha fuerza desde Chile",
        "Los derechos humanos son para todos",
        "No están solos, estamos con ustedes",
    ],
    "de": ["Viel Kraft", "Bleibt stark!", "Wir denken an euch", "Die Würde des Menschen ist unantastbar"],
    "fr": ["Courage à tous", "Nous sommes avec vous", "Soyez forts", "Liberté pour les prisonniers"],
    "ar": ["كونوا أقوياء", "نحن معكم", "LGBT حقوق الإنسان للجميع"],
    "he": ["תהיו חזקים", "אנחנו איתכם", "חופש לכולם 🏳️‍🌈"],
    "fa": ["ما با شما هستیم، پیروز باشید"],
    "uk": ["Тримайтеся!", "Ми з вами, друзі", "Свобода для всіх"],
    "it": ["Siamo con voi, non mollate", "Forza e coraggio"],
    "pl": ["Trzymajcie się, jesteśmy z wami"],
    "tr": ["Güçlü olun, sizinle biz de varız"],
    "ka": ["ჩვენ თქვენთან ვართ"],
    "el": ["Είμαστε μαζί σας"],
    "ja": ["人権はみんなのもの"],
    "zh": ["我们支持你们"],
    "und": ["", "❤️🏳️‍🌈", "123", "Zzyzx", "ꦲꦤ"],
}


@pytest.mark.parametrize("site", ["en", "ru"])
@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in EXAMPLES.items() for text in texts])
def test_words_say_by_themselves_in_which_language_they_are(code, text, site):
    if (text, site) == ("Zzyzx", "en"):
        code = "en"  # what says nothing is in the language of the site, if its letters allow that

    assert written_language.of(text, site) == code


@pytest.mark.parametrize(
    ("text", "site", "code"),
    [
        ("Forza", "fr", "it"),
        ("Gemeinsam", "de", "de"),
        ("Gemeinsam", "en", "en"),
        ("Gemeinsam", "ru", "und"),
        ("Solidarité", "en", "fr"),
        ("Привет", "en", "ru"),
        ("La vida", "es", "es"),
        ("Hold on", "pt-br", "pt"),
    ],
)
def test_the_language_of_the_site_decides_where_no_word_speaks_against_it(text, site, code):
    assert written_language.of(text, site) == code


@pytest.mark.parametrize(
    ("code", "direction"), [("ar", "rtl"), ("he", "rtl"), ("fa", "rtl"), ("ru", "ltr"), ("es", "ltr"), ("und", "auto")]
)
def test_a_language_has_a_direction(code, direction):
    assert written_language.direction(code) == direction


def test_every_language_that_is_found_can_be_asked_for():
    found = {written_language.of(text, "en") for texts in EXAMPLES.values() for text in texts}

    assert found <= {*written_language.codes(), written_language.UNKNOWN}
