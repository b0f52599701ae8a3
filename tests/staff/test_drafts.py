"""Drafts of texts: saved apart from what readers see, published with a press, kept as versions, never lost."""

import re
from contextlib import nullcontext
from datetime import date, timedelta
from threading import Barrier, Thread

import pgtrigger
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaign.models import Figure, Page, Partner, Testimony, Update
from petition.models import Action, Draft, Petition, Source, StaffAction, TextVersion
from petition.staff import differences, drafts
from tests.conftest import make_petition
from tests.support import server
from tests.support.browser import follow, needs_chromium

pytestmark = pytest.mark.django_db
TEXT = {"title": "Title", "description": "About it", "body": "Text", "published_at_0": "", "published_at_1": ""}
RUSSIAN = {**TEXT, "title": "Заголовок", "body": "Текст"}


@pytest.fixture
def editor(make_staff):
    return logged_in(make_staff("editor", username="olga"))


def logged_in(user):
    client = Client()
    client.force_login(user)
    return client


def admin_url(row, view="change", language="en", **query):
    path = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{view}", args=[row.pk])
    return f"{path}?language={language}" + "".join(f"&{name}={value}" for name, value in query.items())


def seen(client, row, language="en"):
    return re.search(r'name="seen" value="([\d.]+)"', client.get(admin_url(row, language=language)).content.decode())[1]


def press(client, button, row, language="en", **values):
    """Change the form as it stands now, and press one of its buttons."""
    texts = {**(TEXT if language == "en" else RUSSIAN), "seen": seen(client, row, language), **values}
    return client.post(admin_url(row, language=language), {**texts, button: "1"}, follow=True)


def make_page(slug="news", **values):
    page = Page.objects.language("en").create(slug=slug, **{"title": "Old title", "body": "Old text", **values})
    page.create_translation("ru", title="Старый", body="Старый текст")
    return page


def make_figure(**values):
    figure = Figure.objects.language("en").create(
        **{"slug": "evacuated", "number": 119, "as_of": date(2018, 4, 1), "label": "people", "source": "Us", **values}
    )
    figure.create_translation("ru", label="люди", source="Мы")
    return figure


PUBLIC = ["/{}/news/", "/{}/updates/", "/{}/updates/news/", "/{}/updates/feed.xml", "/{}/", "/{}/demand/", "/{}/press/"]


def public_pages(client):
    paths = ["/sitemap.xml", *(path.format(language) for path in PUBLIC for language in ("en", "ru"))]
    # The page of an error carries a number of its own.
    answers = {path: client.get(path) for path in paths}
    return {path: answer.content.decode() for path, answer in answers.items() if answer.status_code == 200}


# Two buttons.


@pytest.mark.parametrize("model", [Page, Update])
def test_what_is_new_is_a_draft_until_it_is_published_in_both_languages(editor, client, model):
    name = model._meta.model_name
    editor.post(reverse(f"admin:campaign_{name}_add"), {**TEXT, "slug": "news", "_draft": "1"})
    row = model.objects.get()
    press(editor, "_draft", row, "ru")
    for path, html in public_pages(client).items():
        assert "Title" not in html, path
        assert "Заголовок" not in html, path
        assert "/news/" not in html.replace(path, ""), path

    press(editor, "_publish", row)

    address = {"page": "/{}/news/", "update": "/{}/updates/news/"}[name]
    assert "Title</h1>" in client.get(address.format("en")).content.decode()
    assert "Заголовок</h1>" in client.get(address.format("ru")).content.decode()


@pytest.mark.parametrize(("model", "button"), [(Page, "_draft"), (Page, "_tab"), (Update, "_save")])
def test_nothing_but_publish_changes_what_readers_see(editor, client, model, button):
    row = model.objects.language("en").create(slug="news", title="Old title", description="Old", body="Old text")
    row.create_translation("ru", title="Старый", description="Было", body="Старый текст")
    before = public_pages(client)

    for language in ("en", "ru", "de"):
        press(editor, button, row, language)

    assert Draft.objects.waiting().exclude(language="").count() == 3
    assert public_pages(client) == before
    press(editor, "_publish", row)
    editor.post(admin_url(row, "publish"), {"languages": ["en", "ru"], "stamp": drafts.stamp(row)})
    assert Draft.objects.waiting().exclude(language="").get().language == "de"
    row = model.objects.get()
    assert {text.language_code: text.title for text in row.translations.all()} == {"en": "Title", "ru": "Заголовок"}


def test_the_form_shows_the_draft_and_says_that_readers_see_an_earlier_text(editor):
    page = make_page()
    assert "This is what readers see." in editor.get(admin_url(page)).content.decode()

    html = press(editor, "_draft", page, title="Better").content.decode()

    assert 'value="Better"' in html
    assert "A draft: readers see an earlier text." in html
    assert "Saved by olga" in html
    assert Page.objects.get().title == "Old title"


@pytest.mark.parametrize(("slug", "path"), [("news", "/ru/news/"), ("home", "/ru/"), ("outcome", None)])
def test_the_form_leads_to_what_readers_see(editor, petition, client, slug, path):
    page = make_page(slug)

    html = editor.get(admin_url(page, language="ru")).content.decode()

    assert (f'<a href="{path}">View on site</a>' in html) == bool(path)
    assert "View on site" not in editor.get(admin_url(make_page("later", published_at=None))).content.decode()


def test_a_text_that_was_never_published_has_no_way_to_its_versions(editor):
    page = make_page("later", published_at=None)
    assert "Published versions" not in editor.get(admin_url(page)).content.decode()

    press(editor, "_publish", page)

    assert "Published versions" in editor.get(admin_url(page)).content.decode()


def test_a_save_without_changes_makes_no_draft(editor):
    page = make_page(title="Title", description="About it", body="Раз\n\nДва")
    when = {"published_at_0": f"{page.published_at:%Y-%m-%d}", "published_at_1": f"{page.published_at:%H:%M:%S}"}

    press(editor, "_draft", page, body="Раз\r\n\r\nДва", **when)

    assert not Draft.objects.filter(language="en").exists()


def test_the_number_of_a_figure_is_a_draft_as_well(editor, client):
    figure = make_figure()
    make_page(body="Now {evacuated}.")
    values = {"label": "people", "number": "130", "as_of": "2026-01-01", "as_of_precision": "day", "source": "Us"}
    form = {**values, "slug": "evacuated", "published_at_0": "2026-01-01", "published_at_1": "00:00"}

    press(editor, "_draft", figure, **form)
    assert "Now 119." in client.get("/en/news/").content.decode()
    assert 'value="130"' in editor.get(admin_url(figure, language="ru")).content.decode()
    press(editor, "_publish", figure, **form)

    assert "Now 130." in client.get("/en/news/").content.decode()


def test_the_texts_of_the_petition_are_drafts_and_the_rest_is_changed_at_once(make_staff, client):
    petition, both = make_petition(), logged_in(make_staff("editor", "administrator"))
    texts = {"title": "New title", "demand": "New demand", "collected_before": "0", "opened_at_0": "2026-01-01"}

    press(both, "_draft", petition, **texts, opened_at_1="00:00", goal="5000", reason="A goal")

    petition = Petition.objects.get()
    assert petition.goal == 5000
    assert petition.title != "New title"
    assert "New title" not in client.get("/en/").content.decode()
    press(both, "_publish", petition, **texts, opened_at_1="00:00", goal="5000", reason="As before")
    assert "<h1>New title</h1>" in client.get("/en/").content.decode()


def test_who_pauses_the_petition_publishes_no_draft_of_an_editor(editor, make_staff):
    petition = make_petition()
    press(editor, "_draft", petition, title="New title", demand="New demand")
    administrator = logged_in(make_staff("administrator"))
    now = {"opened_at_0": "2026-01-01", "opened_at_1": "00:00", "paused_at_0": "2026-01-02", "paused_at_1": "00:00"}

    administrator.post(
        admin_url(petition), {**now, "collected_before": "0", "reason": "An attack", "_save": "1", "_publish": "1"}
    )

    petition = Petition.objects.get()
    assert petition.paused_at
    assert petition.title != "New title"
    assert Draft.objects.waiting().filter(language="en").exists()


# Publishing asks.


def test_publishing_asks_when_a_language_is_missing_and_keeps_what_was_typed(editor, client):
    editor.post(reverse("admin:campaign_page_add"), {**TEXT, "slug": "news", "_draft": "1"})
    page = Page.objects.get()

    html = press(editor, "_publish", page, title="Typed last").content.decode()

    assert "Missing: Russian." in html
    assert client.get("/en/news/").status_code == 404
    assert not TextVersion.objects.exists()
    editor.post(admin_url(page, "publish"), {"stamp": drafts.stamp(page)})
    assert "<h1>Typed last</h1>" in client.get("/en/news/").content.decode()


def test_a_page_that_is_new_can_be_published_from_its_first_form(editor, client):
    url = reverse("admin:campaign_page_add")

    html = editor.post(url, {**TEXT, "slug": "news", "_publish": "1"}, follow=True).content.decode()

    assert "Missing: Russian." in html
    assert client.get("/en/news/").status_code == 404


def test_somebody_elses_draft_in_another_language_is_asked_about_too(editor, make_staff):
    page = make_page()
    press(logged_in(make_staff("editor", username="boris")), "_draft", page, "ru", title="Ещё не готово")

    html = press(editor, "_publish", page).content.decode()

    assert "Saved by boris" in html
    assert Page.objects.get().title == "Old title"
    editor.post(admin_url(page, "publish"), {"languages": ["en"], "stamp": drafts.stamp(page)})
    page = Page.objects.get()
    assert page.title == "Title"
    assert page.safe_translation_getter("title", language_code="ru") == "Старый"
    assert drafts.waiting(page)[-1].language == "ru"


def test_what_changed_since_it_was_looked_at_is_not_published(editor):
    page = make_page()
    press(editor, "_draft", page, title="Seen")
    stamp = drafts.stamp(page)
    press(editor, "_draft", page, title="Not seen")

    html = editor.post(admin_url(page, "publish"), {"languages": ["en"], "stamp": stamp}, follow=True).content.decode()

    assert "Nothing was published" in html
    assert Page.objects.get().title == "Old title"


def test_a_draft_may_wait_for_a_time_to_come(editor, client):
    page = make_page(published_at=None)
    later = timezone.now() + timedelta(days=1)
    when = {"published_at_0": f"{later:%Y-%m-%d}", "published_at_1": f"{later:%H:%M}"}

    press(editor, "_draft", page, **when)
    assert Page.objects.get().published_at is None
    press(editor, "_publish", page, **when)

    assert f"{Page.objects.get().published_at:%Y-%m-%d %H:%M}" == f"{later:%Y-%m-%d %H:%M}"
    assert client.get("/en/news/").status_code == 404


def test_the_audit_log_says_who_published_what(editor):
    page = make_page()
    press(editor, "_draft", page)
    press(editor, "_publish", page)

    entries = StaffAction.objects.filter(about="page news").order_by("pk")
    assert [(entry.username, entry.action) for entry in entries] == [
        ("olga", Action.CHANGED),
        ("olga", Action.PUBLISHED),
    ]
    assert entries[1].detail == "en"


# Versions.


def test_every_published_version_is_kept_with_who_and_when(editor):
    page = make_page()
    for title in ("First", "Second"):
        press(editor, "_draft", page, title=f"{title}, not yet")
        press(editor, "_publish", page, title=title)

    kept = TextVersion.objects.filter(language="en").order_by("pk")
    assert [(version.values["title"], version.username) for version in kept] == [
        ("Old title", ""),
        ("First", "olga"),
        ("Second", "olga"),
    ]
    html = editor.get(admin_url(page, "versions")).content.decode()
    assert "<del>First</del><ins>Second</ins>" in html
    assert "not yet" not in html
    assert "as it stood on the site before" in html


def test_an_earlier_version_can_be_taken_again(editor, client):
    page = make_page(slug="safety", body="What helps")
    press(editor, "_publish", page, body="Emptied")
    old = TextVersion.objects.filter(language="en").earliest("pk")
    url = re.search(rf'href="([^"]+version={old.pk})"', editor.get(admin_url(page, "versions")).content.decode())[1]

    form = editor.get(url.replace("&amp;", "&")).content.decode()
    assert "What helps</textarea>" in form
    assert Page.objects.get().body == "Emptied"
    press(editor, "_publish", page, body="What helps")

    assert "What helps" in client.get("/en/safety/").content.decode()


def test_a_petition_and_a_figure_have_versions_and_what_may_have_to_be_erased_has_none(editor):
    petition, figure = make_petition(), make_figure()
    testimony = Testimony.objects.language("en").create(slug="one", words="They came", told_by="A survivor", source="S")
    partner = Partner.objects.language("en").create(source=Source.objects.create(slug="friends"), text="Sign")

    for row, text in ((petition, "title"), (figure, "label"), (testimony, "words"), (partner, "text")):
        row.take("en", {text: "Changed"})
        drafts.save(editor_user(), row, "en", drafts.Seen())
        drafts.publish(editor_user(), row, ["en"])

    assert set(TextVersion.objects.values_list("kind", flat=True)) == {"petition.petition", "campaign.figure"}
    assert editor.get(admin_url(petition, "versions")).status_code == 200


def editor_user():
    return User.objects.get(username="olga")


ATTEMPTS = {
    "update": "UPDATE petition_textversion SET username = 'boris'",
    "delete": "DELETE FROM petition_textversion",
    "truncate": "TRUNCATE petition_textversion",
}


@pytest.mark.parametrize("statement", ATTEMPTS.values(), ids=ATTEMPTS)
def test_no_statement_changes_or_deletes_a_version(statement):
    TextVersion.objects.create(kind="campaign.page", row="1", language="en", values={"title": "Old"})

    for ignoring in (nullcontext(), pgtrigger.ignore()):
        with ignoring, pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
            connection.cursor().execute(statement)

    assert TextVersion.objects.get().values == {"title": "Old"}


def test_a_difference_is_told_by_words():
    pieces = differences.between("One two three.\nLast line.", "One four three.\nLast line.")

    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("both", "One "),
        ("old", "two"),
        ("new", "four"),
        ("both", " three.\n"),
        ("both", "Last line."),
    ]


# Somebody else's newer version.


def test_a_save_over_a_newer_version_is_refused_and_shows_both(editor, make_staff):
    page, boris = make_page(), logged_in(make_staff("editor", username="boris"))
    opened = seen(editor, page)
    press(boris, "_draft", page, body="What boris wrote")

    html = editor.post(
        admin_url(page), {**TEXT, "body": "What olga wrote", "seen": opened, "_publish": "1"}
    ).content.decode()

    assert "Somebody saved a newer version while you wrote." in html
    assert "What olga wrote</textarea>" in html
    assert "What boris wrote</textarea>" in html
    assert "<del>olga</del><ins>boris</ins>" in html
    assert Page.objects.get().body == "Old text"
    assert Draft.objects.get(language="en").values["body"] == "What boris wrote"
    # The next press knows of it.
    now = re.search(r'name="seen" value="([\d.]+)"', html)[1]
    editor.post(admin_url(page), {**TEXT, "body": "What both wrote", "seen": now, "_draft": "1"})
    assert Draft.objects.get(language="en").values["body"] == "What both wrote"


def test_mistakes_do_not_hide_that_there_is_a_newer_version(editor, make_staff):
    page, boris = make_page(), logged_in(make_staff("editor", username="boris"))
    opened = seen(editor, page)
    press(boris, "_draft", page, body="What boris wrote")

    html = editor.post(admin_url(page), {**TEXT, "title": "", "seen": opened, "_draft": "1"}).content.decode()

    assert f'name="seen" value="{opened}"' in html


def test_two_may_write_in_different_languages_at_once(editor, make_staff):
    page, boris = make_page(), logged_in(make_staff("editor", username="boris"))
    opened = seen(editor, page), seen(boris, page, "ru")
    at = {"published_at_0": f"{page.published_at:%Y-%m-%d}", "published_at_1": f"{page.published_at:%H:%M:%S}"}

    editor.post(admin_url(page), {**TEXT, **at, "seen": opened[0], "_draft": "1"})
    boris.post(admin_url(page, language="ru"), {**RUSSIAN, **at, "seen": opened[1], "_draft": "1"})

    saved = dict(Draft.objects.exclude(language="").values_list("language", "username"))
    assert saved == {"en": "olga", "ru": "boris"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_of_two_saves_at_the_same_moment_one_is_refused(make_staff, number):
    page, user = make_page(), make_staff("editor")
    if number:
        page.title = "Draft"
        drafts.save(user, page, "en", drafts.Seen())
    start, ends = Barrier(2), []

    def save(title):
        try:
            row = Page.objects.get()
            row.take("en", {"title": title})
            start.wait()
            drafts.save(user, row, "en", drafts.Seen(own=number))
            ends.append(title)
        except drafts.NewerVersionError:
            ends.append("refused")
        finally:
            connection.close()

    threads = [Thread(target=save, args=[title]) for title in ("One", "Two")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert "refused" in ends
    (kept,) = {"One", "Two"} & set(ends)
    assert Draft.objects.get(language="en").values["title"] == kept


# Leaving the form.


def test_a_language_tab_saves_what_is_typed_before_it_leads_away(editor):
    page = make_page()

    response = press(editor, "_tab", page, title="Typed", _tab="ru")
    html = editor.post(
        admin_url(page), {**TEXT, "title": "Typed on", "seen": seen(editor, page), "_tab": "ru"}, follow=True
    ).content.decode()

    assert response.status_code == 200
    assert 'value="Старый"' in html
    assert 'value="Typed on"' in editor.get(admin_url(page)).content.decode()


def test_the_form_loads_the_script_that_asks_before_it_is_left(editor):
    html = editor.get(admin_url(make_page())).content.decode()

    assert re.search(r'<script src="/static/unsaved_texts[^"]*\.js" defer>', html)


# Menu, taking off, deleting.


@pytest.mark.parametrize("column", Page.Menu.values)
def test_a_page_can_be_put_into_the_menu(editor, client, column):
    page = make_page()
    link = '<a href="/ru/news/">Старый</a>'
    assert link not in client.get("/ru/updates/").content.decode()

    press(editor, "_draft", page, "ru", menu=column)
    assert link not in client.get("/ru/updates/").content.decode()
    press(editor, "_publish", page, "ru", title="Старый", menu=column)

    assert link in client.get("/ru/updates/").content.decode()


def test_the_list_says_where_in_the_menu_each_page_stands(editor, client):
    call_command("load_campaign")
    make_page(menu="take-part")
    footer = client.get("/en/").content.decode().split('id="pages"')[1].split("</nav>")[0]
    columns = {}
    for column in footer.split("<h2>")[1:]:
        name = column.split("</h2>")[0]
        columns |= dict.fromkeys(re.findall(r'href="/en/([\w-]+)/"', column), name)

    shown = editor.get(reverse("admin:campaign_page_changelist")).context["cl"]

    places = {page.slug: shown.model_admin.place(page) for page in shown.result_list}
    pages = {slug: name for slug, name in columns.items() if slug in places}
    assert places == {**pages, "home": "–"}
    assert len(pages) == 12


@pytest.mark.parametrize("slug", ["about", "home", "outcome"])
def test_a_page_that_has_a_place_is_given_no_second_one(editor, client, slug):
    page = make_page(slug)
    assert 'name="menu"' not in editor.get(admin_url(page)).content.decode()

    Page.objects.update(menu="site")

    assert client.get("/en/updates/").content.decode().count(f'href="/en/{slug}/"') == (slug == "about")


def test_a_draft_in_the_menu_is_not_there(client):
    make_page(menu="site", published_at=None)

    assert "Old title" not in client.get("/en/updates/").content.decode()


def test_a_page_taken_off_the_site_is_a_draft_and_the_reason_is_kept(editor, client):
    page = make_page()
    press(editor, "_draft", page, title="Next")
    assert editor.post(admin_url(page, "take_off"), {"reason": ""}).status_code == 200
    assert client.get("/en/news/").status_code == 200

    editor.post(admin_url(page, "take_off"), {"reason": "It names somebody"})

    assert client.get("/en/news/").status_code == 404
    entry = StaffAction.objects.get(action=Action.TAKEN_OFF)
    assert (entry.username, entry.about, entry.reason) == ("olga", "page news", "It names somebody")
    assert TextVersion.objects.get(language="en").values["title"] == "Old title"


@pytest.mark.parametrize(("published_at", "is_deleted"), [(None, True), (timezone.now() - timedelta(days=1), False)])
def test_editors_delete_drafts_alone(editor, published_at, is_deleted):
    page = make_page(published_at=published_at)
    draft = {"published_at_0": "", "published_at_1": ""}
    press(editor, "_draft", page, **draft)

    editor.post(admin_url(page, "delete"), {"post": "yes"})

    assert Page.objects.exists() is not is_deleted
    assert Draft.objects.exists() is not is_deleted


# One petition; figures.


def test_there_is_one_petition_and_no_second_can_be_made(make_staff, admin_client, editor):
    make_petition()
    index = reverse("admin:petition_petition_add")

    texts = {"slug": "second", "title": "Second", "demand": "More", "collected_before": "0", "_publish": "1"}
    for client, answer in ((admin_client, (200, True)), (editor, (403, False))):
        assert index not in client.get(reverse("admin:index")).content.decode()
        assert index not in client.get(reverse("admin:petition_petition_changelist")).content.decode()
        form = {**texts, "opened_at_0": "2026-01-01", "opened_at_1": "00:00"}
        told = client.post(index, form, follow=True)
        assert (told.status_code, "This site is about one petition" in told.content.decode()) == answer
    assert Petition.objects.count() == 1


def test_a_figure_says_that_a_newer_one_has_replaced_it_and_what_it_lacks(editor):
    make_figure(published_at=timezone.now() - timedelta(days=9))
    newer = make_figure(number=130, published_at=timezone.now() - timedelta(days=2))
    newer.delete_translation("ru")
    make_figure(number=140, published_at=None)

    html = editor.get(reverse("admin:campaign_figure_changelist")).content.decode()

    told = re.findall(r'class="field-publication">([^<]+)<', html)
    assert sorted(told) == sorted(
        [
            "draft",
            f"replaced on {timezone.now() - timedelta(days=2):%Y-%m-%d} by a newer one",
            "shown; in Russian with its words in English",
        ]
    )


def test_what_a_site_starts_with_is_public_and_editors_keep_their_texts(editor, client):
    call_command("load_campaign", verbosity=0)
    page = Page.objects.get(slug="about")
    press(editor, "_publish", page, title="Ours", body="Our text")

    call_command("load_campaign", verbosity=0)

    html = client.get("/en/about/").content.decode()
    assert "<h1>Ours</h1>" in html
    assert TextVersion.objects.filter(language="en").earliest("pk").username == ""


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_a_browser_asks_before_a_changed_form_is_left(browser, tmp_path, make_staff):
    make_page()
    make_staff("editor", username="olga", password="a long password for a test")
    with server.web(tmp_path / "web.log") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}")
        page = context.new_page()
        asked = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        page.goto(admin_url(Page.objects.get()))
        page.fill("#id_username", "olga")
        page.fill("#id_password", "a long password for a test")
        follow(page, "#id_password", "Enter")
        page.goto("/admin/")
        assert asked == []
        page.go_back()
        page.fill("#id_title", "Typed")

        follow(page, "[name=_tab][value=ru]")
        assert page.input_value("#id_title") == "Старый"
        assert asked == []
        page.fill("#id_title", "Напечатано")
        page.click("text=Pages")
        page.wait_for_selector("#changelist")

        assert asked == ["beforeunload"]
        assert Draft.objects.waiting().exclude(language="").get().values["title"] == "Typed"
        context.close()
