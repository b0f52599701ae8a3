"""Marks on the cards of moderators: what could put its writer, or somebody whom she names, in danger."""

import pytest
from django.urls import reverse

from petition.models import ShownWords, Signature
from petition.moderation import dangers

DESK = reverse("admin:petition_review_changelist")
NAME, PHONE, ACCOUNT = "A full name", "phone number", "leads to an account"
ADDRESS, OTHER = "somebody lives", "name somebody else"


def marked(words="", name="", country="", language="en"):
    signature = Signature(pk=1, country=country, language=language)
    found = " ".join(map(str, dangers.of(ShownWords(signature=signature, name=name, words=words, language=language))))
    return {kind for kind in (NAME, PHONE, ACCOUNT, ADDRESS, OTHER) if kind in found}


@pytest.mark.parametrize(
    ("name", "country", "is_marked"),
    [
        ("Анна Петрова", "RU", True),
        ("Анна Петрова", "", True),
        ("Anna Maria", "RU", True),
        ("Анна-Мария", "RU", True),
        ("Анна Петрова", "DE", False),
        ("Анна", "RU", False),
        ("Анна К.", "RU", False),
        ("Anna 1984", "", False),
        ("", "RU", False),
    ],
)
def test_a_full_name_with_russia_or_without_a_country_is_marked(name, country, is_marked):
    assert (NAME in marked(name=name, country=country)) is is_marked


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Call me: +7 928 123-45-67", PHONE),
        ("8 (928) 123 45 67", PHONE),
        ("звоните 123-45-67", PHONE),
        ("write to anna.k@example", ACCOUNT),
        ("I am @anna_k there", ACCOUNT),
        ("t.me/anna", ACCOUNT),
        ("мой телеграм: анна", ACCOUNT),
        ("see example.org", ACCOUNT),
        ("Я живу на ул. Ленина", ADDRESS),
        ("Грозный, улица Мира, дом 5", ADDRESS),
        ("at 12 Baker Street", ADDRESS),
        ("Hauptstr. 5, Berlin", ADDRESS),
        ("5, rue Victor", ADDRESS),
        ("Свободу Салеху Магомадову!", OTHER),
        ("My neighbour Ivan Petrov did it", OTHER),
        ("Надежда Ивановна права", OTHER),
        ("Free Mr Smith", OTHER),
        ("Свободу Новикову Ивану", OTHER),
        ("Herr Schmidt ist schuld, und wir alle wissen das", OTHER),
    ],
)
def test_what_leads_to_a_person_is_marked(words, kind):
    assert kind in marked(words)


@pytest.mark.parametrize(
    "words",
    [
        "Be strong. We are with you!",
        "Since 2017 nothing was done, in 2017-2024 either",
        "On 01.04.2017 it began",
        "150000 people and 1000000 more",
        "Держитесь! Мы с вами.",
        "Права человека для всех в Чеченской Республике",
        "FREE ALL PEOPLE NOW",
        "Human Rights are for everyone",
        "Die Würde des Menschen, und alle Freunde in Not",
        "Todos somos iguales ante la ley",
        "کونوا أقوياء",
        "",
    ],
)
def test_plain_words_are_not_marked(words):
    assert marked(words) == set()


@pytest.mark.django_db
def test_the_card_says_why_and_decides_nothing(client, make_staff, make_signature):
    client.force_login(make_staff("moderator"))
    make_signature(confirmed=True, name="Анна Петрова", country="RU", words="Правда")

    page = client.get(DESK).content.decode()

    assert "A full name with Russia: whoever looks for this person finds them." in page
    assert 'name="approve"' in page
    assert ShownWords.objects.get().approved_at is None
