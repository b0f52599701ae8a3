"""Partners have a picture and a text beside the form, for readers who come by their links."""

from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from campaign.models import Partner
from campaign.share import pictures
from petition.models import Source, StaffAction
from tests.support import states

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner(petition):
    return states.write_partner("en")


def test_who_comes_by_the_link_of_a_partner_sees_its_text_and_picture(client, partner):
    html = client.get("/en/", {"from": "friends"}).content.decode()

    assert "We sign, and ask <strong>you</strong> to sign." in html
    assert "The Friends" in html
    address = f"/en/partners/friends-{partner.picture_version}.webp"
    assert f'src="{address}"' in html
    assert 'alt="Two hands"' in html
    assert client.get(address).content == bytes(partner.picture)


@pytest.mark.parametrize("query", [{}, {"from": "others"}, {"from": "nobody"}, {"from": "<b>"}])
def test_nobody_else_does(client, partner, query):
    Source.objects.create(slug="others", title="Others")

    assert "The Friends" not in client.get("/en/", query).content.decode()


@pytest.mark.parametrize("moment", [None, timezone.now() + timedelta(days=1)])
def test_a_draft_shows_neither(client, partner, moment):
    Partner.objects.update(published_at=moment)

    assert "The Friends" not in client.get("/en/", {"from": "friends"}).content.decode()
    assert client.get(f"/en/partners/friends-{partner.picture_version}.webp").status_code == 404


def photo(size=(3000, 2000), mode="RGB", file_format="JPEG", **options):
    drawn = BytesIO()
    Image.new(mode, size, (200, 0, 0, 90) if mode == "RGBA" else "red").save(drawn, file_format, **options)
    return drawn.getvalue()


def camera_data():
    exif = Image.Exif()
    exif[0x010E] = "Grozny, her street"
    return exif


def editor():
    client = Client()
    client.force_login(User.objects.create_superuser("editor"))
    return client


def upload(content, name="photo.jpg"):
    form = {"source": "friends", "text": "Sign with us", "published_at_0": "", "published_at_1": ""}
    form["upload"] = SimpleUploadedFile(name, content, "image/jpeg")
    return editor().post(f"{reverse('admin:campaign_partner_add')}?language=en", form)


def test_an_uploaded_photo_is_made_small_and_loses_what_its_camera_wrote(petition):
    Source.objects.create(slug="friends", title="The Friends")

    assert upload(photo(exif=camera_data())).status_code == 302

    kept = bytes(Partner.objects.get().picture)
    with Image.open(BytesIO(kept)) as opened:
        assert (opened.format, opened.size) == ("WEBP", (480, 320))
        assert dict(opened.getexif()) == {}
    assert b"Grozny" not in kept
    assert len(kept) < 20_000
    assert StaffAction.objects.filter(action="added", about="partner friends").exists()


@pytest.mark.parametrize("content", [b"", b"no picture", photo()[:500], b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_refused_with_a_message(petition, content):
    Source.objects.create(slug="friends", title="The Friends")

    answer = upload(content)

    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Partner.objects.exists()


def test_a_logo_keeps_what_can_be_seen_through(petition):
    with Image.open(BytesIO(pictures.small(BytesIO(photo((100, 50), "RGBA", "PNG"))))) as opened:
        assert (opened.mode, opened.size) == ("RGBA", (100, 50))
