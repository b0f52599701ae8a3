"""Pages, style and script weigh what their words and rules weigh, and say the same as their sources."""

import re
from pathlib import Path

import brotli
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.template import engines

BOTH = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.django_db
def test_a_public_page_is_smaller_in_brotli_than_in_gzip(client):
    call_command("load_campaign")
    packed, zipped, plain = (client.get("/ru/", headers=headers) for headers in (BOTH, {"Accept-Encoding": "gzip"}, {}))

    assert (packed["Content-Encoding"], zipped["Content-Encoding"]) == ("br", "gzip")
    assert brotli.decompress(packed.content) == plain.content
    assert len(packed.content) < 0.95 * len(zipped.content)
    assert packed["ETag"] == zipped["ETag"] == f"W/{plain['ETag']}"


@pytest.mark.django_db
def test_the_admin_whose_pages_hold_a_secret_keeps_the_gzip_of_random_length(client):
    client.force_login(User.objects.create_superuser("staff"))

    assert client.get(f"/{settings.ADMIN_PATH}/", headers=BOTH)["Content-Encoding"] == "gzip"


def test_a_page_is_sent_without_the_indentation_of_its_template():
    html = engines["django"].get_template("errors/500.html").render({"is_failure": True})

    assert re.findall(r"\n[ \t]+", html) == []


@pytest.mark.django_db
def test_what_somebody_typed_keeps_its_lines_and_blanks(client, petition):
    typed = "One\r\n\r\n    and four blanks.\r\n  And two."
    answer = client.post(f"/en/petitions/{petition.slug}/sign/", {"words": typed, "email": "no"})

    assert answer.status_code == 422
    assert typed.replace("\r\n", "\n") in answer.content.decode().replace("\r\n", "\n")


def test_text_mails_keep_their_lines():
    text = engines["django"].get_template("petition/mail/sign.txt").template.source

    assert text == (settings.BASE_DIR / "templates/petition/mail/sign.txt").read_text()


@pytest.mark.parametrize(("name", "comment"), [("site.css", "/*"), ("pages.css", "/*"), ("site.js", "// ")])
def test_our_style_and_script_are_sent_without_comments(name, comment):
    sent = Path(staticfiles_storage.path(staticfiles_storage.stored_name(name))).read_text()
    source = (settings.BASE_DIR / "static" / name).read_text()

    assert comment in source
    assert comment not in sent
    assert 0.6 * len(source) < len(sent) < 0.95 * len(source)


def test_static_files_of_others_are_sent_as_they_came():
    sent = Path(staticfiles_storage.path(staticfiles_storage.stored_name("admin/js/core.js"))).read_text()

    assert "//" in sent
