"""Fields of public forms: their markup, the address, the honeypot."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import TemplatesSetting
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

from petition import identity, validators

MOST_LETTERS = 254  # of an address as mail servers write it
MOST_LETTERS_BEFORE_AT = 64

# What comes along when an address is copied and nobody sees: zero width, marks of direction, soft hyphens, the look of
# a sign, blanks of other alphabets. Two joiners stay between letters that are not Latin, where they change a domain.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
IN_BRACKETS = re.compile(r"[^<>]*<([^<>]*)>[^<>]*")  # "Anna K." <anna@example.org>, as mail programs copy it
PREFIX = re.compile(r"mailto:\s*", re.IGNORECASE)
QUOTES = {'"': '"', "'": "'", "«": "»", "“": "”", "„": "“", "‘": "’", "(": ")", "[": "]"}


def tidy_address(text: str) -> str:
    """An address without what was pasted along with it."""
    text = UNSEEN.sub("", text).strip()
    if bracketed := IN_BRACKETS.fullmatch(text):
        text = bracketed[1]
    text = text.strip("<> \t\r\n\xa0")
    if prefix := PREFIX.match(text):
        text = text[prefix.end() :].partition("?")[0]
    text = text.rstrip(".,;:!? \t\r\n\xa0")
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return re.sub(r"\s*@\s*", "@", text).rstrip(".,;")


class FieldRenderer(TemplatesSetting):
    field_template_name = "petition/field.html"


class UncutField(forms.BoundField):
    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        # A browser that knew the limit would cut off what is pasted, and say nothing. Our messages say what to do. The
        # width of a text area is for the style sheet.
        return super().build_widget_attrs(attrs, widget) | {"maxlength": False, "cols": False}


class PublicForm(forms.Form):
    """A form for everyone: `as_field_group` shows a field with its hint, its errors, and what screen readers need."""

    default_renderer = FieldRenderer
    bound_field_class = UncutField


class Honeypot(UncutField):
    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        # Out of sight, it is out of the way of the keyboard too.
        return super().build_widget_attrs(attrs, widget) | ({} if self.errors else {"tabindex": "-1"})


class HoneypotField(forms.CharField):
    """Honeypot: people do not see this field, so only a robot fills it in, or a browser that means well.

    Whoever has filled it sees it then, with what stands in it, and is asked to clear it: a robot that fills in every
    field does so again, and a person is never told of a mail that does not come.
    """

    bound_field_class = Honeypot

    def __init__(self) -> None:
        super().__init__(
            label=_("Leave this field empty"),
            required=False,
            strip=False,
            widget=forms.TextInput(attrs={"autocomplete": "off"}),
        )

    def validate(self, value: str) -> None:
        if value:
            raise ValidationError(
                _(
                    "Please clear the field “Leave this field empty”. It is there to catch programs, and your browser"
                    " may have filled it in."
                ),
                code="honeypot",
            )


class AddressField(forms.EmailField):
    """An address that a digest can be made of."""

    default_error_messages = {
        "required": _("Enter your email address."),
        "invalid": _("Enter an email address like name@example.org."),
        "max_length": _("This is too long for an email address. Please check it."),
        "long_name": _(
            "The part before the @ is too long: it can have 64 characters at most. Please check the address."
        ),
        # Translators: %(letter)s is a single character of the address.
        "not_latin": _(
            "“%(letter)s” stands before the @, and mail from this site reaches only addresses with Latin letters"
            " without accents there. Please type it on a Latin keyboard, or use another address."
        ),
    }

    def __init__(self, *, help_text: Any = "", template_name: str | None = None) -> None:
        super().__init__(
            label=_("Email address"),
            help_text=help_text,
            max_length=MOST_LETTERS,
            widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false", "autocapitalize": "none"}),
        )
        self.template_name = template_name

    def to_python(self, value: object) -> str:
        return tidy_address(super().to_python(value) or "")

    def validate(self, value: str) -> None:
        super().validate(value)
        local, at, _domain = value.rpartition("@")
        # Before the validator that only says that something is wrong.
        if at and (letter := next((letter for letter in local if not letter.isascii()), None)):
            raise ValidationError(
                self.error_messages["not_latin"], code="not_latin", params={"letter": validators.shown(letter)}
            )
        if len(local) > MOST_LETTERS_BEFORE_AT:
            raise ValidationError(self.error_messages["long_name"], code="max_length")

    def clean(self, value: object) -> str:
        address = super().clean(value)
        if not isinstance(address, str) or not address:
            return ""
        try:
            identity.normalise(address)
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error
        local, _at, domain = address.rpartition("@")
        # A box that holds an address is as long as this allows, and no longer.
        if len(f"{local}@{punycode(domain)}") > MOST_LETTERS:
            raise ValidationError(self.error_messages["max_length"], code="max_length")
        # Quotes and encoded words are other spellings of a mailbox: each would count as one more, or lead to somebody
        # else's.
        if '"' in local or "=?" in local:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        # Our own machines are no mailbox, and these letters are another domain in the older of two standards.
        if "." not in domain or "[" in domain or set(domain.lower()) & set("ßς\u200c\u200d"):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return address
