"""What every public answer tells a browser and a cache. The visits cover the URLconf: a new URL fails here first."""

import gzip
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import chain, product

import brotli
import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import OperationalError, ProgrammingError, connection
from django.templatetags.static import static
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from campaign.models import Page, Partner, Update
from petition.links import make
from petition.models import Source, SubscriptionRequest
from petition.models.link import token_digest
from petition.models.signature import this_hour
from tests.conftest import make_petition
from tests.support import links, server

LANGUAGES = ["en", "ru"]

POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
SECURITY = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
}
PUBLIC = {"public", "max-age=0", "s-maxage=3", "stale-while-revalidate=5", "stale-if-error=300"}
DRAWN = {"public", "max-age=3600", "s-maxage=3600", "stale-while-revalidate=86400", "stale-if-error=86400"}
KEPT_FOR_MINUTES = {
    "public", "max-age=300", "s-maxage=300", "stale-while-revalidate=3600", "stale-if-error=86400"
}  # fmt: skip
LIVE = {"public", "max-age=2", "s-maxage=2", "stale-while-revalidate=2", "stale-if-error=300"}


@dataclass(frozen=True)
class Visit:
    """One request, and what is expected of the answer: its status and how long it may be kept (None: not at all)."""

    path: str
    status: int
    keep: frozenset[str] | None = None
    method: str = "GET"
    data: dict = field(default_factory=dict, hash=False)
    headers: dict = field(default_factory=dict, hash=False)
    type: str = "text/html"
    own_resource_policy: str = "same-origin"
    framed: bool = False

    def __str__(self):
        return f"{self.method} {self.path} {self.status}"


def page(path, **values):
    return Visit(path, 200, frozenset(PUBLIC), **values)


def drawn(path, type, **values):
    return Visit(path, 200, frozenset(DRAWN), type=type, **values)


def post(path, status, **data):
    return Visit(path, status, method="POST", data=data)


PETITION = "/{language}/petitions/chechnya"
SHARE = "/{language}/share"
SIGNER = {"email": "anna@example.org", "consent": "on"}

# For each route its answers. `{pending}`, `{used}`, `{disowned}`, `{expired}`, `{withdraw}` and `{gone}` are tokens of
# such links.
VISITS = {
    "start": [Visit("/", 302, type=""), Visit("/", 405, method="POST")],
    "readyz": [Visit("/readyz", 200, type="application/json"), Visit("/readyz", 405, method="POST")],
    "healthz": [Visit("/healthz", 200, type="application/json"), Visit("/healthz", 405, method="POST")],
    "count-json": [
        Visit(
            "/petitions/chechnya/count.json",
            200,
            frozenset(LIVE),
            type="application/json",
            own_resource_policy="cross-origin",
        ),
        Visit("/petitions/nothing/count.json", 404),
        Visit("/petitions/chechnya/count.json", 405, method="DELETE"),
    ],
    # Without a token; what a dashboard with one is told stands in test_dashboard.py.
    "counts-json": [
        Visit("/petitions/chechnya/counts.json", 401, type="application/json"),
        Visit("/petitions/chechnya/counts.json", 405, method="POST"),
    ],
    "open-data-file": [
        *(
            Visit(
                f"/petitions/chechnya/open-data/v1/{name}",
                200,
                frozenset(KEPT_FOR_MINUTES),
                type=type,
                own_resource_policy="cross-origin",
            )
            for name, type in (
                ("days.csv", "text/csv"),
                ("weeks-countries.json", "application/json"),
                ("datapackage.json", "application/json"),
            )
        ),
        Visit("/petitions/chechnya/open-data/v1/hours.csv", 404),
        Visit("/petitions/nothing/open-data/v1/days.csv", 404),
        Visit("/petitions/chechnya/open-data/v1/days.csv", 405, method="POST"),
    ],
    "robots": [page("/robots.txt", type="text/plain"), Visit("/robots.txt", 405, method="POST")],
    "security-txt": [drawn("/.well-known/security.txt", "text/plain")],
    "sitemap": [page("/sitemap.xml", type="application/xml")],
    "dev-mail": [Visit("/dev/mail/", 200)],
    "dev-mail-html": [Visit("/dev/mail/00000000-0000-0000-0000-000000000000/", 404)],
    "campaign:home": [page("/{language}/"), Visit("/{language}/", 405, method="POST")],
    "campaign:page": [page("/{language}/about/"), Visit("/{language}/nothing/", 404)],
    "campaign:open-data": [page("/{language}/open-data/")],
    "campaign:words": [page("/{language}/words/")],
    "campaign:report": [
        page("/{language}/words/{words}/report/"),
        post("/{language}/words/{words}/report/", 303),
        Visit("/{language}/words/{words}/report/", 403, method="POST", headers={"Sec-Fetch-Site": "cross-site"}),
        Visit("/{language}/words/0/report/", 404),
    ],
    "campaign:reported": [page("/{language}/words/reported/")],
    "campaign:updates": [page("/{language}/updates/")],
    "campaign:feed": [page("/{language}/updates/feed.xml", type="application/atom+xml")],
    "campaign:update": [page("/{language}/updates/news/"), Visit("/{language}/updates/nothing/", 404)],
    "campaign:share": [
        page(SHARE + "/"),
        post(SHARE + "/", 200, text="Look", host="mastodon.social"),
        post(SHARE + "/", 422, text=""),
        Visit(SHARE + "/", 403, method="POST", data={"text": "Look"}, headers={"Sec-Fetch-Site": "cross-site"}),
    ],
    "campaign:own-picture": [
        Visit(SHARE + "/words/", 200, method="POST", data={"words": "Look", "size": "1200x630"}, type="image/png"),
        post(SHARE + "/words/", 422, words="", size="1200x630"),
        Visit(SHARE + "/words/", 403, method="POST", data={"words": "Look"}, headers={"Sec-Fetch-Site": "same-site"}),
        Visit(SHARE + "/words/", 405),
    ],
    "campaign:picture": [
        *(
            drawn(f"{SHARE}/picture-{size}.png", "image/png", own_resource_policy="cross-origin")
            for size in ("1200x630", "1080x1080", "1080x1920")
        ),
        Visit(SHARE + "/picture-1x1.png", 404),
        Visit(SHARE + "/picture-1200x630.png", 405, method="POST"),
    ],
    "campaign:picture-as-is": [
        drawn(SHARE + "/picture-1200x630-0123abcd.png", "image/png", own_resource_policy="cross-origin"),
        Visit(SHARE + "/picture-1x1-0123abcd.png", 404),
    ],
    "campaign:picture-of-the-day": [
        drawn(SHARE + "/link-1-0123abcd.png", "image/png", own_resource_policy="cross-origin"),
        Visit(SHARE + "/link-1-0123abcd.png", 405, method="POST"),
    ],
    "campaign:partner-picture": [
        drawn("/{language}/partners/friends-0123abcd.webp", "image/webp"),
        Visit("/{language}/partners/nobody-0123abcd.webp", 404),
    ],
    "campaign:poster": [drawn(SHARE + "/poster-a4.pdf", "application/pdf")],
    "campaign:code-svg": [drawn(SHARE + "/qr.svg", "image/svg+xml")],
    "campaign:code-png": [drawn(SHARE + "/qr.png", "image/png")],
    "icon": [drawn("/favicon.ico", "image/x-icon")],
    "petition:countries": [drawn("/{language}/countries.json", "application/json")],
    "petition:sign": [
        page(PETITION + "/sign/"),
        post(PETITION + "/sign/", 303, **SIGNER),
        post(PETITION + "/sign/", 422),
        post(PETITION + "/sign/", 413, **SIGNER, words="x" * 200_000),
        Visit(PETITION + "/sign/", 403, method="POST", data=SIGNER, headers={"Sec-Fetch-Site": "cross-site"}),
        Visit(PETITION + "/sign/", 405, method="PUT"),
        Visit(PETITION + "/sign/", 405, method="OPTIONS"),
        Visit("/{language}/petitions/closed/sign/", 410),
        post("/{language}/petitions/closed/sign/", 410, **SIGNER),
        Visit("/{language}/petitions/paused/sign/", 503),
        Visit("/{language}/petitions/nothing/sign/", 404),
        Visit(PETITION + "/sign", 301, type=""),
        Visit(PETITION + "/sign/", 400, headers={"Host": "elsewhere.example"}),
    ],
    "petition:check-inbox": [page(PETITION + "/check-inbox/"), Visit(PETITION + "/check-inbox/", 405, method="POST")],
    "petition:confirm-code": [
        page(PETITION + "/confirm-code/"),
        post(PETITION + "/confirm-code/", 422, code="3333-333-333"),
    ],
    "petition:thanks": [page(PETITION + "/thanks/")],
    "petition:disowned": [page(PETITION + "/disowned/")],
    "petition:embed": [
        page(PETITION + "/embed/", own_resource_policy="cross-origin", framed=True),
        Visit("/{language}/petitions/nothing/embed/", 404),
        Visit(PETITION + "/embed/", 405, method="POST"),
    ],
    "petition:withdraw": [
        page(PETITION + "/withdraw/"),
        post(PETITION + "/withdraw/", 303, email="anna@example.org"),
        post(PETITION + "/withdraw/", 422),
    ],
    "petition:withdraw-check-inbox": [page(PETITION + "/withdraw/check-inbox/")],
    "petition:withdrawn": [page(PETITION + "/withdrawn/")],
    "petition:subscribe": [
        page(PETITION + "/subscribe/"),
        post(PETITION + "/subscribe/", 303, **SIGNER),
        post(PETITION + "/subscribe/", 422),
        Visit(PETITION + "/subscribe/", 403, method="POST", data=SIGNER, headers={"Sec-Fetch-Site": "cross-site"}),
        Visit("/{language}/petitions/nothing/subscribe/", 404),
    ],
    "petition:subscribe-check-inbox": [page(PETITION + "/subscribe/check-inbox/")],
    "petition:subscribed": [page(PETITION + "/subscribed/")],
    "petition:unsubscribed": [page(PETITION + "/unsubscribed/")],
    "petition:subscribe-link": [
        Visit("/{language}/subscribe/{updates}/", 200),
        Visit("/{language}/subscribe/{expired}/", 410),
        Visit("/{language}/subscribe/{gone}/", 404),
        Visit("/{language}/subscribe/forged/", 404),
        post("/{language}/subscribe/{updates}/", 303),
        Visit("/{language}/subscribe/{updates}/", 405, method="DELETE"),
    ],
    "petition:subscribe-stuck": [Visit("/{language}/subscribe/{updates}/).", 200)],
    "petition:unsubscribe": [
        Visit("/{language}/unsubscribe/0123456789abcdefghijkl/", 200),
        Visit("/{language}/unsubscribe/forged/", 404),
        post("/{language}/unsubscribe/0123456789abcdefghijkl/", 303),
        post("/{language}/unsubscribe/forged/", 404),
    ],
    "petition:unsubscribe-stuck": [Visit("/{language}/unsubscribe/0123456789abcdefghijkl/).", 200)],
    "petition:confirm-stuck": [Visit("/{language}/confirm/{pending}/).", 200), Visit("/{language}/confirm/x/).", 404)],
    "petition:withdraw-stuck": [Visit("/{language}/withdraw/{withdraw}/).", 200)],
    "petition:confirm": [
        Visit("/{language}/confirm/{pending}/", 200),
        Visit("/{language}/confirm/{used}/", 200),
        Visit("/{language}/confirm/{expired}/", 410),
        Visit("/{language}/confirm/forged/", 404),
        Visit("/{language}/confirm/{gone}/", 410),
        post("/{language}/confirm/{used}/", 303),
        post("/{language}/confirm/{pending}/", 200, ask_not_me="1"),
        post("/{language}/confirm/{disowned}/", 303, not_me="1"),
        post("/{language}/confirm/{gone}/", 410),
        post("/{language}/confirm/{expired}/", 410),
        Visit("/{language}/confirm/{pending}/", 405, method="DELETE"),
    ],
    "petition:withdraw-link": [
        Visit("/{language}/withdraw/{withdraw}/", 200),
        Visit("/{language}/withdraw/{gone}/", 200),
        Visit("/{language}/withdraw/{expired}/", 410),
        Visit("/{language}/withdraw/forged/", 404),
        post("/{language}/withdraw/{withdraw}/", 200, ask="1"),
        post("/{language}/withdraw/{withdraw}/", 303),
        post("/{language}/withdraw/{gone}/", 303),
        post("/{language}/withdraw/{expired}/", 410),
        post("/{language}/withdraw/forged/", 404),
    ],
}
ALL = list(chain.from_iterable(VISITS.values()))
# Answers to no route, and those that need something broken, stand in tests of their own.
NOWHERE = [Visit("/nowhere", 404), Visit("/{language}/no/where", 404), Visit("/static/nothing.css", 404)]


def routes(patterns, namespace=""):
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield f"{namespace}{pattern.name}"
        else:
            yield from routes(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)


def updates_token():
    token = make().token
    SubscriptionRequest.objects.create(token_digest=token_digest(token), box=b"box", leave_digest=b"digest")
    return token


@pytest.fixture
def tokens(petition, make_signature, list_key):
    """Links in each of their states; their petition stands beside a closed and a paused one."""
    now = timezone.now()
    make_petition(slug="closed", closed_at=now - timedelta(days=2))
    make_petition(slug="paused", paused_at=now)
    for slug in ("home", "about", "what-happened", "privacy"):
        Page.objects.language("en").create(slug=slug, title=slug, body="Some *text*, [a link](https://example.org).")
    Update.objects.language("en").create(slug="news", title="News", description="New", body="Some *text*.")
    friends = Source.objects.create(slug="friends", title="The Friends")
    Partner.objects.language("en").create(source=friends, text="Sign", picture=b"RIFF" + b"x" * 300)
    hour = this_hour()
    words = make_signature(confirmed=True, words="With you", approved_at=hour)
    pending, disowned, used, expired = (
        make_signature(),
        make_signature(),
        make_signature(confirmed=True),
        make_signature(created_at=now.replace(minute=0, second=0, microsecond=0) - timedelta(days=30)),
    )
    return {
        "words": words.pk,
        "pending": links.token(pending),
        "used": links.token(used),
        "expired": links.token(expired),
        "disowned": links.token(disowned),
        "withdraw": links.withdraw_token(petition, "anna@example.org"),
        "gone": make().token,
        "updates": updates_token(),
    }


@pytest.fixture
def answer(tokens):
    """Make a visit; a failure of ours is an answer too."""

    def make(visit, language="en", client=None, **headers):
        client = client or Client(raise_request_exception=False)
        path = visit.path.format(language=language, **tokens)
        send = getattr(client, visit.method.lower())
        return send(path, visit.data or None, headers={**visit.headers, **headers})

    return make


def policy_of(response):
    directives = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))
    return {name: value for name, _space, value in directives if name}


def kept(response):
    return {part.strip() for part in response["Cache-Control"].split(",")}


def check_security(response, own_resource_policy="same-origin", framed=False):
    assert policy_of(response) == {**POLICY, "frame-ancestors": "*" if framed else "'none'"}
    expected = {**SECURITY, "Cross-Origin-Resource-Policy": own_resource_policy}
    assert {name: response.headers.get(name) for name in expected} == expected
    assert not response.cookies
    assert "Set-Cookie" not in response.headers
    assert response.headers.get("Vary", "Accept-Encoding") == "Accept-Encoding"
    assert {"Server", "X-Powered-By"}.isdisjoint(response.headers)


class Strict(HTMLParser):
    """Collects what the policy forbids, and what would be loaded from somebody else."""

    def __init__(self, html):
        super().__init__()
        self.faults, self.language = [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "html":
            self.language = values["lang"]
        if tag in ("style", "base", "iframe", "object", "embed") or (tag == "script" and not values.get("src")):
            self.faults.append(tag)
        self.faults += [f"{tag} {name}" for name in values if name.startswith("on") or name in ("style", "http-equiv")]
        self.faults += [
            f"{tag} {value}" for value in values.values() if (value or "").strip().lower().startswith("javascript:")
        ]
        loaded = values.get("src") or (values.get("href") if tag == "link" and values.get("rel") in LOADING else "/")
        if not loaded.startswith("/") or loaded.startswith("//"):
            self.faults.append(f"{tag} {loaded}")
        if tag == "form" and not values.get("action", "/").startswith(("/", "")):
            self.faults.append(f"form {values['action']}")


LOADING = ("stylesheet", "icon", "preload", "modulepreload", "manifest", "apple-touch-icon", "prefetch", "preconnect")


def strict(response):
    return Strict(response.content.decode())


def test_every_route_is_visited():
    found = {name for name in routes(get_resolver().url_patterns) if not name.startswith("admin:")}

    assert found - set(VISITS) == set()
    assert set(VISITS) - found <= {"dev-mail", "dev-mail-html"}, "a visit leads nowhere"


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("visit", [*ALL, *NOWHERE], ids=str)
def test_every_answer_carries_the_headers_and_no_inline_code(answer, visit, language):
    response = answer(visit, language)

    assert response.status_code == visit.status
    check_security(response, visit.own_resource_policy, visit.framed)
    assert response.headers.get("Content-Type", "").partition(";")[0] == (visit.type or "text/html")
    if visit.keep:
        assert kept(response) == visit.keep
        assert response["ETag"]
    elif visit.status != 301:
        assert "no-store" in kept(response)
    if visit.type == "text/html" and response.content:
        page = strict(response)
        assert page.faults == []
        if "{language}" in visit.path:
            assert (page.language, response["Content-Language"]) == (language, language)


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("visit", [visit for visit in ALL if visit.method == "GET"], ids=str)
def test_head_gets_the_headers_without_the_body(answer, visit, language):
    response = answer(visit, language)
    head = answer(replace(visit, method="HEAD"), language)

    assert (head.status_code, head.content) == (response.status_code, b"")
    # A tag is made of the body, and a time may have passed on.
    assert {**response.headers, "ETag": "", "Expires": ""} == {**head.headers, "ETag": "", "Expires": ""}


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("visit", [visit for visit in ALL if visit.keep], ids=str)
class TestWhatMayBeKept:
    def test_is_the_same_when_nothing_changed(self, answer, visit, language):
        first = answer(visit, language)
        second = answer(visit, language, If_None_Match=first["ETag"])

        assert (second.status_code, second.content) == (304, b"")
        assert second["ETag"] == first["ETag"]
        assert kept(second) == visit.keep
        # Not said again: it would replace what the browser holds.
        check_security(second, None, visit.framed)

    def test_is_the_same_for_everyone(self, answer, visit, language, django_user_model):
        first = answer(visit, language)
        staff = Client()
        staff.force_login(User.objects.create_superuser("staff"))
        for client, headers in [
            (staff, {}),
            (None, {"Accept-Language": "ru"}),
            (None, {"Cookie": "sessionid=x; csrftoken=y; django_language=ru; messages=z"}),
            (None, {"User-Agent": "curl", "Referer": "https://example.org/", "X-Forwarded-For": "192.0.2.1"}),
        ]:
            other = answer(visit, language, client, **headers)
            # The time of reading is the one thing that may differ.
            assert without_time(other) == without_time(first)
            check_security(other, visit.own_resource_policy, visit.framed)

    @pytest.mark.parametrize(
        ("accepted", "coding", "unpack"), [("gzip", "gzip", gzip.decompress), ("gzip, br", "br", brotli.decompress)]
    )
    def test_is_compressed_when_asked(self, answer, visit, language, accepted, coding, unpack):
        plain = answer(visit, language)
        packed = answer(visit, language, Accept_Encoding=accepted)

        if visit.type == "image/x-icon" or 200 <= len(plain.content) < 300:
            return  # hardly smaller, and the length of what is compressed is drawn by lot
        if len(plain.content) < 200:
            assert "Content-Encoding" not in packed.headers  # smaller as it is
            return
        assert packed["Content-Encoding"] == coding
        assert packed["Vary"] == "Accept-Encoding"
        assert unpack(packed.content) == plain.content
        assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content)
        again = answer(visit, language, Accept_Encoding=accepted, If_None_Match=packed["ETag"])
        assert (again.status_code, again.content) == (304, b"")


def without_time(response):
    said = response.json() if "json" in response["Content-Type"] else response.content
    return said | {"as_of": ""} if isinstance(said, dict) else said


# The live number.


@pytest.fixture
def count(client, petition):
    def read(**headers):
        return client.get("/petitions/chechnya/count.json", headers=headers)

    return read


@pytest.mark.django_db
class TestCount:
    def test_is_what_the_design_says(self, count, make_signature):
        make_signature(confirmed=True)
        make_signature()

        body = count().json()

        assert list(body) == ["petition", "total", "collected_before", "confirmed_here", "goal", "as_of"]
        assert (body["petition"], body["total"]) == ("chechnya", 150_001)
        assert (body["collected_before"], body["confirmed_here"], body["goal"]) == (150_000, 1, 175_000)
        as_of = timezone.datetime.fromisoformat(body["as_of"])
        assert abs(as_of - timezone.now()) < timedelta(minutes=1)
        assert as_of.utcoffset() == timedelta(0)

    def test_may_be_read_by_any_site(self, count):
        assert count()["Access-Control-Allow-Origin"] == "*"
        assert count()["Cross-Origin-Resource-Policy"] == "cross-origin"

    def test_has_a_weak_tag_made_of_the_numbers(self, count, make_signature, petition):
        first = count()
        assert first["ETag"].startswith('W/"')
        assert "150000" in first["ETag"]
        assert count()["ETag"] == first["ETag"]
        assert count(If_None_Match=first["ETag"]).status_code == 304

        make_signature()
        assert count(If_None_Match=first["ETag"]).status_code == 304

        make_signature(confirmed=True)
        second = count(If_None_Match=first["ETag"])
        assert (second.status_code, second.json()["confirmed_here"]) == (200, 1)

        petition.goal = 200_000
        petition.save()
        assert count(If_None_Match=second["ETag"]).json()["goal"] == 200_000

    def test_has_no_language(self, count):
        assert count(Accept_Language="ru").content[:40] == count(Accept_Language="en").content[:40]
        assert "Vary" not in count(Accept_Language="ru").headers


# What is broken or away.


@pytest.fixture
def broken_database(petition):
    """Have the database answer every query with an error of this kind."""

    def fail(error):
        def wrapper(execute, sql, params, many, context):
            raise error("anna@example.org")

        return connection.execute_wrapper(wrapper)

    return fail


@pytest.mark.django_db
@pytest.mark.parametrize(("error", "status"), [(OperationalError, 503), (ProgrammingError, 500)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failure_has_a_page_with_the_headers(broken_database, error, status, language):
    client = Client(raise_request_exception=False)
    with broken_database(error):
        response = client.get(f"/{language}/")

    assert response.status_code == status
    check_security(response)
    assert "no-store" in kept(response)
    assert ("Retry-After" in response.headers) == (status == 503)
    assert strict(response).faults == []
    assert strict(response).language == language
    assert "anna" not in response.content.decode()


@pytest.mark.django_db
def test_the_page_over_the_limit_has_the_headers(client, petition, settings):
    settings.BURST_PER_NETWORK = "1/h"
    client.post("/en/petitions/chechnya/sign/", {})
    response = client.post("/en/petitions/chechnya/sign/", {})

    assert response.status_code == 429
    check_security(response)
    assert "no-store" in kept(response)
    assert strict(response).faults == []


# Where the site stands.


@pytest.mark.django_db
class TestDeployed:
    @pytest.fixture(autouse=True)
    def _deployed(self, settings):
        settings.SITE_URL = "https://example.org"
        settings.SECURE_HSTS_SECONDS = 31_536_000
        settings.ONION_URL = "http://abc.onion"

    @pytest.mark.parametrize("visit", ALL, ids=str)
    def test_everything_asks_for_https_and_names_the_onion(self, answer, visit, tokens):
        response = answer(visit)

        assert response.status_code == visit.status
        assert response["Strict-Transport-Security"] == "max-age=31536000"
        assert response["Onion-Location"] == "http://abc.onion" + visit.path.format(language="en", **tokens)

    @pytest.mark.parametrize("path", ["/en/%0d%0aSet-Cookie:%20a=b/", "/en/путь/", "/en/%ff/", "/en/a b?q=1", "/%00"])
    def test_the_onion_address_is_one_header_whatever_the_path(self, client, petition, path):
        response = client.get(path)

        assert response.status_code == 404
        assert response["Onion-Location"].startswith("http://abc.onion/")
        assert response["Onion-Location"].isascii()
        assert response["Onion-Location"].isprintable()
        assert " " not in response["Onion-Location"]

    def test_static_files_do_too(self, client):
        response = client.get(static("site.css"))

        assert response["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.django_db
def test_without_https_and_onion_there_is_no_such_header(client, petition):
    response = client.get("/en/petitions/chechnya/thanks/")

    assert {"Strict-Transport-Security", "Onion-Location"}.isdisjoint(response.headers)


# Static files.


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["site.css", "site.js", "favicon.svg", "admin/css/base.css"])
class TestStaticFiles:
    def test_carry_the_headers(self, client, name):
        response = client.get(static(name))

        assert response.status_code == 200
        check_security(response)
        assert "Access-Control-Allow-Origin" not in response.headers

    def test_are_kept_for_good_because_their_name_changes(self, client, name):
        response = client.get(static(name))

        assert static(name) != f"/static/{name}"
        assert {"public", "immutable"} <= kept(response)

    def test_are_the_same_when_nothing_changed(self, client, name):
        first = client.get(static(name))
        second = client.get(static(name), headers={"If-None-Match": first["ETag"]})

        assert second.status_code == 304
        check_security(second, None)


@pytest.mark.django_db
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_static_files_are_sent_compressed(client, coding):
    response = client.get(static("site.css"), headers={"Accept-Encoding": coding})

    assert response["Content-Encoding"] == coding
    check_security(response)


def test_no_stylesheet_or_script_loads_from_elsewhere():
    for name in ("site.css", "site.js"):
        with staticfiles_storage.open(staticfiles_storage.stored_name(name)) as file:
            text = file.read().decode()
        assert "@import" not in text
        assert not [line for line in text.splitlines() if "//" in line and "http" in line and "www.w3.org" not in line]


# Staff.


ADMIN_PAGES = [
    "/admin/",
    "/admin/petition/petition/",
    "/admin/petition/papersheets/add/",
    "/admin/petition/petition/{petition}/change/",
    "/admin/petition/staffaction/",
    "/admin/petition/signature/",
    "/admin/petition/signature/{signature}/change/",
    "/admin/petition/outgoingmail/",
    "/admin/petition/source/add/",
    "/admin/campaign/page/",
    "/admin/campaign/page/add/",
    "/admin/auth/user/",
    "/admin/auth/user/{user}/change/",
    "/admin/password_change/",
    "/admin/second-factor/set-up/",
    "/admin/auth/user/{user}/password/",
]


@pytest.fixture
def staff(db):
    client = Client()
    client.force_login(User.objects.create_superuser("staff", password="a long enough password"))
    return client


@pytest.mark.django_db
class TestAdmin:
    @pytest.fixture(autouse=True)
    def _path(self, settings):
        if settings.ADMIN_PATH != "admin":
            pytest.skip("the pages below stand at /admin/")

    @pytest.mark.parametrize("path", ADMIN_PAGES)
    def test_every_page_keeps_the_policy(self, staff, make_signature, path):
        signature = make_signature(confirmed=True)
        path = path.format(petition=signature.petition_id, signature=signature.pk, user=User.objects.get().pk)

        response = staff.get(path)

        assert response.status_code == 200
        assert policy_of(response) == POLICY
        assert response["Referrer-Policy"] == "same-origin"
        assert {"no-store", "private"} <= kept(response)
        assert strict(response).faults == []

    def test_asks_strangers_to_log_in(self, client):
        response = client.get("/admin/petition/signature/", follow=True)

        assert response.redirect_chain == [("/admin/login/?next=/admin/petition/signature/", 302)]
        assert response["Referrer-Policy"] == "same-origin"
        assert strict(response).faults == []

    def test_cookies_stay_under_its_path(self, client, settings):
        User.objects.create_superuser("staff", password="a long enough password")
        client.get("/admin/login/")
        client.post("/admin/login/?next=/admin/", {"username": "staff", "password": "a long enough password"})

        assert set(client.cookies) == {settings.CSRF_COOKIE_NAME, settings.SESSION_COOKIE_NAME}
        for cookie in client.cookies.values():
            assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/admin/", "Strict", True)

    def test_a_wrong_token_has_a_page_of_ours(self):
        client = Client(enforce_csrf_checks=True)
        response = client.post("/admin/login/", {"username": "staff", "password": "x"})

        assert response.status_code == 403
        assert policy_of(response) == POLICY
        assert strict(response).faults == []

    def test_has_no_onion_location(self, client, settings):
        settings.ONION_URL = "http://abc.onion"

        assert "Onion-Location" not in client.get("/admin/login/").headers


# The same over a real connection, since a server adds and removes headers too.


@pytest.mark.django_db(transaction=True)
def test_a_real_server_sends_them(tmp_path, tokens):
    visits = [visit for visit in ALL if not visit.headers and visit.status != 413]
    with server.web(tmp_path / "web.log", RATE_PER_NETWORK="0", BURST_PER_NETWORK="0") as port:
        for visit, language in product(visits, LANGUAGES):
            path = visit.path.format(language=language, **tokens)
            response = server.fetch(port, visit.method, path, visit.data)

            assert response.status_code == visit.status, visit
            check_security(response, visit.own_resource_policy, visit.framed)
            assert response.get("Content-Type", "").partition(";")[0] == (visit.type or "text/html")
            assert visit.keep is None or kept(response) == visit.keep
            if visit.method == "GET":
                head = server.fetch(port, "HEAD", path)
                assert (head.status_code, head.content) == (response.status_code, b"")
                said_of_a_body = {"etag", "transfer-encoding"}
                assert set(head.headers) - said_of_a_body == set(response.headers) - said_of_a_body, visit
            if visit.keep:
                again = server.fetch(port, "GET", path, headers={"If-None-Match": response["ETag"]})
                assert (again.status_code, again.content) == (304, b"")


@pytest.mark.django_db
@pytest.mark.parametrize("visit", [visit for visit in ALL if visit.keep], ids=str)
def test_what_the_page_cache_gives_out_is_no_different(answer, visit, settings):
    settings.PAGE_CACHE_ENTRIES = 50
    client = Client(raise_request_exception=False)
    first = answer(visit, client=client)
    again = answer(visit, client=client, Cookie="sessionid=x", Accept_Language="ru")
    head = answer(replace(visit, method="HEAD"), client=client)
    packed = [answer(visit, client=client, Accept_Encoding="gzip") for _ in range(2)]
    unchanged = answer(visit, client=client, If_None_Match=first["ETag"])
    refused = answer(visit, client=client, Host="elsewhere.example")

    for response in (first, again, head, *packed):
        assert response.status_code == 200
        assert kept(response) == visit.keep
        check_security(response, visit.own_resource_policy, visit.framed)
    assert without_time(again) == without_time(first)
    assert (head.content, head["Content-Length"]) == (b"", first["Content-Length"])
    assert packed[0].headers.get("Content-Encoding") == packed[1].headers.get("Content-Encoding")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    check_security(unchanged, visit.own_resource_policy, visit.framed)
    assert refused.status_code == 400
    check_security(refused)
    assert strict(refused).language in LANGUAGES
