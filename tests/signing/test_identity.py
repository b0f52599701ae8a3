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
    ("anna.k@ya.ru", "anna.k@yandex.ru"),
    ("Anna-K+x@Yandex.KZ", "anna.k@yandex.ru"),
    ("anna_k@narod.ru", "anna_k@yandex.ru"),
    ("annak@yandex.com.tr", "annak@yandex.ru"),
    ("an.na-k_x@pm.me", "annakx@proton.me"),
    ("annakx+petition@protonmail.com", "annakx@proton.me"),
    ("an.na@mac.com", "an.na@icloud.com"),
    ("an-na@me.com", "an-na@icloud.com"),
    ("base-petition@yahoo.com", "base-@yahoo.com"),
    ("base-a-b@yahoo.com", "base-@yahoo.com"),
    ("base@yahoo.com", "base@yahoo.com"),
    ("an.na@yahoo.com", "an.na@yahoo.com"),
    ("anna@yahoo.co.uk", "anna@yahoo.co.uk"),
    ("an-na@yahoo.co.jp", "an-na@yahoo.co.jp"),
    ("petition@anna.fastmail.com", "anna@fastmail.com"),
    ("x+y@anna.fastmail.fm", "anna@fastmail.fm"),
    ("x@y.anna.fastmail.com", "x@y.anna.fastmail.com"),
    ("an-na@outlook.com", "an-na@outlook.com"),
    ("an.na@mail.ru", "an.na@mail.ru"),
    ("anna@bk.ru", "anna@bk.ru"),
    ("anna@anna.gmail.com", "anna@anna.gmail.com"),
]


@pytest.mark.parametrize(("address", "mailbox"), CASES)
def test_an_address_leads_to_its_mailbox(address, mailbox):
    assert identity.normalise(address) == mailbox


def test_the_longest_address_has_254_characters():
    assert len(LONGEST) == 254


@pytest.mark.parametrize(
    "text",
    [
        *["", "anna", "@example.org", "anna@", "+tag@example.org", "a@" + "b" * 64 + ".de", "..@gmail.com"],
        *["-._@proton.me", "-x@yahoo.com", "@anna.fastmail.com", "anna@.fastmail.com"],
    ],
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


# What may stand between the parts of a name, and the domains, that make no other mailbox.
SPELLINGS = [
    ("gmail.com", ["", ".", ".."], ["gmail.com", "googlemail.com"]),
    ("yandex.ru", ["-", "."], ["yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "narod.ru"]),
    ("proton.me", ["", ".", "-", "_", "-."], ["proton.me", "protonmail.com", "pm.me", "protonmail.ch"]),
    ("icloud.com", ["."], ["icloud.com", "me.com", "mac.com"]),
]
WORDS = st.text("abcxyz0189", min_size=1, max_size=8)


@pytest.mark.parametrize(("domain", "separators", "domains"), SPELLINGS)
@given(parts=st.lists(WORDS, min_size=1, max_size=4), data=st.data())
def test_all_spellings_of_a_mailbox_are_one(domain, separators, domains, parts, data):
    def spelled():
        name = parts[0] + "".join(data.draw(st.sampled_from(separators)) + part for part in parts[1:])
        tag = data.draw(st.sampled_from(["", "+", "+petition", "+a+b"]))
        address = f"{name}{tag}@{data.draw(st.sampled_from(domains))}"
        return data.draw(st.sampled_from([address, address.upper()]))

    assert identity.normalise(spelled()) == identity.normalise(spelled())
    assert identity.domain(spelled()) == domain


@given(local=st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,3}", fullmatch=True))
@pytest.mark.parametrize("domain", ["example.org", "mail.ru", "bk.ru", "rambler.ru", "outlook.com", "gmx.de", "web.de"])
def test_elsewhere_every_sign_counts(domain, local):
    assert identity.normalise(f"{local}@{domain}") == f"{local}@{domain}"


@given(st.text("ab.-_+@", max_size=12), st.sampled_from([d for p in identity.PROVIDERS for d in p.domains]))
def test_normalising_twice_is_normalising_once(local, domain):
    try:
        mailbox = identity.normalise(f"{local}@{domain}")
    except ValueError:
        return
    assert identity.normalise(mailbox) == mailbox


def test_every_provider_has_a_source_and_no_domain_is_in_two_rows():
    domains = [domain for provider in identity.PROVIDERS for domain in provider.domains]

    assert len(domains) == len(set(domains))
    assert all("https://" in provider.source for provider in identity.PROVIDERS)


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
