from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from campaign import pictures, text
from petition.models import Source

register = template.Library()


@register.filter
def markdown(value: str) -> SafeString:
    return text.to_html(value)


@register.simple_block_tag
def captured(content: str) -> str:
    """`{% captured as name %}…{% endcaptured %}`: what is inside, to be said twice."""
    return content


@register.simple_tag
def picture_alt() -> str:
    """What the campaign's picture shows, for who cannot see it."""
    return gettext("A hundred tally marks, the last one in orange. Below them #100forjustice, and: %(words)s") % {
        "words": pictures.demand()
    }


@register.simple_tag(takes_context=True)
def from_partner(context: template.Context) -> str:
    """The end of a link that keeps the partner whose link brought the reader here."""
    source = Source.known(context["request"].GET.get("from", ""))
    return f"?from={source}" if source else ""
