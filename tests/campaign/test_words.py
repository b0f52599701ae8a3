"""The words that people read: whole in both languages, right for every number, and silent where they must be."""

import re
import shutil
from email.utils import parseaddr
from html import unescape
from pathlib import Path

import brotli
import polib
import pytest
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import reverse
from django.utils import translation

from campaign.management.commands.load_campaign import PAGES
from campaign.models import Page
from petition import links
from petition.counts.tally import Count
from petition.mail import messages
from petition.mail.keys import Opened
from petition.models import OutgoingMail
from petition.web import errors

LANGUAGES = [code for code, _name in settings.LANGUAGES]
OTHER_LANGUAGES = LANGUAGES[1:]
CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "ru" / "LC_MESSAGES" / "django.po"
TEMPLATES = Path(settings.BASE_DIR) / "templates"


def plain(html):
    """The text as a reader sees it, in one line, with ordinary spaces."""
    text = re.sub(r"<(script|style|title|head).*?</\1>", " ", html, flags=re.DOTALL)
    text = re.sub(r'<(nav|div) class="languages".*?</\1>', " ", text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


# The catalogue


def catalogue_of(language):
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_string_is_translated(language):
    catalogue = polib.pofile(str(catalogue_of(language)))

    assert [entry.msgid for entry in catalogue if not entry.translated() or entry.fuzzy or entry.obsolete] == []


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_written_one(language):
    def entries(catalogue):
        return {(entry.msgctxt, entry.msgid): (entry.msgstr, entry.msgstr_plural) for entry in catalogue}

    compiled = polib.mofile(str(catalogue_of(language).with_suffix(".mo")))
    assert entries(compiled) == entries(polib.pofile(str(catalogue_of(language))))


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_variables_survive_translation(language):
    variables = re.compile(r"%\(\w+\)[sd]|</?\w+>|#(?=$| )")
    for entry in polib.pofile(str(catalogue_of(language))):
        for translated in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
            assert sorted(variables.findall(translated)) == sorted(variables.findall(entry.msgid)), entry.msgid


@pytest.mark.skipif(not shutil.which("xgettext"), reason="needs gettext (apt-get install gettext)")
@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_the_catalogue_holds_every_string_of_code_and_templates(tmp_path, settings, monkeypatch, language):
    for room in ("config", "petition", "campaign", "templates"):
        shutil.copytree(settings.BASE_DIR / room, tmp_path / room)
    settings.LOCALE_PATHS = [str(tmp_path / "locale")]
    monkeypatch.chdir(tmp_path)
    staff = re.search(r"^FOR_STAFF := (.*?[^\\\\])$", (settings.BASE_DIR / "Makefile").read_text(), re.M | re.S)[1]
    left_out = re.findall(r"'([^']+)'", staff) if language in settings.MACHINE_MADE else []
    assert left_out or language in settings.COMPLETE_LANGUAGES
    call_command("makemessages", locale=[language], ignore_patterns=left_out, no_location=True, verbosity=0)

    def ids(path):
        return {(entry.msgctxt, entry.msgid) for entry in polib.pofile(str(path))}

    assert ids(tmp_path / "locale" / language / "LC_MESSAGES" / "django.po") == ids(catalogue_of(language))


def test_no_string_hides_from_xgettext_behind_another_name():
    """It knows Django's functions by their own names, and `_`."""
    renamed = re.compile(r"import (?:.*, )?n?p?gettext\w* as (?!_$).*", re.MULTILINE)
    modules = [path for room in ("config", "petition", "campaign") for path in (TEMPLATES.parent / room).rglob("*.py")]

    assert modules
    assert [path.name for path in modules if renamed.search(path.read_text())] == []


# Plural forms

PLURALS = {
    "en": {1: "signature", 2: "signatures", 5: "signatures", 11: "signatures", 21: "signatures", 101: "signatures"},
    "ru": {1: "подпись", 2: "подписи", 5: "подписей", 11: "подписей", 21: "подпись", 101: "подпись"},
}
MINUTES = {
    "en": {1: "a minute", 2: "2 minutes", 5: "5 minutes", 11: "11 minutes", 21: "21 minutes"},
    "ru": {1: "минуту", 2: "2 минуты", 5: "5 минут", 11: "11 минут", 21: "21 минуту"},
}
DAYS = {
    "en": {1: "1 day", 2: "2 days", 5: "5 days", 11: "11 days", 21: "21 days", 101: "101 days"},
    "ru": {1: "1 день", 2: "2 дня", 5: "5 дней", 11: "11 дней", 21: "21 день", 101: "101 день"},
}


def every(table):
    return [(language, number, words) for language in table for number, words in table[language].items()]


@pytest.mark.parametrize(("language", "number", "words"), every(PLURALS))
def test_the_tally_agrees_with_its_number(petition, language, number, words):
    count = Count(petition.slug, 0, number, 1_000, as_of=None)
    with translation.override(language):
        html = render_to_string("petition/tags/tally.html", {"petition": petition, "count": count})

    assert f"{number} {words} " in plain(html)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "подтверждено"),
        (2, "подтверждено"),
        (5, "подтверждено"),
        (21, "подтверждено"),
    ],
)
def test_the_part_confirmed_here_has_one_form_for_every_number_as_everywhere(petition, number, words):
    count = Count(petition.slug, 150_000, number, 175_000, as_of=None)
    with translation.override("ru"):
        html = render_to_string("petition/tags/tally.html", {"petition": petition, "count": count})

    assert f"{number} {words} здесь" in plain(html)


@pytest.mark.parametrize(("language", "number", "words"), every(MINUTES))
def test_the_wait_agrees_with_its_number(language, number, words):
    request = RequestFactory().get("/")
    request.LANGUAGE_CODE = language

    html = errors.page(request, 429, retry_after=number * 60).content.decode()

    assert f" {words}." in plain(html)


@pytest.mark.parametrize(("language", "number", "words"), every(DAYS))
def test_the_life_of_a_link_agrees_with_its_number(language, number, words):
    with translation.override(language):
        text = render_to_string("petition/mail/withdraw.txt", {"days": number, "site": "x", "link": "y"})

    assert f" {words}." in plain(text)


@pytest.mark.parametrize(("language", "number"), [("en", "150,123"), ("ru", "150\u00a0123")])
def test_large_numbers_are_written_as_the_language_does(petition, language, number):
    count = Count(petition.slug, 150_000, 123, 175_000, as_of=None)
    with translation.override(language):
        html = render_to_string("petition/tags/tally.html", {"petition": petition, "count": count})

    assert f">{number}<" in html


# Russian pages speak Russian

OTHERS = {"Gmail", "Outlook", "Yahoo", "iCloud", "Proton", "Yandex", "Mail", "Telegram", "WhatsApp"}
LATIN_ON_PURPOSE = OTHERS | {
    *(
        "100forjustice",
        "cookie",
        "IP",
        "XXXX",
        "Shift",
        "LGBT",
        "http",
        "localhost",
        "confirm",
        "donate",
        "example",
        "org",
    ),
    *("RSS", "Tab", "English", "Deutsch", "Fran", "ais", "Espa", "ol"),
}


@pytest.mark.parametrize(
    "view",
    [
        *("sign", "check-inbox", "confirm-code", "thanks", "disowned", "withdraw", "withdraw-check-inbox", "withdrawn"),
        *("subscribe", "subscribe-check-inbox", "subscribed", "unsubscribed"),
    ],
)
def test_no_english_shows_on_a_russian_page(client, petition, settings, list_key, view):
    assert_russian(client.get(reverse_in("ru", f"petition:{view}", petition.slug)), settings)


def test_no_english_shows_on_a_russian_page_of_sharing(client, petition, settings):
    networks = {
        "Telegram",
        "WhatsApp",
        "Bluesky",
        "Facebook",
        "Mastodon",
        "mastodon",
        "social",
        "QR",
        "PDF",
        "SVG",
        "PNG",
    }
    share, words = reverse_in("ru", "campaign:share"), reverse_in("ru", "campaign:own-picture")
    for response in (
        client.get(share),
        client.post(share, {"text": "Слова", "host": "mastodon.social"}),
        client.post(share, {"text": "", "host": "?"}),
        client.post(words, {"words": "❤", "size": "1"}),
        client.post(words, {"words": "", "size": ""}),
    ):
        assert_russian(response, settings, *networks)


@pytest.mark.parametrize("slug", [*PAGES, "words", "updates"])
def test_no_english_shows_on_a_russian_page_of_the_campaign(client, settings, db, slug):
    call_command("load_campaign", verbosity=0)
    path = "/ru/" if slug == "home" else f"/ru/{slug}/"
    # Names of things, which have no Russian ones.
    names = (
        "JavaScript",
        "WCAG",
        "AA",
        "PDF",
        "MIT",
        "Noto",
        "SIL",
        "Open",
        "Font",
        "License",
        "JSON",
        "Atom",
        "UTC",
        "Cache",
        "Control",
        "Tor",
        "Browser",
        "VPN",
        "Poster",  # the title that a source was given
        *("The", "Independent", "independent", "uk", "Reuters", "Straits", "Times", "straitstimes", "com", "org"),
        *("lgbtnet", "osce", "ODIHR", "GAL", "hudoc", "echr", "coe", "int", "GDPR", "Art", "json", "petitions"),
        *("Example", "example", "Organisation", "Street", "City", "contact", "donate", "authority", "co", "chechnya"),
    )
    html = re.sub(r"<code.*?</code>", "", client.get(path).content.decode(), flags=re.DOTALL)
    assert_russian(HttpResponse(html), settings, *names)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 429, 500, 503])
def test_no_english_shows_on_a_russian_page_of_an_error(settings, status):
    request = RequestFactory().get("/")
    request.LANGUAGE_CODE = "ru"
    # The id to quote is random.
    html = re.sub(r'<b translate="no">[0-9a-f]+</b>', "", errors.page(request, status).content.decode())
    assert_russian(HttpResponse(html), settings)


def test_no_english_shows_in_russian_complaints(client, petition, sign_data, settings):
    wrong = sign_data(email="", consent="", name="=1", words="x" * 501, country="XX")
    assert_russian(client.post(reverse_in("ru", "petition:sign", petition.slug), wrong), settings, "xxx")


def reverse_in(language, view, *args):
    with translation.override(language):
        return reverse(view, args=args)


def assert_russian(response, settings, *more):
    text = plain(response.content.decode()).replace(settings.DEFAULT_FROM_EMAIL, "").replace(settings.SITE_URL, "")
    found = set(re.findall(r"[A-Za-z]{2,}|[0-9]+[a-z]+", text)) - LATIN_ON_PURPOSE
    assert {word for word in found if not word.startswith(("xxx", *more))} - {"forjustice", "ru"} == set()


@pytest.mark.parametrize(
    ("language", "other", "says"), [("en", "ru", "not been translated"), ("ru", "en", "не переведена")]
)
def test_a_page_that_is_missing_in_a_language_says_so_and_offers_another(client, db, language, other, says):
    page = Page.objects.language(other).create(slug="news", title="#1", body="Body")

    html = client.get(reverse_in(language, "campaign:page", page.slug)).content.decode()

    assert says in plain(html)
    assert re.search(rf'<div lang="{other}">\s*<h1>#1</h1>', html)
    assert f'<a class="go" href="{reverse_in(other, "campaign:page", page.slug)}" lang="{other}"' in html


# Mails

# Whatever could tell a stranger at the mailbox who or what this is about, in both languages.
FORBIDDEN = re.compile(
    r"petition|chechn|lgbt|\bgay|lesb|queer|homosex|trans(?!fer)|russia|tortur|kill|network|justice|campaign|support"
    r"|\bsign|donat|investigat|persecut"
    r"|петици|чечн|лгбт|гей|лесб|квир|гомос|транс|росси|пыт[ко]|убий|сет[иь]|справедлив|кампани|поддерж|подпис|жертв"
    r"|расследов|преслед",
    re.IGNORECASE,
)


def all_letters(petition, make_signature, language):
    address = "somebody@example.org"
    signature = make_signature(name="Мария Сидорова", words="Держитесь")
    letters = {}
    for kind in OutgoingMail.Kind.values:
        owed = OutgoingMail(pk=1, petition=petition, kind=kind, signature=signature, language=language)
        message = messages.compose(owed, Opened(address, *links.make()))
        letters[kind] = message, messages.write(owed, message, address)
    return letters


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_names_nobody_and_no_cause(petition, make_signature, language):
    for letter, message in all_letters(petition, make_signature, language).values():
        wire = message.message()
        headers = {name.lower(): value for name, value in wire.items()}
        said = [headers["subject"], headers["from"], message.body, *(part[0] for part in message.alternatives)]
        for text in said:
            # A token is random, so it could spell anything.
            without_tokens = re.sub(r"(/(?:confirm|withdraw|subscribe)/)[^/\s\"]+", r"\1", text)
            assert FORBIDDEN.findall(without_tokens) == [], letter.kind
            assert "Мария" not in text
            assert "Держитесь" not in text
            assert petition.slug not in without_tokens


WHY = "You are receiving this email because this address was typed on"
IGNORE = "If it was not you, ignore this email."


def of_the_catalogue(language, start):
    """The first words of what the catalogue says for a message that begins so, up to where something is filled in."""
    catalogue = polib.pofile(str(catalogue_of(language)))
    said = next(entry.msgstr for entry in catalogue if entry.msgid.startswith(start))
    return " ".join(re.split(r"%\(|[.,:;]", said)[0].split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_says_why_it_came_how_to_ignore_it_and_how_to_be_deleted(petition, make_signature, language):
    why, ignore = {
        "en": ("You are receiving this email because", "ignore this email"),
        "ru": ("Вы получили это письмо, потому что", "не обращайте внимания на это письмо"),
        **{code: (of_the_catalogue(code, WHY), of_the_catalogue(code, IGNORE)) for code in settings.MACHINE_MADE},
    }[language]
    for letter, message in all_letters(petition, make_signature, language).values():
        html = message.alternatives[0][0]
        for text in (" ".join(message.body.split()), plain(html)):
            assert why in text
            assert ignore in text
            # Of who only asked for updates nothing is stored that the purge would not delete.
            assert (f"{settings.SITE_URL}/{language}/withdraw/" in text) is (letter.kind != "subscribe")
        assert letter.context["link"] in message.body


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_twin_in_html_says_the_same_and_loads_nothing(petition, make_signature, language):
    for _letter, message in all_letters(petition, make_signature, language).values():
        html = message.alternatives[0][0]
        assert f'<html lang="{language}">' in html
        assert not re.search(r"<img|<link|<style|src=|url\(", html)
        # A button says once more what the link beside it is for.
        button = re.search(r'<a class="button".*?</a>', html, flags=re.DOTALL)[0]
        body = html.replace(button, "").partition("<body")[2].partition(">")[2]
        assert plain(body) == " ".join(message.body.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_is_printed_once_where_it_can_be_typed_from(petition, make_signature, language):
    _letter, message = all_letters(petition, make_signature, language)["sign"]

    assert len(re.findall(r"\b[0-9]{4}-[0-9]{3}-[0-9]{3}\b", re.sub(r"https?:\S+", "", message.body))) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_name_the_sender_and_subject_to_look_for(client, petition, make_signature, language):
    mails = all_letters(petition, make_signature, language)
    for view, template in [
        ("check-inbox", "sign"),
        ("withdraw-check-inbox", "withdraw"),
        ("subscribe-check-inbox", "subscribe"),
    ]:
        page = plain(client.get(reverse_in(language, f"petition:{view}", petition.slug)).content.decode())

        assert mails[template][1].subject in page
        assert parseaddr(settings.DEFAULT_FROM_EMAIL)[1] in page


# Templates


def test_no_template_carries_code_or_style_of_its_own():
    inline = re.compile(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:")
    for path in TEMPLATES.rglob("*.html"):
        # Mail programs know no style sheets.
        if path.parent.name != "mail":
            assert inline.findall(path.read_text()) == [], path.name


def test_pages_stay_small():
    static = Path(settings.BASE_DIR) / "static"
    # As they are sent: compressed by brotli.
    assert len(brotli.compress((static / "site.css").read_bytes())) < 5_000
    assert len(brotli.compress((static / "site.js").read_bytes())) < 2_000
