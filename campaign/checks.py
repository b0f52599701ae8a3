from typing import Any

from django.core.checks import CheckMessage, Warning, register

from campaign import lettering


@register
def letters_can_be_shaped(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """No reason to refuse a start: words that need it are refused with a message of their own."""
    if lettering.can_shape():
        return []
    return [
        Warning(
            "Arabic and Hebrew cannot be written on pictures: Pillow finds no FriBiDi.",
            hint="Install the library FriBiDi; Debian's package is libfribidi0.",
            id="campaign.W001",
        )
    ]
