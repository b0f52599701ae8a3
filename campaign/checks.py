from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from campaign.share import text_layout


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
    for name, number in (("DONATE_URL", "campaign.E001"), ("EXIT_URL", "campaign.E002")):
        parts = urlsplit(getattr(settings, name))
        if any(parts) and not (parts.scheme == "https" and parts.hostname) and not settings.LOCAL:
            yield Error(f"{name} is not an https:// URL.", hint=f"Set {name} to an address with https://.", id=number)
