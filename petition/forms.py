"""Forms of signers: to sign, to confirm with a code, to withdraw; and the rules for what may be typed into them."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from petition import consent, countries, typos
from petition.form_fields import AddressField, HoneypotField, PublicForm, tidy_address
from petition.models import Source
from petition.validators import refuse_link, refuse_unreadable

TICK = "petition/tick.html"


class SignForm(PublicForm):
    """Answers of a signer. `cleaned_data` holds the fields of `signing.Answers`."""

    email = AddressField(
        template_name="petition/email.html",
        help_text=_("One email, to confirm. The address is not kept in readable form."),
    )
    name = forms.CharField(
        label=_("Your name"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"max_length": _("Please shorten your name to %(limit_value)d characters.")},
    )
    words = forms.CharField(
        label=_("Words of support"),
        required=False,
        max_length=500,
        help_text=_("Up to 500 characters."),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto", "data-limit": 500}),
        error_messages={
            "max_length": _("Please shorten your words to %(limit_value)d characters. Now there are %(show_value)d.")
        },
    )
    shows_name = forms.BooleanField(
        template_name=TICK,
        label=_("Show my name and words on this site"),
        help_text=_(
            "A moderator reads them first. Then anyone can see and copy them. Without this tick they are not stored at"
            " all."
        ),
        required=False,
    )
    # A list of 240 names would be half of the page; the script loads it for whoever comes to this field.
    country = forms.CharField(
        label=_("Country"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "country-name", "list": "countries"}),
    )
    consent = forms.BooleanField(
        template_name=TICK,
        label=lazy(consent.wording, str)(),
        error_messages={"required": _("Tick the box to agree. Without your consent we may not store your signature.")},
    )
    website = HoneypotField()
    source = forms.CharField(required=False, widget=forms.HiddenInput)
    email_as_typed = forms.CharField(required=False, widget=forms.HiddenInput)
    suggested_address = ""

    def __init__(self, data: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(_corrected(data) if data else data, **kwargs)

    def clean_email(self) -> str:
        address = self.cleaned_data["email"]
        local, _at, domain = address.rpartition("@")
        meant = typos.likely_domain(domain.lower())
        if meant and self.data.get("email_as_typed", "").strip() != address:
            self.suggested_address = f"{local}@{meant}"
            raise ValidationError(
                _("Did you mean %(suggestion)s? If your address is right, press “Sign” again."),
                code="likely_typo",
                params={"suggestion": self.suggested_address},
            )
        return address

    def clean_name(self) -> str:
        name = " ".join(self.cleaned_data["name"].split())
        refuse_unreadable(name)
        if name.startswith(("=", "+", "-", "@")):
            raise ValidationError(_("A name cannot start with = + - or @."), code="formula")
        refuse_link(name)
        return name

    def clean_words(self) -> str:
        refuse_unreadable(self.cleaned_data["words"])
        return self.cleaned_data["words"]

    def clean_country(self) -> str:
        typed = self.cleaned_data["country"]
        country = countries.find(typed)
        if typed and country is None:
            raise ValidationError(
                _("We do not know a country by this name. Please check it, or leave the field empty."),
                code="invalid_choice",
            )
        return country or ""

    def clean_source(self) -> str:
        # Whether organisers know it is asked while signing.
        return self.cleaned_data["source"] if Source.is_tag(self.cleaned_data["source"]) else ""

    @property
    def opens_more(self) -> bool:
        """Whether the part that is closed at first holds an error, or something that was typed."""
        return any(self[name].errors or self[name].value() for name in ("name", "words", "shows_name", "country"))

    @property
    def doubted_address(self) -> str:
        """The address, if now or the last time it looked like a slip, else empty. Sent along, it is believed."""
        is_doubted = self.has_error("email", "likely_typo") or self["email_as_typed"].value()
        return tidy_address(self["email"].value() or "") if is_doubted else ""


def _corrected(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was sent, with the corrected address in place of the doubted one if the button beside that was pressed."""
    corrected, doubted = data.get("email_corrected"), data.get("email_as_typed")
    # Whoever has typed another address meanwhile, and then presses the wrong button, means what she typed.
    if not corrected or (doubted and tidy_address(data.get("email") or "") != doubted):
        return data
    return {name: data[name] for name in data} | {"email": corrected, "email_as_typed": ""}


class WithdrawForm(PublicForm):
    email = AddressField()


class SubscribeForm(PublicForm):
    email = AddressField()
    consent = forms.BooleanField(
        template_name=TICK,
        label=lazy(consent.wording_for_updates, str)(),
        error_messages={"required": _("Tick the box to agree. Without your consent we may not keep your address.")},
    )

    def clean_email(self) -> str:
        address = self.cleaned_data["email"]
        # Its list is opened by people with spreadsheets.
        if address.startswith(("=", "+", "-")):
            raise ValidationError(AddressField.default_error_messages["invalid"], code="formula")
        return address


class CodeForm(PublicForm):
    code = forms.CharField(
        label=_("Code"),
        help_text=_("Ten digits, like 1234-567-890."),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        error_messages={
            "required": _("Enter the code from the email."),
            "max_length": _("The code has ten digits, like 1234-567-890."),
        },
    )
