"""One mailbox, one digest, however its address is written."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from petition import identity
from petition.models import DailySalt

LONGEST = "a" * 64 + "@" + ".".join(["b" * 62, "b" * 61, "b" * 61, "de"])

CASES = [
    ("anna@example.org", "anna@example.org"),
    ("  anna@example.org\t", "anna@example.org"),
    ("Anna@Example.ORG", "anna@example.org"),
    ("anna+petition@example.org", "anna@example.org"),
    ("anna+a+b@example.org", "anna@example.org"),
    ("an.na@example.org", "an.na@example.org"),
    ("an.na@gmail.com", "anna@gmail.com"),
    ("a.n.n.a+x@GoogleMail.com", "anna@gmail.com"),
    ("anna@bücher.de", "anna@xn--bcher-kva.de"),
    ("anna@bu\u0308cher.de", "anna@xn--bcher-kva.de"),
    ("anna@BÜCHER.de", "anna@xn--bcher-kva.de"),
    ("anna@xn--bcher-kva.de", "anna@xn--bcher-kva.de"),
    ("anna@почта.рф", "anna@xn--80a1acny.xn--p1ai"),
    ("jose\u0301@example.org", "josé@example.org"),
    ("o'neil@example.org", "o'neil@example.org"),
    ('"a@b"@example.org', '"a@b"@example.org'),
    (LONGEST, LONGEST),
]


@pytest.mark.parametrize(("address", "mailbox"), CASES)
def test_an_address_leads_to_its_mailbox(address, mailbox):
    assert identity.normalise(address) == mailbox


def test_the_longest_address_has_254_characters():
    assert len(LONGEST) == 254


@pytest.mark.parametrize(
    "text", ["", "anna", "@example.org", "anna@", "+tag@example.org", "a@" + "b" * 64 + ".de", "..@gmail.com"]
)
def test_what_is_no_address_has_no_digest(text):
    with pytest.raises(ValueError):
        identity.email_digest(text)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text):
    try:
        mailbox = identity.normalise(text)
    except ValueError:
        return
    assert "@" in mailbox


def test_a_digest_has_32_bytes_and_needs_the_key():
    digest = identity.email_digest("anna@example.org")

    with override_settings(EMAIL_DIGEST_KEY="00" * 32):
        other = identity.email_digest("anna@example.org")

    assert len(digest) == 32
    assert digest != other


def test_neighbours_share_a_domain_digest_and_no_address_has_it():
    domain = identity.domain_digest("anna@example.org")

    assert domain == identity.domain_digest("Boris+x@EXAMPLE.org")
    assert domain != identity.email_digest("anna@example.org")


def test_the_web_can_digest_nobody(settings):
    settings.EMAIL_DIGEST_KEY = ""

    with pytest.raises(ImproperlyConfigured):
        identity.email_digest("anna@example.org")
    with pytest.raises(ImproperlyConfigured):
        identity.domain_digest("anna@example.org")


def test_a_network_has_the_same_digest_all_day_and_none_without_its_salt(db):
    today = identity.network_digest("192.0.2.1")
    assert identity.network_digest("192.0.2.1") == today

    DailySalt.objects.all().delete()
    identity._salt = None

    assert identity.network_digest("192.0.2.1") != today
