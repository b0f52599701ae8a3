"""Editors: they see what readers will see, what is missing in a language, and choose when it is published."""

from datetime import date, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaign.models import Figure, Page, Report, Update
from petition.models import Action, Petition, ShownWords, StaffAction
from petition.models.signature import this_hour

pytestmark = pytest.mark.django_db
AT = {"published_at_0": "2026-01-01", "published_at_1": "00:00"}
TEXT = {"title": "New title", "description": "New", "body": "New *text* {evacuated}", **AT}


@pytest.fixture
def editor(make_staff):
    client = Client()
    client.force_login(make_staff("editor"))
    return client


@pytest.fixture
def figure():
    figure = Figure.objects.language("en").create(
        slug="evacuated", number=119, as_of=date(2018, 4, 1), label="people", source="Us"
    )
    figure.create_translation("ru", label="люди", source="Мы")
    return figure


def make_page(**values):
    return Page.objects.language("en").create(**{"slug": "news", "title": "Old title", "body": "Old", **values})


def change_url(row, language="en"):
    return f"{reverse(f'admin:campaign_{row._meta.model_name}_change', args=[row.pk])}?language={language}"


# Preview.


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_preview_shows_what_stands_in_the_form_and_saves_nothing(editor, figure, language):
    page = make_page()

    html = editor.post(change_url(page, language), {**TEXT, "_preview": "1"}).content.decode()

    assert f'<html lang="{language}">' in html
    assert "<h1>New title</h1>" in html
    assert "New <em>text</em> 119" in html
    assert 'class="banner"' in html
    page = Page.objects.get()
    assert (page.title, page.get_available_languages().count()) == ("Old title", 1)
    assert not StaffAction.objects.exists()


def test_what_is_not_saved_yet_has_a_preview_too(editor, figure):
    for model in ("page", "update"):
        url = reverse(f"admin:campaign_{model}_add")
        assert "<em>text</em>" in editor.post(url, {**TEXT, "slug": "new", "_preview": "1"}).content.decode()
    assert not Page.objects.exists()
    assert not Update.objects.exists()


def test_a_preview_of_a_figure_shows_the_texts_that_use_it(editor, figure):
    make_page(body="Now {evacuated} people.")
    values = {"label": "people", "number": "130", "as_of": "2026-01-01", "as_of_precision": "day", "source": "Us", **AT}

    html = editor.post(change_url(figure), {**values, "slug": "evacuated", "_preview": "1"}).content.decode()

    assert "Now 130 people." in html
    assert Figure.objects.get().number == 119


def test_the_texts_of_the_petition_have_a_preview_too(editor, petition):
    url = f"{reverse('admin:petition_petition_change', args=[petition.pk])}?language=ru"
    assert 'name="_preview"' in editor.get(url).content.decode()
    texts = {"title": "Новый заголовок", "demand": "Раз.\n\nДва.", "thanks": "Благодарим", "pause_notice": "До завтра"}

    html = editor.post(url, {**texts, "_preview": "1"}).content.decode()

    assert '<html lang="ru">' in html
    assert "<h1>Новый заголовок</h1>" in html
    assert "<p>Раз.</p>\n\n<p>Два.</p>" in html
    assert "Благодарим" in html
    assert "До завтра" in html
    petition = Petition.objects.get()
    assert "Новый заголовок" not in {title for (title,) in petition.translations.values_list("title")}
    assert not StaffAction.objects.exists()


def test_the_list_of_petitions_says_what_is_missing_in_a_language(editor, petition):
    petition.translations.exclude(language_code="en").delete()

    html = editor.get(reverse("admin:petition_petition_changelist")).content.decode()

    assert '<td class="field-missing">Russian</td>' in html


def test_mistakes_are_shown_in_place_of_a_preview(editor):
    page = make_page()

    html = editor.post(change_url(page), {**TEXT, "title": "", "_preview": "1"}).content.decode()

    assert "errornote" in html
    assert Page.objects.get().title == "Old title"


@pytest.mark.parametrize("role", ["moderator", "organiser", "administrator"])
def test_nobody_else_has_a_preview(make_staff, role):
    client = Client()
    client.force_login(make_staff(role))

    assert client.post(change_url(make_page()), {**TEXT, "_preview": "1"}).status_code == 403


def test_the_button_stands_on_every_form(editor, figure):
    for row in (make_page(), figure):
        assert 'name="_preview"' in editor.get(change_url(row)).content.decode()


# What is missing, and when it shows.


def test_the_list_says_what_is_missing_and_what_is_published(editor):
    make_page()
    make_page(slug="draft", published_at=None)
    make_page(slug="later", published_at=timezone.now() + timedelta(days=1)).create_translation(
        "ru", title="Т", body="Т"
    )
    url = reverse("admin:campaign_page_changelist")

    html = editor.get(url).content.decode()

    assert html.count('<td class="field-missing">Russian</td>') == 2
    assert '<td class="field-missing">–</td>' in html
    for query, slugs in {
        "missing=ru": {"news", "draft"},
        "missing=en": set(),
        "publication=draft": {"draft"},
        "publication=scheduled": {"later"},
        "publication=shown": {"news"},
    }.items():
        rows = editor.get(f"{url}?{query}").context["cl"].queryset
        assert {row.slug for row in rows} == slugs, query


def test_a_text_is_published_at_the_time_that_its_editor_chose(editor, figure, client):
    page = make_page(published_at=None)
    page.create_translation("ru", title="Т", body="Т")
    tomorrow = timezone.now() + timedelta(days=1)
    when = {"published_at_0": f"{tomorrow:%Y-%m-%d}", "published_at_1": f"{tomorrow:%H:%M}"}
    editor.post(change_url(page), {**TEXT, **when, "_publish": "1"})
    assert client.get("/en/news/").status_code == 404

    again = {"published_at_0": "2026-01-01", "published_at_1": "00:00", "seen": "1.1", "_publish": "1"}
    editor.post(change_url(page), {**TEXT, **again})

    assert client.get("/en/news/").status_code == 200
    last = StaffAction.objects.latest("id")
    assert last.about == "page news"
    assert "published_at: " in last.detail


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_text_may_not_name_a_figure_that_does_not_exist(editor, language):
    page = make_page()

    html = editor.post(change_url(page, language), {**TEXT, "body": "Now {evacuees}."}).content.decode()

    assert "evacuees" in html
    assert Page.objects.get().safe_translation_getter("body", language_code="en") == "Old"


@pytest.mark.parametrize("slug", ["share", "words", "updates", "petitions", "confirm", "withdraw"])
def test_a_page_may_not_take_the_address_of_another_part(editor, slug):
    editor.post(reverse("admin:campaign_page_add"), {**TEXT, "body": "Text", "slug": slug})

    assert not Page.objects.exists()


def test_a_newer_value_of_a_figure_is_added_beside_the_older_one(editor, figure):
    values = {"label": "people", "number": "130", "as_of": "2026-01-01", "as_of_precision": "day", "source": "Us", **AT}

    editor.post(reverse("admin:campaign_figure_add"), {**values, "slug": "evacuated"})

    assert sorted(Figure.objects.values_list("number", flat=True)) == [119, 130]


@pytest.mark.parametrize(
    "wrong", [{"number": "", "day": ""}, {"number": "1", "day": "2017-01-01"}, {"number": "1", "as_of": ""}]
)
def test_a_figure_without_value_or_date_is_refused_in_words(editor, wrong):
    values = {"label": "x", "as_of": "2026-01-01", "as_of_precision": "day", "source": "Us", "slug": "x", **AT, **wrong}

    html = editor.post(reverse("admin:campaign_figure_add"), values).content.decode()

    assert "errornote" in html
    assert not Figure.objects.exists()


# Reports.


@pytest.mark.parametrize(
    ("action", "stays", "audited"), [("leave", True, Action.CHANGED), ("hide", False, Action.HIDDEN)]
)
def test_settling_reports_leaves_the_count_alone(make_staff, make_signature, counted_rows, action, stays, audited):
    hour = this_hour()
    signature = make_signature(words="Doubtful", confirmed=True, approved_at=hour)
    Report.objects.add(signature.shown)
    client = Client()
    client.force_login(make_staff("moderator"))
    url = reverse("admin:campaign_report_changelist")
    assert "Doubtful" in client.get(url).content.decode()

    client.post(url, {"action": action, "_selected_action": [signature.pk]})

    assert ShownWords.objects.filter(approved_at__isnull=False).exists() is stays
    assert not Report.objects.exists()
    assert counted_rows() == 1
    entry = StaffAction.objects.get()
    assert (entry.action, entry.about, entry.count) == (audited, f"signature {signature.pk}", 1)
    assert "Doubtful" not in entry.detail
