"""The words on the way of a signature can be read by who has gone to school for eight years, or reads in haste."""

import pytest
from django.core.management import call_command

from petition import links
from petition.mail import messages
from petition.mail.keys import Opened
from petition.models import OutgoingMail, Petition
from tests.conftest import create_signature
from tests.support import links as made
from tests.support import reading

pytestmark = pytest.mark.django_db
GRADE, WORDS = 8, 15
WAY = ["home", "sign", "check-inbox", "confirm", "thanks", "withdraw", "mail to confirm", "mail to withdraw"]
WAY += ["subscribe", "mail to subscribe"]

PAGES = ["sign", "check-inbox", "thanks", "withdraw", "subscribe"]


@pytest.fixture
def way(client, list_key):
    """The pages and mails on the way of a signature, by name, in a language."""
    call_command("load_campaign", verbosity=0)
    petition = Petition.objects.get()

    def read(language):
        token = made.token(create_signature(petition, language=language))
        paths = {
            "home": "",
            "confirm": f"confirm/{token}/",
            **{name: f"petitions/chechnya/{name}/" for name in PAGES},
        }
        found = {name: client.get(f"/{language}/{path}").content.decode() for name, path in paths.items()}
        for kind in OutgoingMail.Kind.values:
            owed = OutgoingMail(pk=1, petition=petition, kind=kind, language=language)
            message = messages.write(
                owed, messages.compose(owed, Opened("a@example.org", *links.make())), "a@example.org"
            )
            found[f"mail to {'confirm' if kind == 'sign' else kind}"] = message.body.replace("\n\n", "<p>")
        return found

    return read


def test_english_takes_eight_years_of_school_at_most(way):
    grades = {name: round(reading.grade(html), 1) for name, html in way("en").items()}
    print(grades)  # noqa: T201

    assert sorted(grades) == sorted(WAY)
    assert {name: grade for name, grade in grades.items() if grade > GRADE} == {}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_sentences_are_short(way, language):
    lengths = {name: round(reading.words_in_a_sentence(html), 1) for name, html in way(language).items()}
    print(lengths)  # noqa: T201

    assert sorted(lengths) == sorted(WAY)
    assert {name: length for name, length in lengths.items() if length > WORDS} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>The cat sat on the mat.</p>", (-2, 1)),
        (
            "<p>Investigators of the regional administration subsequently reported no significant irregularities.</p>",
            (18, 30),
        ),
    ],
)
def test_the_measure_tells_easy_from_hard(text, expected):
    assert expected[0] < reading.grade(text) < expected[1]
