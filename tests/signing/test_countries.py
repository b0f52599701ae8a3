"""Countries to choose from: named and sorted as a reader of the language expects."""

import unicodedata

import pytest
from django.conf import settings
from django.utils import translation

from petition import countries

LANGUAGES = [language for language, _name in settings.LANGUAGES]


def names(language):
    with translation.override(language):
        return dict(countries.choices())


def sorted_as_in(language):
    return list(names(language).values())


def plain(name):
    """Without marks, but for the letter й, which is one of its own; signs before letters."""
    letters = "й".join(
        "".join(letter for letter in unicodedata.normalize("NFD", part) if not unicodedata.combining(letter))
        for part in name.casefold().split("й")
    )
    return ["" if not letter.isalnum() else letter for letter in letters]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_is_in_the_order_of_its_language(language):
    assert sorted_as_in(language) == sorted(sorted_as_in(language), key=plain)


@pytest.mark.parametrize(
    ("language", "order"),
    [
        ("en", "Afghanistan, Åland Islands, Albania, Costa Rica, Côte d’Ivoire, Croatia, Cuba, Curaçao, Zimbabwe"),
        ("ru", "Австралия, Болгария, Германия, Италия, Йемен, Кабо-Верде, Косово, Кот-д’Ивуар, Россия, Япония"),
        ("ru", "Республика Корея, Реюньон, Сан-Марино, Сан-Томе и Принсипи, Танзания, Тёркс и Кайкос, Того, Чад, Чили"),
        ("uk", "Ємен, Замбія, Індія, Сербія, Чад"),
        ("pl", "Laos, Łotwa, Szwecja, Świat"),
    ],
)
def test_letters_with_marks_stand_where_readers_look_for_them(language, order):
    alphabet = countries.ALPHABETS.get(language, countries.ALPHABET)
    named = order.split(", ")

    assert sorted(named, key=lambda name: countries._place(name, alphabet)) == named
    if language in LANGUAGES:
        assert [name for name in sorted_as_in(language) if name in named] == named


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_country_has_a_name_of_its_own(language):
    found = sorted_as_in(language)

    assert len(found) == len(set(found)) == len(countries.CODES) == 243
    assert all(name[0].isupper() or not name[0].isascii() for name in found)
    assert not [name for name in found if "о-в" in name or " - " in name]


@pytest.mark.parametrize(
    ("code", "english", "russian"),
    [
        ("MM", "Myanmar", "Мьянма"),
        ("LR", "Liberia", "Либерия"),
        ("NC", "New Caledonia", "Новая Каледония"),
        ("SM", "San Marino", "Сан-Марино"),
        ("BS", "Bahamas", "Багамы"),
        ("NR", "Nauru", "Науру"),
        ("XK", "Kosovo", "Косово"),
        ("TW", "Taiwan", "Тайвань"),
        ("PS", "Palestine", "Палестина"),
        ("HK", "Hong Kong", "Гонконг"),
        ("US", "United States", "Соединённые Штаты"),
        ("IM", "Isle of Man", "Остров Мэн"),
        ("CD", "Congo (DRC)", "Демократическая Республика Конго"),
    ],
)
def test_names_are_those_that_people_use(code, english, russian):
    assert names("en")[code] == english
    assert names("ru")[code] == russian


@pytest.mark.parametrize("code", ["AQ", "BV", "GS", "HM", "IO", "TF", "UM"])
def test_where_nobody_lives_cannot_be_chosen_and_still_has_a_name(code):
    assert code not in names("en")
    with translation.override("ru"):
        assert countries.name(code) not in ("", code)


def test_a_code_that_nobody_has_named_is_its_own_name():
    assert countries.name("Q1") == "Q1"


@pytest.mark.parametrize("language", ["de", "uk", "pt-br", "zh-hans", "ce", "xx"])
def test_languages_to_come_have_a_list_too(language):
    assert len(countries._sorted(language)) == 243
