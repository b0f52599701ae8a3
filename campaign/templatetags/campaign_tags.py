from django import template
from django.utils.safestring import SafeString

from campaign import text

register = template.Library()


@register.filter
def markdown(value: str) -> SafeString:
    return text.to_html(value)
