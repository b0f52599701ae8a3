"""Every page of the site in every state in which somebody can meet it.

Three sources, so that a new page is looked at without being named here: what each route answers (`VISITS`, which has
to know every route), what rows and links of the seeded site lead to, and here what is met more rarely.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import NoReturn, cast
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone, translation
from PIL import Image

from campaign.models import Page, Partner, Testimony
from campaign.share import pictures
from petition import live_settings
from petition.models import OutgoingMail, Petition, Signature, Source, Switches
from petition.models.signature import this_hour
from petition.web import errors
from tests.support import links

TEMPLATES = Path(settings.BASE_DIR) / "templates"
PARTS = ("admin", "dev", "petition/mail", "petition/tags")  # staff, developers, mails, and pieces of pages
LINK = re.compile(r'<a [^>]*?href="([^"#]*)')


def is_page(response: HttpResponse) -> bool:
    return response["Content-Type"].startswith("text/html") and bool(response.content)


def is_error(response: HttpResponse) -> bool:
    """A page that looks the same wherever it is met; `an_error` shows each of them."""
    templates = getattr(response, "templates", [])
    return bool(templates and templates[0].name.startswith("errors/"))


@dataclass
class Scene:
    """All that a state is made of."""

    language: str
    petition: Petition
    make_signature: Callable[..., Signature]
    patch: pytest.MonkeyPatch
    client: Client

    def set(self, **values: object) -> None:
        for name, value in values.items():
            self.patch.setattr(settings, name, value)

    def get(self, path: str, **query: str) -> HttpResponse:
        return cast(HttpResponse, self.client.get(f"/{self.language}/{path}", query))

    def post(self, path: str, **data: str) -> HttpResponse:
        return cast(HttpResponse, self.client.post(f"/{self.language}/{path}", data))

    def of_petition(self, path: str) -> str:
        return f"petitions/{self.petition.slug}/{path}"

    def change_petition(self, **values: object) -> None:
        self.petition.set_current_language(self.language)
        for name, value in values.items():
            setattr(self.petition, name, value)
        self.petition.save()

    def signed(self, **values: object) -> Signature:
        values = {
            "language": self.language,
            "country": "ES",
            **values,
        }
        return self.make_signature(**values)

    def open(self, signature: Signature) -> HttpResponse:
        return self.get(f"confirm/{links.token(signature)}/")

    def withdraw_path(self) -> str:
        return f"withdraw/{links.withdraw_token(self.petition, 'anna@example.org')}/"


State = Callable[[Scene], HttpResponse]
STATES: dict[str, State] = {}


def state(make: State) -> State:
    STATES[make.__name__] = make
    return make


@state
def home_with_everything_on_it(scene: Scene) -> HttpResponse:
    scene.set(DONATE_URL="https://donate.example.org/")
    with translation.override(scene.language):
        said = Switches.objects.get_or_create(pk=1)[0]
        said.banner = "We were attacked today, and all is well."
        said.save()
    live_settings._state = None
    scene.change_petition(addressee="The Chairman of the Investigative Committee")
    write_words(scene.make_signature)
    return scene.get("")


@state
def home_by_the_link_of_a_partner(scene: Scene) -> HttpResponse:
    write_partner(scene.language)
    write_testimony(scene.language)
    scene.change_petition(plan="At 175,000 the number is handed over.\n\nThen we tell here what was answered.")
    return scene.get("", **{"from": "friends"})


@state
def demand_with_what_happens_with_the_number(scene: Scene) -> HttpResponse:
    scene.change_petition(plan="At 175,000 the number is handed over.")
    write_page(scene.language, "demand")
    return scene.get("demand/")


@state
def home_in_a_language_that_nobody_has_read(scene: Scene) -> HttpResponse:
    return cast(HttpResponse, scene.client.get("/de/"))


@state
def donate_without_a_page_for_it(scene: Scene) -> HttpResponse:
    scene.set(DONATE_URL="")
    write_page(scene.language, "donate")
    return scene.get("donate/")


@state
def privacy_without_an_organisation(scene: Scene) -> HttpResponse:
    scene.set(CONTACT_EMAIL="", CONTROLLER="", HOSTING_COUNTRY="")
    write_page(scene.language, "privacy")
    return scene.get("privacy/")


@state
def home_without_a_petition(scene: Scene) -> HttpResponse:
    for rows in (OutgoingMail.objects.all(), Signature.objects.all(), Petition.objects.all()):
        rows.delete()
    return scene.get("")


@state
def home_of_a_closed_petition(scene: Scene) -> HttpResponse:
    scene.change_petition(closed_at=timezone.now() - timedelta(days=1))
    return scene.get("")


@state
def home_of_a_paused_petition(scene: Scene) -> HttpResponse:
    scene.change_petition(paused_at=timezone.now())
    return scene.get("")


@state
def sign_when_closed(scene: Scene) -> HttpResponse:
    scene.change_petition(closed_at=timezone.now() - timedelta(days=1))
    return scene.get(scene.of_petition("sign/"))


@state
def sign_when_paused(scene: Scene) -> HttpResponse:
    scene.change_petition(paused_at=timezone.now(), pause_notice="Back at noon (UTC).")
    return scene.get(scene.of_petition("sign/"))


@state
def sign_with_every_mistake(scene: Scene) -> HttpResponse:
    wrong = {"email": "anna", "name": "=" + "Anna" * 40, "words": "x" * 501, "country": "XX", "shows_name": "on"}
    return scene.post(scene.of_petition("sign/"), **wrong)


@state
def sign_with_a_likely_slip(scene: Scene) -> HttpResponse:
    return scene.post(scene.of_petition("sign/"), email="anna@gmial.com", name="Anna", consent="on")


@state
def confirm_with_words(scene: Scene) -> HttpResponse:
    return scene.open(scene.signed(name="Анна К.", words="Справедливости!"))


@state
def confirm_what_shows_nothing(scene: Scene) -> HttpResponse:
    return scene.open(scene.signed())


@state
def confirm_once_more(scene: Scene) -> HttpResponse:
    return scene.open(scene.signed(confirmed=True))


@state
def confirm_what_was_deleted(scene: Scene) -> HttpResponse:
    signature = scene.signed()
    token = links.token(signature)
    signature.delete()
    return scene.get(f"confirm/{token}/")


@state
def confirm_after_its_week(scene: Scene) -> HttpResponse:
    return scene.open(scene.signed(created_at=this_hour() - timedelta(days=8)))


@state
def confirm_too_late(scene: Scene) -> HttpResponse:
    scene.change_petition(closed_at=timezone.now() - timedelta(days=3))
    return scene.open(scene.signed(name="Анна К.", words="Справедливости!"))


@state
def disown_asks_again(scene: Scene) -> HttpResponse:
    return scene.post(f"confirm/{links.token(scene.signed())}/", ask_not_me="1")


@state
def disowned_with_a_way_back(scene: Scene) -> HttpResponse:
    token = links.token(scene.signed())
    scene.post(f"confirm/{token}/", not_me="1")
    return scene.get(f"confirm/{token}/")


@state
def withdraw_with_a_link(scene: Scene) -> HttpResponse:
    return scene.get(scene.withdraw_path())


@state
def withdraw_asks_again(scene: Scene) -> HttpResponse:
    return scene.post(scene.withdraw_path(), ask="1")


@state
def withdraw_with_a_used_link(scene: Scene) -> HttpResponse:
    path = scene.withdraw_path()
    scene.post(path)
    return scene.get(path)


@state
def withdraw_with_an_old_link(scene: Scene) -> HttpResponse:
    path = scene.withdraw_path()
    scene.set(CONFIRMATION_DAYS=-1)
    return scene.get(path)


@state
def share_from_a_partner_with_a_page_for_donations(scene: Scene) -> HttpResponse:
    scene.set(DONATE_URL="https://donate.example.org/")
    return scene.get("share/")


@state
def share_with_every_mistake(scene: Scene) -> HttpResponse:
    return scene.post("share/", text="", host="no server", mastodon="1")


@state
def own_words_with_every_mistake(scene: Scene) -> HttpResponse:
    return scene.post("share/words/", words="Love ❤", size="1x1")


@state
def own_words_while_many_draw(scene: Scene) -> HttpResponse:
    with pictures.one_at_a_time(), pictures.places:
        return scene.post("share/words/", words="Justice", size="1200x630")


@state
def a_page_in_another_language_only(scene: Scene) -> HttpResponse:
    other = "ru" if scene.language == "en" else "en"
    Page.objects.language(other).create(slug="elsewhere", title="Elsewhere", body="Some *text*.")
    return scene.get("elsewhere/")


@state
def over_the_limit(scene: Scene) -> HttpResponse:
    scene.set(BURST_PER_NETWORK="1/h")
    scene.post(scene.of_petition("sign/"))
    return scene.post(scene.of_petition("sign/"))


@state
def the_database_is_away(scene: Scene) -> HttpResponse:
    def fail(execute: object, sql: object, params: object, many: object, context: object) -> NoReturn:
        raise OperationalError

    with connection.execute_wrapper(fail):
        return scene.get("")


@state
def nginx_alone(scene: Scene) -> HttpResponse:
    return HttpResponse((Path(settings.BASE_DIR) / "deploy" / "away.html").read_bytes())


def an_error(status: int) -> State:
    def show(scene: Scene) -> HttpResponse:
        request = HttpRequest()
        request.path = request.path_info = f"/{scene.language}/nowhere/"
        request.LANGUAGE_CODE = scene.language
        return errors.page(request, status)

    return show


for _template in sorted((TEMPLATES / "errors").glob("[0-9]*.html")):
    STATES[f"error_{_template.stem}"] = an_error(int(_template.stem))


def write_words(make_signature: Callable[..., Signature]) -> None:
    """Words of support in several scripts, and of every length."""
    approved = {"confirmed": True, "approved_at": this_hour()}
    make_signature(**approved, name="Анна К.", words="Справедливости!", language="ru", country="GE")
    make_signature(**approved, name="", words="Wir stehen zu euch.", language="de", country="DE")
    make_signature(**approved, name="أمل", words="العدالة للجميع", language="ar")
    make_signature(**approved, name="W" * 100, words="Long. " * 83, language="en", country="GS")


def write_page(language: str, slug: str) -> None:
    Page.objects.filter(slug=slug).delete()
    Page.objects.language(language).create(slug=slug, title=slug, body="Text.")


def write_partner(language: str) -> Partner:
    source, _is_new = Source.objects.get_or_create(slug="friends", defaults={"title": "The Friends"})
    drawn = BytesIO()
    Image.new("RGB", (480, 240), "#336699").save(drawn, "WEBP")
    Partner.objects.filter(source=source).delete()
    partner: Partner = Partner.objects.language(language).create(
        source=source, text="We sign, and ask **you** to sign.", picture=drawn.getvalue(), picture_alt="Two hands"
    )
    return partner


def write_testimony(language: str) -> None:
    Testimony.objects.language(language).create(
        slug="one",
        words="They came at night.",
        told_by="A survivor, 2017",
        source="A paper",
        source_url="https://a.example/",
    )


# The seeded site.


def seed(make_signature: Callable[..., Signature]) -> None:
    call_command("load_campaign")
    # The site is about the one that was opened last.
    Petition.objects.exclude(slug="chechnya").update(opened_at=timezone.now() - timedelta(days=2))
    write_words(make_signature)


def routes_with_rows() -> Iterator[tuple[str, type[Model]]]:
    """Routes that show the row of a model by its short name: `page` those of Page."""
    for pattern in get_resolver("campaign.urls").url_patterns:
        if isinstance(pattern, URLPattern) and pattern.name and "slug" in pattern.pattern.converters:
            yield pattern.name, apps.get_model("campaign", pattern.name)


def seeded(client: Client, language: str) -> dict[str, HttpResponse]:
    """Pages of the seeded site by path: its rows, and wherever links lead from there.

    Of pages that differ by a number alone only the first.
    """
    with translation.override(language):
        waiting = [reverse("campaign:home")]
        for name, model in routes_with_rows():
            slugs = model._default_manager.values_list("slug", flat=True)
            waiting += [reverse(f"campaign:{name}", args=[slug]) for slug in slugs]
    found: dict[str, HttpResponse] = {}
    kinds = set()
    while waiting:
        path = waiting.pop()
        kind = re.sub(r"/\d+/", "/0/", path)
        if kind in kinds or "." in path.rpartition("/")[2]:
            continue  # the latter is a file
        kinds.add(kind)
        response = found[path] = cast(HttpResponse, client.get(path))
        if response.status_code == 200 and is_page(response):
            links = [unescape(link) for link in LINK.findall(response.content.decode())]
            waiting += [link for link in links if link.startswith(f"/{language}/")]
    # Some rows are part of another page, and have no address of their own.
    return {path: response for path, response in found.items() if response.status_code == 200 and is_page(response)}


def whole_pages() -> Iterator[str]:
    """The templates that are a page of their own."""
    for path in TEMPLATES.rglob("*.html"):
        name = str(path.relative_to(TEMPLATES))
        if not name.startswith(PARTS) and path.read_text().startswith("{% extends "):
            yield name


def path_of(response: HttpResponse, language: str) -> str:
    return urlsplit(response.request["PATH_INFO"]).path if hasattr(response, "request") else f"/{language}/nowhere/"
