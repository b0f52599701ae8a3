"""The letter for the addressee: the demand, the two-part total and the countries, and nobody's name."""

import dataclasses
import hashlib
import io
import re
from datetime import UTC, date, datetime

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader
from reportlab.pdfbase.ttfonts import TTFont

from petition.counts import letter
from petition.counts.letter import Letter
from petition.models import Petition, StaffAction
from tests.conftest import make_petition
from tests.counts.test_tally import HOUR

NOW = datetime(2026, 11, 22, 17, 35, tzinfo=UTC)


def made(**overrides):
    values = {
        "language": "en",
        "title": "Investigate",
        "addressee": "",
        "demand": "An efficient investigation.",
        "before_opening": 150_000,
        "collected_before_on": date(2018, 4, 1),
        "collected_before_source": "an example",
        "on_paper": 0,
        "confirmed_here": 1_234,
        "countries": (("DE", 1_200), ("", 20)),
        "as_of": NOW,
        "sender": "An organisation, 1 Street, City",
        "contact": "contact@example.org",
        "site": "petition.example.org",
        **overrides,
    }
    return Letter(**values)


def read(composed):
    file = io.BytesIO()
    letter.write_pdf(composed, file)
    return PdfReader(file)


def text_of(reader):
    """Its words, each one space apart: lines end where the page does."""
    return re.sub(r"[ \n\xa0]+", " ", "\n".join(page.extract_text() for page in reader.pages))


def letters_of(path):
    return {chr(code) for code in TTFont("test", path).face.charToGlyph}


# Nobody's name.


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_name_gets_from_a_signature_into_the_letter(petition, make_signature, language, tmp_path):
    for number in range(30):
        make_signature(
            email=f"nadeschda{number}@example.org",
            name=f"Nadeschda Надежда {number}",
            words="Solidarisch солидарно",
            held_reason="burst",
            country="DE",
            source="partner",
            confirmed=True,
        )
    with CaptureQueriesContext(connection) as queries:
        call_command("letter", "--language", language, "--out", str(tmp_path / "x.pdf"))

    reader = PdfReader(tmp_path / "x.pdf")
    text = text_of(reader) + repr(reader.metadata)
    assert re.search(r"150.030", text)
    for secret in ("Nadeschda", "Надежда", "Solidarisch", "солидарно", "burst", "partner", "nadeschda", "0@example"):
        assert secret not in text
    assert not [query for query in queries.captured_queries if "petition_signature" in query["sql"]]


def test_its_data_has_no_place_for_a_name():
    kinds = {field.type for field in dataclasses.fields(Letter)}

    assert kinds == {str, int, date | None, tuple[tuple[str, int], ...], datetime}


# What stands in it.


def test_in_english():
    text = text_of(read(made(addressee="The General Prosecutor")))

    assert (
        "Petition Investigate To: The General Prosecutor An efficient investigation. More than 151,234"
        " signatures in all" in text
    )
    assert "More than 150,000 were collected before this site opened, spring 2018. Source: an example." in text
    assert "1,234 were confirmed on this site by email." in text
    assert "Germany 1,200 Country not stated 20" in text
    assert "How the number was made" in text
    assert "Counted on 22 November 2026 at 17:35 UTC" in text


def test_in_russian():
    values = {"title": "Расследовать", "demand": "Мы требуем.", "collected_before_source": "пример"}
    ours = {"sender": "Организация", "contact": "", "site": "сайт.рф"}
    text = text_of(read(made(language="ru", **values, **ours)))

    assert re.search(r"Расследовать Мы требуем\. .*151 234", text)
    assert "Германия 1 200" in text
    assert "22 ноября 2026" in text
    assert not re.search(r"[A-Za-z]{4}", text), "something is not translated"


def test_without_earlier_signatures_it_has_one_part():
    text = text_of(read(made(before_opening=0)))

    assert "An efficient investigation. 1,234 signatures in all 1,234 were confirmed" in text
    assert "before this site" not in text
    assert "ore than" not in text


def test_what_was_collected_on_paper_is_told_apart():
    text = text_of(read(made(on_paper=240)))

    assert "More than 151,474 signatures in all" in text
    assert "240 were collected on paper. 1,234 were confirmed" in text
    assert "counted on their sheets by one person and checked by another" in text
    assert "1,474 signatures in all 240 were collected" in text_of(read(made(before_opening=0, on_paper=240)))


def test_it_has_a_line_to_sign_on_and_names_its_sender_under_each_page():
    reader = read(made(demand="\n\n".join(["A word and another. " * 40] * 12)))

    assert "Place, date, signature of the sender An organisation, 1 Street, City contact@example.org" in text_of(reader)
    assert len(reader.pages) > 1
    for page in reader.pages:
        assert "An organisation, 1 Street, City · contact@example.org" in page.extract_text()


def test_without_a_sender_there_is_still_a_line_to_sign_on():
    assert "signature of the sender petition.example.org" in text_of(read(made(sender="", contact="")))


def lowest_line(page):
    """How high the last line above the foot stands, in parts of the page."""
    found = []
    page.extract_text(visitor_text=lambda text, _cm, tm, *_font: found.append(tm[5]) if text.strip() else None)
    return min(y for y in found if y > letter.MARGIN * 0.7) / float(page.mediabox.height)


@pytest.mark.parametrize("words", [20, 30, 40, 60, 80])
def test_no_page_ends_half_empty_while_more_would_fit(words):
    codes = [first + second for first in "ABCDEFGH" for second in "ABCDEFGH"]
    reader = read(
        made(demand="A word and another. " * words, on_paper=240, countries=tuple((code, 10) for code in codes))
    )

    *full, _last = reader.pages
    assert full
    assert max(map(lowest_line, full)) < 0.35


def test_before_a_week_has_ended_there_are_no_countries(petition, make_signature):
    make_signature(confirmed=True, country="DE")
    composed = letter.compose(petition, "en")

    assert (composed.total, composed.countries) == (150_001, ())
    assert "by country" not in text_of(read(composed))


def test_countries_are_those_of_ended_weeks_the_largest_first(petition, make_signature):
    for country, number in (("DE", 10), ("", 30), ("ES", 20)):
        for _ in range(number):
            make_signature(created_at=HOUR, confirmed_at=HOUR, country=country)
    make_signature(confirmed=True, country="FR")

    assert letter.compose(petition, "en").countries == (("ES", 20), ("DE", 10), ("", 30))


def test_a_long_demand_flows_over_numbered_pages():
    text = "\n\n".join(f"Paragraph {number}. " + "A word and another. " * 40 for number in range(30))
    reader = read(made(demand=text))

    assert len(reader.pages) > 5
    for number, page in enumerate(reader.pages, start=1):
        assert f"Page {number} of {len(reader.pages)}" in page.extract_text()
    assert "Paragraph 0." in text_of(reader)
    assert "Paragraph 29." in text_of(reader)


def test_many_countries_flow_too():
    codes = [first + second for first in "ABCDEFGH" for second in "ABCDEFGHIJKLMNOP"]

    assert text_of(read(made(countries=tuple((code, 10) for code in codes)))).count(" 10 ") >= len(codes)


@pytest.mark.parametrize(
    ("demand", "shown"),
    [
        ("A **strong** and an *emphatic* word", "A strong and an emphatic word"),
        ("See [this](https://example.org/x)", "See this (https://example.org/x)"),
        ("- one\n- two", "• one • two"),
        ("1. one\n2. two", "1. one 2. two"),
        ("## Heading\n\nText", "Heading Text"),
        ("> Quoted", "Quoted"),
        ("one\ntwo", "one two"),
        ("AT&T <b>is</b> 1 < 2", "AT&T <b>is</b> 1 < 2"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("![a picture](https://example.org/x.png)", "a picture"),
        ("    code <here>", "code <here>"),
        ("W" * 300, "WWW"),
        ("", "151,234"),
    ],
)
def test_the_demand_may_be_plain_text_or_markdown(demand, shown):
    assert shown in text_of(read(made(demand=demand)))


# As a file.


@pytest.mark.parametrize("language", ["en", "ru"])
def test_it_says_its_title_and_language_and_brings_its_fonts(language):
    reader = read(made(language=language, title="Расследовать"))

    assert reader.metadata.title == "Расследовать"
    assert reader.trailer["/Root"]["/Lang"] == language
    assert reader.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"].value is True
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    used = [font for font in fonts if "NotoSerif" in font["/BaseFont"]]
    assert used
    assert all("/FontFile2" in font["/FontDescriptor"] for font in used)


@pytest.mark.parametrize("path", sorted(letter.FONTS.glob("*.ttf")), ids=lambda path: path.name)
def test_a_font_is_the_one_that_is_recorded_and_has_the_letters(path):
    assert hashlib.sha256(path.read_bytes()).hexdigest() in (letter.FONTS / "README.md").read_text()
    letters = letters_of(path)
    assert set("AZaz09 «»„“”’–—…№•\xa0\u202fАЯаяЁёӀÅôß€") <= letters


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_seeded_has_no_letter_that_the_font_lacks(db, language):
    call_command("load_campaign", verbosity=0)
    composed = letter.compose(Petition.find(), language)
    written = set(composed.title + composed.demand + composed.collected_before_source) - {"\n"}
    assert written <= letters_of(letter.FONTS / "NotoSerif-Regular.ttf")


# The command.


def test_the_command_writes_it(petition, tmp_path):
    said = call_command("letter", "--language", "ru", "--out", str(tmp_path / "x.pdf"))

    assert said == f"Wrote {tmp_path}/x.pdf, with more than 150000 signatures."
    assert "Расследуйте" in text_of(PdfReader(tmp_path / "x.pdf"))
    entry = StaffAction.objects.get()
    assert (entry.action, entry.petition, entry.detail) == ("letter_downloaded", "chechnya", "ru")


@pytest.mark.parametrize("is_complete", [True, False])
def test_the_command_says_what_the_letter_lacks(petition, settings, tmp_path, capsys, is_complete):
    settings.CONTROLLER, settings.CONTACT_EMAIL = ("Us", "us@example.org") if is_complete else ("", "")
    petition.addressee = "The Prosecutor" if is_complete else ""
    petition.save()

    call_command("letter", "--out", str(tmp_path / "x.pdf"))

    said = capsys.readouterr().err
    for lack in ("no addressee", "no sender", "nobody to answer to"):
        assert (lack in said) != is_complete


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "/nowhere/x.pdf"], "/nowhere/x.pdf cannot be written: No such file"),
        (["--out", "x.pdf", "--petition", "unknown"], "no such petition"),
        (["--out", "x.pdf", "--language", "xx"], "invalid choice: 'xx'"),
        ([], "required: --out"),
    ],
)
def test_what_is_wrong_is_said(petition, options, said):
    with pytest.raises(CommandError, match=said):
        call_command("letter", *options)


def test_a_petition_without_text_in_a_language_has_no_letter_in_it(db, tmp_path):
    make_petition().translations.filter(language_code="ru").delete()

    with pytest.raises(ObjectDoesNotExist):
        letter.compose(Petition.find(), "ru")
    with pytest.raises(CommandError, match="no text in this language: ru"):
        call_command("letter", "--language", "ru", "--out", str(tmp_path / "x.pdf"))
