"""The shipped nginx.conf: the cache in front, and what people see when the app is gone."""

import gzip
import http.client
import json
import re
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest
from django.test import override_settings

from petition.counts import publication
from petition.doctor import outside
from petition.mail import messages
from petition.mail.keys import Keyring
from petition.models import CountsToken, OutgoingMail, Source
from tests.support import nginx, server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(nginx.MISSING is not None, reason=str(nginx.MISSING)),
]

HOME = "/en/"


class Visitor:
    def __init__(self, port):
        self.port = port

    def get(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        response.body = response.read()
        connection.close()
        return response


@pytest.fixture
def site(petition, settings, tmp_path):
    """The app behind nginx, the process of the app, and a visitor of each."""
    ports = server.free_port(), server.free_port()
    with (
        server.web(tmp_path / "web.log", TRUSTED_PROXIES="127.0.0.1/32") as app_port,
        nginx.running(tmp_path / "nginx", f"127.0.0.1:{app_port}", settings.STATIC_ROOT, ports),
    ):
        yield Visitor(ports[0])


def logged(tmp_path, requests):
    """The lines of so many requests, which are written once a second."""
    log = tmp_path / "nginx" / "access.log"
    return server.wait_until(lambda: len(lines := log.read_text().splitlines()) >= requests and lines)


def cached(tmp_path, requests):
    """How each request met the cache, from the access log."""
    return [line.split()[-1] for line in logged(tmp_path, requests)]


def test_nginx_accepts_the_file_as_shipped(tmp_path):
    """With TLS and all; only the paths are ours."""
    folder = tmp_path / "nginx"
    conf = nginx.write(folder, nginx.site(folder, "127.0.0.1:9", tmp_path))
    nginx.keep_certificate(folder)

    said = nginx.check(conf)

    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr


def test_the_second_visitor_is_answered_from_the_cache_in_her_language_and_encoding(site, tmp_path):
    first = site.get(HOME, Accept_Encoding="gzip, deflate, br")
    again = site.get(HOME, Accept_Encoding="br;q=1.0")
    older = site.get(HOME, Accept_Encoding="gzip")
    russian = site.get("/ru/", Accept_Encoding="gzip")
    bare = site.get(HOME)

    assert cached(tmp_path, 5) == ["MISS", "HIT", "MISS", "MISS", "MISS"]
    assert first.getheader("Content-Encoding") == again.getheader("Content-Encoding") == "br"
    assert first.body == again.body
    assert b'lang="en"' in gzip.decompress(older.body)
    assert b'lang="ru"' in gzip.decompress(russian.body)
    assert bare.getheader("Content-Encoding") is None
    assert b"<html" in bare.body


def test_headers_survive_the_cache(site):
    site.get(HOME, Accept_Encoding="gzip")
    response = site.get(HOME, Accept_Encoding="gzip")

    assert "default-src 'none'" in response.getheader("Content-Security-Policy")
    assert response.getheader("Referrer-Policy") == "no-referrer"
    assert response.getheader("Vary") == "Accept-Encoding"
    assert response.getheader("Set-Cookie") is None
    assert site.get(HOME, Accept_Encoding="gzip", If_None_Match=response.getheader("ETag")).status == 304


def test_a_partner_has_a_page_of_its_own_and_every_other_query_is_dropped(site, tmp_path):
    Source.objects.create(slug="partner", title="A partner")

    assert b'value="partner"' in site.get(f"{HOME}?from=partner&utm_source=x").body
    assert b'value="partner"' in site.get(f"{HOME}?x=1&from=partner").body
    assert b'value="partner"' not in site.get(HOME).body
    for query in ("fbclid=1", "utm_source=y", "from=<script>", "from=" + "a" * 25):
        site.get(f"{HOME}?{query}")

    assert cached(tmp_path, 7) == ["MISS", "HIT", "MISS", "HIT", "HIT", "HIT", "HIT"]


@pytest.mark.parametrize(
    "path", ["/en/words/", "/en/updates/feed.xml", "/en/petitions/chechnya/embed/", "/sitemap.xml", "/robots.txt"]
)
def test_lists_feeds_and_the_counter_for_other_sites_are_kept_too(site, tmp_path, path):
    first, again = site.get(path), site.get(path)

    assert (first.status, again.body) == (200, first.body)
    assert cached(tmp_path, 2) == ["MISS", "HIT"]
    framed = "frame-ancestors *" in again.getheader("Content-Security-Policy")
    assert framed == ("embed" in path)


def test_the_count_is_cached_for_two_seconds(site, tmp_path, make_signature):
    url = "/petitions/chechnya/count.json"
    assert b'"confirmed_here": 0' in site.get(url).body
    make_signature(confirmed=True)
    assert b'"confirmed_here": 0' in site.get(url).body
    assert cached(tmp_path, 2) == ["MISS", "HIT"]

    publication.publish()
    server.wait_until(lambda: b'"confirmed_here": 1' in site.get(url).body)


@pytest.mark.parametrize("path", ["/", "/en/withdraw/x/", "/en/confirm/x/", "/en/nothing/", "/healthz"])
def test_what_is_private_or_wrong_is_never_cached(site, tmp_path, path):
    site.get(path)
    site.get(path)

    assert "HIT" not in cached(tmp_path, 2)


def test_signing_goes_through_with_the_network_of_the_visitor(site, sign_data):

    response = site.get(
        "/en/petitions/chechnya/sign/",
        "POST",
        urlencode(sign_data()),
        Content_Type="application/x-www-form-urlencoded",
        X_Forwarded_For="203.0.113.9",
    )

    assert response.status == 303


def test_a_dashboard_gets_what_its_query_asks_for_and_nobody_gets_it_after_her(site, tmp_path):
    token = CountsToken(name="A dashboard")
    token.make()
    token.save()
    url = "/petitions/chechnya/counts.json?by=language"

    answer = site.get(url, Authorization=f"Bearer {token.shown_once}")

    assert json.loads(answer.body)["by"] == ["language"]
    assert site.get(url).status == 401
    assert cached(tmp_path, 2) == ["-", "-"]
    assert token.shown_once not in (tmp_path / "nginx" / "access.log").read_text()


def test_a_body_beyond_any_form_is_refused_at_the_door(site):
    assert site.get("/en/petitions/chechnya/sign/", "POST", "x" * 200_000).status == 413


def test_static_files_come_compressed_and_for_ever(site):
    page = site.get(HOME).body.decode()
    path = re.search(r'href="(/static/site\.[^"]+\.css)"', page).group(1)

    for encoding, name in (("br, gzip", "br"), ("gzip", "gzip"), ("", None)):
        response = site.get(path, Accept_Encoding=encoding)
        assert (response.status, response.getheader("Content-Encoding")) == (200, name)
        assert "immutable" in response.getheader("Cache-Control")
        assert response.getheader("X-Content-Type-Options") == "nosniff"


def test_the_log_holds_no_address_and_no_query(site, tmp_path):
    site.get(f"{HOME}?email=anna@example.org", User_Agent="Anna's browser")

    (line,) = logged(tmp_path, 1)
    for secret in ("127.0.0.1", "anna", "Anna", HOME):
        assert secret not in line


def test_an_error_page_of_the_app_quotes_the_id_that_nginx_logs(site, tmp_path):
    page = site.get("/en/nothing/there/", X_Request_ID="0123456789ab").body.decode()

    (line,) = logged(tmp_path, 1)
    quoted = line.split()[-2]
    assert re.fullmatch(r"[0-9a-f]{12}", quoted)
    assert quoted in page
    assert "0123456789ab" not in page
    assert quoted in (tmp_path / "web.log").read_text()


def test_a_missing_socket_is_not_logged_with_who_asked_for_what(settings, tmp_path):
    ports = server.free_port(), server.free_port()
    gone = f"unix:{tmp_path}/none.sock"
    with (
        (tmp_path / "stderr").open("wb") as said,
        nginx.running(tmp_path / "nginx", gone, settings.STATIC_ROOT, ports, said=said),
    ):
        assert Visitor(ports[0]).get("/en/confirm/SECRET/").status == 503

    assert (tmp_path / "stderr").read_text() == ""


def test_when_the_app_is_gone_known_pages_go_on_and_the_rest_is_told_kindly(petition, settings, tmp_path):
    ports = server.free_port(), server.free_port()
    site, app = Visitor(ports[0]), ExitStack()
    app_port = app.enter_context(server.web(tmp_path / "web.log", TRUSTED_PROXIES="127.0.0.1/32"))
    with app, nginx.running(tmp_path / "nginx", f"127.0.0.1:{app_port}", settings.STATIC_ROOT, ports):
        before = site.get(HOME).body
        app.close()

        assert site.get(HOME).body == before
        sorry = site.get("/en/about/")
        assert sorry.status == 503
        assert int(sorry.getheader("Retry-After")) > 0
        assert "Скоро вернёмся" in sorry.body.decode()
        # What she may quote stands in the log, beside no address and no path.
        (quoted, _again) = re.findall(r'translate="no">([0-9a-f]{12})<', sorry.body.decode())
        assert any(f" {quoted} " in line for line in logged(tmp_path, 3))
        assert site.get("/en/petitions/chechnya/sign/", "POST", "x=1").status == 503


# By the onion address.


@pytest.fixture
def onion(petition, settings, tmp_path):
    """The ports of the clearnet and of the place where tor leads; a network may send one form."""
    onion_port, ports = server.free_port(), (server.free_port(), server.free_port())
    variables = {
        "ONION_URL": f"http://{nginx.ONION}",
        "ALLOWED_HOSTS": f"127.0.0.1,{nginx.ONION}",
        "BURST_PER_NETWORK": "1/h",
    }
    with (
        server.web(tmp_path / "web.log", TRUSTED_PROXIES="127.0.0.1/32", **variables) as app_port,
        nginx.running(tmp_path / "nginx", f"127.0.0.1:{app_port}", settings.STATIC_ROOT, ports, onion_port=onion_port),
    ):
        yield ports[0], onion_port


def test_a_visitor_who_comes_by_tor_shuts_out_nobody_else_who_does(onion, sign_data):
    _clearnet, port = onion

    def sign(circuit, **headers):
        return nginx.over_tor(
            port, circuit, "/en/petitions/chechnya/sign/", "POST", urlencode(sign_data()), **headers
        ).status

    assert (sign(0x1234_5678), sign(0x1234_5678)) == (303, 429)
    # What she says of herself changes nothing; the circuits of others differ in either half of their number.
    assert sign(0x1234_5678, **{"X-Forwarded-For": "203.0.113.9"}) == 429
    for other in (0x1234_5679, 0x1235_5678, 0x5678, 0x1, 0x0001_0000, 0xFFFF_FFFF):
        assert sign(other) == 303, hex(other)


def test_by_tor_nothing_leads_to_the_clearnet_or_to_https(onion):
    clearnet, port = onion
    page = re.search(rb"/static/site[^\"]+css", Visitor(clearnet).get(HOME).body)[0].decode()

    for path in (HOME, HOME, page, "/en/confirm/x/", "/nowhere"):
        known, here = Visitor(clearnet).get(path), nginx.over_tor(port, 1, path)
        assert here.status == known.status
        assert here.getheader("Strict-Transport-Security") is None
        assert here.getheader("Onion-Location") is None
        assert here.getheader("Content-Security-Policy") == known.getheader("Content-Security-Policy")
    assert Visitor(clearnet).get(HOME).getheader("Onion-Location") == f"http://{nginx.ONION}{HOME}"


def test_the_mail_of_who_signs_by_tor_leads_back_there(onion, sign_data):
    _clearnet, port = onion

    nginx.over_tor(port, 7, "/en/petitions/chechnya/sign/", "POST", urlencode(sign_data()))

    mail = OutgoingMail.objects.get()
    opened = Keyring().open(mail.key_id, bytes(mail.recipient))
    with override_settings(ONION_URL=f"http://{nginx.ONION}"):
        assert messages.compose(mail, opened).context["link"].startswith(f"http://{nginx.ONION}/en/confirm/")


def test_the_log_holds_no_circuit(onion, tmp_path):
    nginx.over_tor(onion[1], 0x1234_5678, HOME)

    (line,) = logged(tmp_path, 1)
    assert "1234" not in line
    assert "fc00" not in line


def test_nobody_but_tor_is_answered_there(onion):
    with pytest.raises((OSError, http.client.HTTPException)):
        Visitor(onion[1]).get(HOME, Host=nginx.ONION)


@pytest.mark.parametrize("header", outside.LISTS)
def test_the_doctor_finds_that_no_forged_address_is_believed(site, settings, header):
    settings.SITE_URL = f"http://127.0.0.1:{site.port}"

    assert outside.forged(header, "").said == "not believed"
