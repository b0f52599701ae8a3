"""The organisation whose campaign it is: contact, controller and donations, as the operator configures them.

What is not configured is not shown. The admin's start page and `check --deploy` name what is missing.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext, gettext_noop

# What readers miss where the value is empty.
NEEDED = {
    "CONTACT_EMAIL": gettext_noop("Readers, journalists and finders of security holes have nobody to write to."),
    "CONTROLLER": gettext_noop("The page on privacy does not say who answers for the data: name and postal address."),
    "HOSTING_COUNTRY": gettext_noop(
        "The page on privacy does not say in which country the data lies: two letters, such as IS."
    ),
    "DONATE_URL": gettext_noop("The page on donations leads to the front page of the organisation."),
}


def missing() -> dict[str, str]:
    """Names of the values in the environment that are empty or a mere example, and what readers miss for it."""
    return {name: why for name, why in NEEDED.items() if not getattr(settings, name) or is_example(name)}


def missing_in_letter(addressee: str) -> list[str]:
    """What the letter for the addressee should name and does not, in words for staff."""
    needed = {
        gettext("The letter names no addressee. Editors write it on the page of the petition."): addressee,
        gettext("The letter names no sender. The operator sets CONTROLLER."): settings.CONTROLLER,
        gettext("The letter names nobody to answer to. The operator sets CONTACT_EMAIL."): settings.CONTACT_EMAIL,
    }
    return [said for said, value in needed.items() if not value]


def is_example(name: str) -> bool:
    """Whether the value is that of a trial. Elsewhere it was meant: a server may well stand in Iceland."""
    return bool(settings.LOCAL and getattr(settings, name) == settings.EXAMPLES[name])


def shown() -> dict[str, object]:
    """What pages show of the organisation; empty where nothing is configured."""
    return {
        "url": settings.ORGANISATION_URL,
        "host": urlsplit(settings.ORGANISATION_URL).hostname,
        "email": settings.CONTACT_EMAIL,
        "controller": settings.CONTROLLER,
        "country_code": settings.HOSTING_COUNTRY,
        "legal_basis": settings.LEGAL_BASIS,
        "authority": settings.SUPERVISORY_AUTHORITY,
        "authority_host": urlsplit(settings.SUPERVISORY_AUTHORITY).hostname,
        "donate_url": settings.DONATE_URL or settings.ORGANISATION_URL,
        "donate_host": urlsplit(settings.DONATE_URL or settings.ORGANISATION_URL).hostname,
        "takes_donations": bool(settings.DONATE_URL),
        "is_example": any(map(is_example, settings.EXAMPLES)),
    }
