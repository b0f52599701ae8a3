import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from campaign.share import text_layout
from petition import countries, organisation


@register
def letters_can_be_shaped(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A warning, not an error: without FriBiDi the form refuses Arabic and Hebrew words, and says so."""
    if text_layout.can_shape():
        return []
    return [
        Warning(
            "Arabic and Hebrew cannot be written on pictures: Pillow finds no FriBiDi.",
            hint="Install the library FriBiDi; Debian's package is libfribidi0.",
            id="campaign.W001",
        )
    ]


@register
def links_away_are_safe(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """Links to other sites use https: over http, anybody on the line would see who came from here."""
    names = {
        "DONATE_URL": "campaign.E001",
        "EXIT_URL": "campaign.E002",
        "ORGANISATION_URL": "campaign.E003",
        "SUPERVISORY_AUTHORITY": "campaign.E004",
    }
    for name, number in names.items():
        parts = urlsplit(getattr(settings, name))
        if any(parts) and not (parts.scheme == "https" and parts.hostname) and not settings.LOCAL:
            yield Error(f"{name} is not an https:// URL.", hint=f"Set {name} to an address with https://.", id=number)


@register
def organisation_can_be_read(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.CONTACT_EMAIL and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", settings.CONTACT_EMAIL):
        yield Error(
            "CONTACT_EMAIL is not an email address.", hint="Set it to one that people read.", id="campaign.E005"
        )
    if settings.HOSTING_COUNTRY and settings.HOSTING_COUNTRY not in countries.CODES:
        hint = "Set it to the two capital letters of ISO 3166-1, such as IS."
        yield Error("HOSTING_COUNTRY is not the code of a country.", hint=hint, id="campaign.E006")


@register(deploy=True)
def organisation_is_named(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for name, why in organisation.missing().items():
        yield Warning(f"{name} is not set.", hint=f"{why} Set it in the environment.", id="campaign.W002")
