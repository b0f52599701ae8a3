"""Fields of public forms: their markup, the address, the honeypot."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import TemplatesSetting
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

from petition import identity

MOST_LETTERS = 254  # of an address as mail servers write it


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


class HoneypotField(forms.CharField):
    """Honeypot: people never see this field, so only a robot fills it in. It is told the same as everyone."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Leave this empty"),
            required=False,
            widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}),
        )


class AddressField(forms.EmailField):
    """An address that a digest can be made of."""

    default_error_messages = {
        "required": _("Enter your email address."),
        "invalid": _("Enter an email address like name@example.org."),
    }

    def __init__(self, *, help_text: Any = "") -> None:
        super().__init__(
            label=_("Email address"),
            help_text=help_text,
            max_length=MOST_LETTERS,
            error_messages={"max_length": _("This is too long for an email address. Please check it.")},
            widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false", "autocapitalize": "none"}),
        )

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
        # Quotes, encoded words and letters that only look ASCII when folded are other spellings of a mailbox: each
        # would count as one more, or lead to somebody else's.
        if not local.isascii() or '"' in local or "=?" in local:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        # Our own machines are no mailbox, and these letters are another domain in the older of two standards.
        if "." not in domain or "[" in domain or set(domain.lower()) & set("ßς\u200c\u200d"):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return address
