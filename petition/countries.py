"""Countries: their names in the language of the page, and the list to choose one from."""

from functools import cache
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django_countries import countries


@cache
def countries_by_name(language: str) -> list[tuple[str, str]]:
    """Codes and names, sorted as a reader of this language expects. It has to be the language that is active."""
    return [(code, name) for code, name in countries]


class CountrySelect(forms.Select):
    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        # Django renders a template for each of 250 options, which took most of the time of a page. HTML allows
        # leaving out the end tag of an option, which takes two kilobytes off the page.
        named = [("", _("Prefer not to say")), *countries_by_name(get_language() or "en")]
        options = format_html_join(
            "",
            '<option value="{}"{}>{}',
            ((code, mark_safe(" selected") if code == value else "", label) for code, label in named),
        )
        return format_html("<select{}>{}</select>", flatatt(self.build_attrs({"name": name}, attrs)), options)
