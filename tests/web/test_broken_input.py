"""Whatever arrives is answered with a clear refusal, never with a failure of ours, and nothing of it is stored."""

import socket
import time
from contextlib import closing

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaign.models import Page
from petition.models import AddressMark, Link, OutgoingMail, Signature
from tests.support import links, server

SIGN = "/en/petitions/chechnya/sign/"
FORMS = [
    SIGN,
    "/ru/petitions/chechnya/sign/",
    "/en/petitions/chechnya/confirm-code/",
    "/en/petitions/chechnya/withdraw/",
    "/en/petitions/chechnya/subscribe/",
]
SHARING = ["/en/share/", "/ru/share/words/"]
LINKS = ["/en/confirm/forged/", "/ru/withdraw/forged/", "/en/subscribe/forged/", "/ru/unsubscribe/forged/"]
PAGES = [
    "/",
    "/healthz",
    "/readyz",
    "/petitions/chechnya/count.json",
    "/en/",
    "/ru/about/",
    "/en/petitions/chechnya/check-inbox/",
    "/en/petitions/chechnya/thanks/",
    "/en/petitions/chechnya/disowned/",
    "/en/petitions/chechnya/withdraw/check-inbox/",
    "/en/petitions/chechnya/withdrawn/",
    "/en/petitions/chechnya/subscribe/check-inbox/",
    "/en/petitions/chechnya/subscribed/",
    "/en/petitions/chechnya/unsubscribed/",
    "/en/share/picture-1200x630.png",
]
EVERYWHERE = [*FORMS, *SHARING, *LINKS, *PAGES, "/nowhere"]
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
VALID = b"email=anna@example.org&consent=on&website="


@pytest.fixture(autouse=True)
def _no_limits(settings, list_key):
    # Or most answers below would be 429.
    settings.RATE_PER_NETWORK = settings.BURST_PER_NETWORK = "0"
    settings.CODE_TRIES = settings.CODE_ERRORS = "1000000/h"


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def site(petition):
    for slug in ("home", "about"):
        Page.objects.language("en").create(slug=slug, title=slug, body="text")
    return petition


@pytest.fixture
def refused(site):
    """Check that an answer is a designed refusal, and that nothing was stored."""

    def check(response, *statuses):
        assert 400 <= response.status_code < 500, response.status_code
        assert not statuses or response.status_code in statuses, response.status_code
        assert "<h1" in response.content.decode()
        assert "</html>" in response.content.decode()
        assert stored() == 0

    return check


def stored():
    return sum(model.objects.count() for model in (Signature, Link, OutgoingMail, AddressMark))


pytestmark = pytest.mark.django_db


# What is typed.

RUBBISH = [
    b"%00",
    b"anna%00@example.org",
    b"%ff%fe",
    b"%ED%A0%80",  # half of a surrogate pair
    b"anna@%ED%A0%80.org",
    b"%EF%BF%BD@example.org",
    b"anna@example.org%0d%0aBcc:%20all@example.org",
    b"anna@" + b"%CC%81" * 3_000,
    b"%F0%9F%91%A9%E2%80%8D" * 900,
    b"anna@" + b"a." * 10_000 + b"org",
    b"x" * 90_000,
    b"anna@example.org,olga@example.org",
    b"%22anna%22%40%5B127.0.0.1%5D%00",
    b"@",
    b"",
    b"%",
    b"%zz",
    b"%E2%80%AEanna",
]


@pytest.mark.parametrize("value", RUBBISH, ids=range(len(RUBBISH)))
def test_a_broken_address_is_refused(client, refused, value):
    for path in FORMS:
        refused(client.post(path, b"email=" + value + b"&consent=on&code=3333-3333", content_type=FORM), 422)


@pytest.mark.parametrize("field", ["name", "words", "country"])
@pytest.mark.parametrize("value", [b"%00", b"%ff", b"%ED%A0%80", b"x" * 90_000, b"%07", b"%F3%A0%80%80"])
def test_a_broken_answer_is_refused(client, refused, field, value):
    body = b"email=anna@example.org&consent=on&%s=%s" % (field.encode(), value)

    refused(client.post(SIGN, body, content_type=FORM), 422)


@pytest.mark.parametrize("value", [value for value in RUBBISH if value not in (b"@", b"%", b"%zz")])
def test_broken_words_are_refused_or_shown_as_they_are(client, site, value):
    for path in SHARING:
        body = b"size=1080x1080&suggestion=%s&source=%s&text=%s&words=%s&host=%s" % ((value,) * 5)

        assert client.post(path, body, content_type=FORM).status_code in (200, 413, 422)
        assert stored() == 0


@pytest.mark.parametrize("field", ["source", "email_as_typed"])
@pytest.mark.parametrize("value", [b"%00", b"%ff", b"%ED%A0%80", b"x" * 90_000])
def test_a_broken_hidden_field_breaks_nothing(client, site, field, value):
    response = client.post(SIGN, VALID + b"&%s=%s" % (field.encode(), value), content_type=FORM)

    assert response.status_code in (303, 422)
    # The signature, its link and its mail.
    assert stored() == (3 if response.status_code == 303 else 0)
    assert not Signature.objects.exclude(source="").exists()


def test_a_field_sent_twice_counts_once(client, site):
    client.post(SIGN, VALID + b"&email=olga@example.org&consent=", content_type=FORM)

    assert Signature.objects.count() <= 1


# How it is sent.


def test_ten_megabytes_are_too_much(client, refused):
    for path in EVERYWHERE:
        refused(client.post(path, b"email=" + b"x" * 10_000_000, content_type=FORM), 413)


@pytest.mark.parametrize("body", [b"a&" * 20_000, b"&" * 90_000, b"a=1&" * 20_000, VALID + b"&a=" * 1_100])
def test_twenty_thousand_fields_are_too_many(client, refused, body):
    for path in FORMS:
        refused(client.post(path, body, content_type=FORM), 400, 422)


@pytest.mark.parametrize("path", ["/en/", SIGN, *PAGES])
def test_twenty_thousand_parameters_break_nothing(client, site, path):
    response = client.get(f"{path}?" + "a=1&" * 20_000)

    assert response.status_code < 500
    assert stored() == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain",
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=ж",
        "multipart/form-data; boundary=" + "x" * 5_000,
        "multipart/mixed; boundary=x",
        ";;;",
        "x" * 50_000,
        "application/x-www-form-urlencoded, text/html",
        "\x00",
    ],
)
def test_another_content_type_is_no_form(client, refused, content_type):
    for path in [*FORMS, *SHARING]:
        refused(client.generic("POST", path, VALID + b"&code=3333-3333", content_type=content_type), 400, 422)


CHARSETS = [
    "utf-16",
    "utf-7",
    "utf-32",
    "base64",
    "zlib",
    "rot13",
    "idna",
    "punycode",
    "unicode_escape",
    "cp1251",
    "bogus",
    "ж",
]


@pytest.mark.parametrize("charset", CHARSETS)
def test_another_charset_is_refused(client, refused, charset):
    parts = multipart({"email": b"anna@+2AA-.org", "consent": b"on", "name": b"+2AA-", "code": b"x"})
    for path in FORMS:
        refused(client.generic("POST", path, VALID, content_type=f"{FORM}; charset={charset}"), 400)
        refused(client.generic("POST", path, parts, content_type=f"{MULTIPART}; charset={charset}"), 400)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"'])
def test_our_own_charset_is_taken(client, site, charset):
    response = client.generic("POST", SIGN, VALID, content_type=f"{FORM}; charset={charset}")

    assert response.status_code == 303


def multipart(fields):
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), v) for n, v in fields.items()
    ]
    return b"".join(parts) + b"--x--\r\n"


def part(head, body=b"x"):
    return multipart({"consent": b"on"})[:-5] + b"\r\n--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--",
        b"rubbish",
        multipart({"email": b"anna@example.org"})[:40],
        part(b'Content-Disposition: form-data; name="email"; filename="a.txt"', b"anna@example.org"),
        part(b'Content-Disposition: form-data; name="email"; filename="\x00"', b"\x00" * 1_000),
        part(b"Content-Disposition: form-data; name*=bogus''email", b"anna@example.org"),
        part(b"Content-Disposition: form-data; name*=utf-7''%2B2AA-", b"anna@example.org"),
        part(b"Content-Disposition: form-data; name*=base64''email", b"anna"),
        part(b"Content-Disposition: form-data; name*99999999999999999999=email"),
        part(b"Content-Disposition: form-data; name*=x'y'z'w"),
        part(b'Content-Disposition: form-data; name="email"\r\nContent-Transfer-Encoding: base64', b"!!!"),
        part(b'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Transfer-Encoding: base64', b"!!!"),
        part(
            b'Content-Disposition: form-data; name="email"\r\nContent-Type: text/plain; charset=utf-7', b"+2AA-@b.org"
        ),
        part(b"Content-Disposition: \xff\xfe"),
        part(b"X: " + b"x" * 20_000),
        multipart({f"f{number}": b"" for number in range(1_500)}),
        b"".join(b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n\r\n' for _ in range(300))
        + b"--x--",
    ],
    ids=range(19),
)
def test_a_malformed_multipart_form_is_refused(client, refused, body):
    for path in [*FORMS, *SHARING]:
        refused(client.generic("POST", path, body, content_type=MULTIPART), 400, 422)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "FOO"])
def test_another_method_is_refused_and_told_which_are_allowed(client, refused, method):
    for path in [*FORMS, *LINKS, *PAGES]:
        response = client.generic(method, path, VALID, content_type=FORM)

        refused(response, 405)
        assert "GET" in response["Allow"]


def test_a_page_takes_no_form(client, refused):
    for path in PAGES:
        refused(client.post(path, VALID, content_type=FORM), 405)


def test_a_real_link_is_safe_from_other_methods(client, site, make_signature):
    signature = make_signature()
    make_signature(email="anna@example.org", confirmed=True)
    for path in (
        reverse("petition:confirm", args=[links.token(signature)]),
        reverse("petition:withdraw-link", args=[links.withdraw_token(site, "anna@example.org")]),
    ):
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"):
            client.generic(method, path, b"not_me=1", content_type=FORM)

    assert (Signature.objects.pending().count(), Signature.objects.counted().count()) == (1, 1)


# Where it is sent.

STRANGE_PATHS = [
    "/%00",
    "/%ff%fe",
    "/en/%00/",
    "/en/%ff/",
    "/en/%ED%A0%80/",
    "/en/%E2%80%AE/",
    "/en/about%0a/",
    "/en/about%0d%0aSet-Cookie:%20a=b/",
    "/en/%0d%0a",
    "/en/путь/",
    "/en/" + "x" * 100_000 + "/",
    "/en/confirm/%00/",
    "/en/confirm/%ff%fe/",
    "/en/confirm/" + "x." * 20_000 + "/",
    "/en/confirm/1.1.1.AAAA.AAAA/",
    "/en/confirm/...../",
    "/en/withdraw/%00/",
    "/en/withdraw/1.AAAA.1r2dZ7.AAAA/",
    "/en/withdraw/" + "::" * 9_000 + "/",
    "/en/petitions/%00/sign/",
    "/en/petitions/%ff/sign/",
    "/en/petitions/" + "x" * 50_000 + "/sign/",
    "/en/share/picture-%00.png",
    "/en/share/picture-" + "x" * 20_000 + ".png",
    "/petitions/%00/count.json",
    "/petitions/nothing/count.json",
    "/en/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../config/settings.py",
    "/static/%2e%2e/%2e%2e/config/settings.py",
    "/static/%00",
    "/static/%ff.css",
    "/static/" + "x" * 5_000,
    "/static/",
    "//evil.example/%2f..",
    "/zz/",
    "/EN/",
    "/.env",
    "/admin/%00/",
    "/admin/petition/signature/%00/",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_strange_path_leads_nowhere(client, site, method):
    for path in STRANGE_PATHS:
        response = client.generic(method, path, VALID if method == "POST" else b"", content_type=FORM)

        # A redirect only to a path of ours: to the login, or with the slash that was left out.
        if response.status_code in (301, 302):
            assert response["Location"].startswith("/")
            assert not response["Location"].startswith("//")
        else:
            assert response.status_code in (400, 403, 404, 405), response.status_code
            assert "<h1" in response.content.decode()
    assert stored() == 0


@pytest.mark.parametrize(
    "query",
    [
        "from=%00",
        "from=%ff",
        "from=%ED%A0%80",
        "page=-1",
        "page=%00",
        "from=" + "x" * 30_000,
        "%",
        "&&&=",
        "=",
        "from[]=x",
        "%00",
    ],
)
def test_a_strange_query_breaks_nothing(client, site, query):
    for path in [SIGN, *PAGES]:
        assert client.get(f"{path}?{query}").status_code < 500, path


@pytest.mark.parametrize(
    "host",
    [
        "",
        "elsewhere.example",
        "a b",
        "[",
        "[::1",
        "ж",
        "127.0.0.1:x",
        "\x00",
        "x" * 5_000,
        "testserver\r\nX: y",
        "evil.example:80@testserver",
    ],
)
def test_another_host_is_refused(client, refused, host):
    for path in [SIGN, "/en/", "/ru/about/", "/nowhere", "/admin/login/"]:
        refused(client.get(path, HTTP_HOST=host), 400)
        refused(client.post(path, VALID, content_type=FORM, HTTP_HOST=host), 400)


HEADERS = [
    "Accept-Language",
    "Accept-Encoding",
    "Cookie",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Match",
    "Range",
    "Referer",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "Forwarded",
    "Origin",
    "Sec-Fetch-Site",
    "Authorization",
    "Content-Encoding",
    "X-HTTP-Method-Override",
    "Traceparent",
]
STRANGE_VALUES = [
    "",
    "\x00",
    "\xd0\xb6",
    "\xff",
    "x" * 100_000,
    ",;=\"'" * 2_000,
    "*",
    "-1",
    "9" * 5_000,
    "%00",
    "bytes=9-1",
    "en;q=x,ru;q=9e9",
]


@pytest.mark.parametrize("name", HEADERS)
def test_a_strange_header_breaks_nothing(client, site, name):
    for value in STRANGE_VALUES:
        for path in ("/", "/en/", SIGN, "/petitions/chechnya/count.json", "/static/favicon.svg"):
            assert client.get(path, headers={name: value}).status_code < 500, (path, value)
        response = client.post(SIGN, b"email=", content_type=FORM, headers={name: value})
        assert 400 <= response.status_code < 500, value
    assert stored() == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "-99999999999", "1e3", "٣", "0x10", "9" * 5_000, "1.5"])
def test_a_strange_length_is_refused(client, refused, length):
    refused(client.post(SIGN, VALID, content_type=FORM, CONTENT_LENGTH=length))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_refusals_speak_the_language_of_the_page(client, site, language):
    for response in (
        client.put(f"/{language}/about/"),
        client.get(f"/{language}/nothing/"),
        client.post(f"/{language}/about/", b"x" * 200_000, content_type=FORM),
        client.post(f"/{language}/petitions/chechnya/sign/", VALID, content_type=f"{FORM}; charset=utf-7"),
        client.get(f"/{language}/", HTTP_HOST="elsewhere.example"),
    ):
        assert f'<html lang="{language}"' in response.content.decode()
        assert response["Content-Language"] == language


# Anything at all.

anything = hypothesis_settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
some_form = st.sampled_from([*FORMS, *LINKS])
latin = st.text(st.characters(max_codepoint=255), max_size=60)
typed = st.text(st.characters(exclude_categories=()), max_size=80).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
fields = st.dictionaries(
    st.sampled_from(["email", "name", "words", "country", "code", "source", "website", "email_as_typed", "not_me", ""]),
    typed,
)


@anything
@given(
    path=some_form,
    body=st.binary(max_size=500),
    content_type=st.sampled_from([FORM, MULTIPART]),
)
def test_any_bytes_are_refused(client, refused, path, body, content_type):
    refused(client.generic("POST", path, body, content_type=content_type))


@anything
@given(path=some_form, fields=fields)
def test_any_text_is_refused_without_consent_and_code(client, refused, path, fields):
    fields = {name: value for name, value in fields.items() if b"@" not in value}

    refused(client.generic("POST", path, multipart(fields), content_type=MULTIPART))


@anything
@given(path=some_form, content_type=latin)
def test_any_content_type_is_refused(client, refused, path, content_type):
    refused(client.generic("POST", path, b"email=", content_type=content_type))


@anything
@given(path=st.text(max_size=60), method=st.sampled_from(["GET", "POST", "PUT"]))
def test_any_path_breaks_nothing(client, site, path, method):
    path = "/en/" + path.encode("utf-8", "surrogatepass").decode("latin-1")
    environment = {"PATH_INFO": path, "QUERY_STRING": path}

    assert client.generic(method, "/", b"", **environment).status_code < 500
    assert stored() == 0


@anything
@given(name=st.sampled_from(HEADERS), value=latin, path=st.sampled_from(EVERYWHERE))
def test_any_header_breaks_nothing(client, site, name, value, path):
    assert client.get(path, headers={name: value}).status_code < 500


# What no client library would send, to the real server.

HOST = b"Host: 127.0.0.1\r\n"
CLOSE = b"Connection: close\r\n"
POST = b"POST " + SIGN.encode() + b" HTTP/1.1\r\n" + HOST + CLOSE
URLENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"


def posting(head, body=VALID):
    return POST + head + b"\r\n" + body


LENGTH = b"Content-Length: %d\r\n" % len(VALID)
BROKEN = {
    "rubbish": b"\x00\xff" * 500 + b"\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "HTTP/0.9": b"GET /en/\r\n\r\n",
    "HTTP/9": b"GET /en/ HTTP/9.9\r\n" + HOST + b"\r\n",
    "no host": b"POST " + SIGN.encode() + b" HTTP/1.1\r\n" + CLOSE + URLENCODED + LENGTH + b"\r\n" + VALID,
    "another host": b"GET /en/ HTTP/1.1\r\nHost: elsewhere.example\r\n" + CLOSE + b"\r\n",
    "two hosts": b"GET /en/ HTTP/1.1\r\nHost: elsewhere.example\r\n" + HOST + CLOSE + b"\r\n",
    "a host that is none": b"GET /en/ HTTP/1.1\r\nHost: \xff\xfe[\r\n" + CLOSE + b"\r\n",
    "a method that is none": b"G\x00T /en/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a method of letters": b"POSTT "
    + SIGN.encode()
    + b" HTTP/1.1\r\n"
    + HOST
    + CLOSE
    + URLENCODED
    + LENGTH
    + b"\r\n"
    + VALID,
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a path with raw bytes": b"GET /en/\xff\xfe/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a path with NUL": b"GET /en/\x00/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a path with escapes": b"GET /en/%00%ff%0d%0a/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a bad escape": b"GET /en/%zz/% HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a long path": b"GET /en/" + b"x" * 300_000 + b"/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    "a full address": b"GET http://elsewhere.example/nowhere HTTP/1.1\r\nHost: elsewhere.example\r\n" + CLOSE + b"\r\n",
    "a header with NUL": posting(b"X: \x00\r\n" + URLENCODED + LENGTH),
    "a header without name": posting(b": x\r\n" + URLENCODED + LENGTH),
    "a header over two lines": posting(b"X: a\r\n b\r\n" + URLENCODED + LENGTH),
    "a huge header": posting(b"X: " + b"x" * 2_000_000 + b"\r\n" + URLENCODED + LENGTH),
    "many headers": posting(b"".join(b"X-%d: x\r\n" % n for n in range(5_000)) + URLENCODED + LENGTH),
    "no length": posting(URLENCODED),
    "a word for a length": posting(URLENCODED + b"Content-Length: x\r\n"),
    "a negative length": posting(URLENCODED + b"Content-Length: -1\r\n"),
    "two lengths": posting(URLENCODED + LENGTH + b"Content-Length: 5\r\n"),
    "a list of lengths": posting(URLENCODED + b"Content-Length: 5, 6\r\n"),
    "an endless length": posting(URLENCODED + b"Content-Length: 99999999999999999999999\r\n"),
    "a length beyond the limit": posting(URLENCODED + b"Content-Length: 10000000\r\n", b"x" * 10_000_000),
    "length and chunks": posting(URLENCODED + LENGTH + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "broken chunks": posting(URLENCODED + b"Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"),
    "another transfer encoding": posting(URLENCODED + b"Transfer-Encoding: rubbish\r\n"),
    "a parameter in no charset": posting(b"Content-Type: application/x-www-form-urlencoded; a*=bogus''x\r\n" + LENGTH),
    "a parameter with quotes": posting(b"Content-Type: text/plain; a*=b'c'd'e; a*9999999999999=f\r\n" + LENGTH),
    "a charset that is none": posting(b"Content-Type: multipart/form-data; boundary=x; charset=base64\r\n" + LENGTH),
    "raw bytes in the type": posting(b"Content-Type: multipart/form-data; boundary=\xff\xfe\r\n" + LENGTH),
    "a compressed body": posting(
        b"Content-Encoding: gzip\r\n" + URLENCODED + b"Content-Length: 10\r\n", b"\x1f\x8b" + b"\x00" * 8
    ),
    "a form in JSON": posting(b"Content-Type: application/json\r\nContent-Length: 2\r\n", b"{}"),
}
# The server reads the whole of these before we see them, and what it makes of a body in pieces is ours to take.
IN_CHUNKS = posting(URLENCODED + b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(VALID), VALID))
MANY_CHUNKS = posting(
    URLENCODED + b"Transfer-Encoding: chunked\r\n",
    b"10000\r\n" + b"x" * 65_536 + b"\r\n" + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 160 + b"0\r\n\r\n",
)


def send(port, data, half_close=False):
    """What the server answers to these bytes; None if it only closes the connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough; its answer may still be there
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except (ConnectionError, TimeoutError):
            pass
    if not received.startswith(b"HTTP/1."):
        return None
    head, _blank, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    response = HttpResponse(body, status=status)
    response.server_made = b"content-security-policy" not in head.lower()
    return response


@pytest.fixture
def log(tmp_path):
    return tmp_path / "web.log"


@pytest.mark.django_db(transaction=True)
def test_the_real_server_survives_whatever_arrives(site, log):
    with server.web(log, RATE_PER_NETWORK="0", BURST_PER_NETWORK="0") as port:
        for name, data in BROKEN.items():
            response = send(port, data)
            if response is not None:
                assert 400 <= response.status_code < 500, name
                # What granian refuses by itself never reached us; everything else is a page.
                assert response.server_made or b"<h1" in response.content, name
            assert stored() == 0, name

        for name, data in (("chunks", IN_CHUNKS), ("many chunks", MANY_CHUNKS)):
            response = send(port, data)
            assert response is None or response.status_code < 500, name

        # Cut off in the middle.
        before = stored()
        for data in (
            POST,
            POST + URLENCODED,
            posting(URLENCODED + b"Content-Length: 500\r\n"),
            posting(LENGTH, b"email"),
        ):
            response = send(port, data, half_close=True)
            assert response is None or response.status_code < 500
        assert stored() == before

        healthy = server.fetch(port, "GET", "/healthz")
        assert healthy.status_code == 200
        assert server.fetch(port, "POST", SIGN, {"email": "olga@example.org", "consent": "on"}).status_code == 303
    said = log.read_text()
    assert "Traceback" not in said
    assert " ERROR django.request" not in said
    assert "example.org" not in said


@pytest.mark.django_db(transaction=True)
def test_slow_senders_do_not_keep_others_waiting_for_good(site, log):
    """Without nginx in front a thread waits for each; the connection of one that hangs up is given back."""
    with server.web(log) as port:
        hanging = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(8)]
        for connection in hanging:
            connection.sendall(POST + URLENCODED + b"Content-Length: 50\r\n\r\nema")
        time.sleep(0.2)
        for connection in hanging:
            connection.close()

        assert server.fetch(port, "GET", "/healthz").status_code == 200
    assert stored() == 0
    assert "Traceback" not in log.read_text()
