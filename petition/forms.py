"""Forms of signers: to sign, to confirm with a code, to withdraw; and the rules for what may be typed into them."""

import difflib
from functools import lru_cache

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from petition import consent
from petition.countries import CODES, CountrySelect
from petition.form_fields import AddressField, HoneypotField, PublicForm
from petition.models import Source
from petition.validators import refuse_link, refuse_unreadable

TICK = "petition/tick.html"


class SignForm(PublicForm):
    """Answers of a signer. `cleaned_data` holds the fields of `signing.Answers`, and the honeypot `website`."""

    email = AddressField(
        help_text=_(
            "We send one email to this address, with a link to confirm. It is never published, and not kept in readable"
            " form."
        )
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
        label=_("Show my name and my words on this site"),
        help_text=_("Only after a moderator has read them. Without this tick nothing about you is shown."),
        required=False,
    )
    country = forms.CharField(label=_("Country"), required=False, widget=CountrySelect)
    consent = forms.BooleanField(
        template_name=TICK,
        label=lazy(consent.wording, str)(),
        error_messages={"required": _("Tick the box to agree. Without your consent we may not store your signature.")},
    )
    website = HoneypotField()
    source = forms.CharField(required=False, widget=forms.HiddenInput)
    email_as_typed = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean_email(self) -> str:
        address = self.cleaned_data["email"]
        meant = likely_domain(address.rpartition("@")[2].lower())
        if meant and self.data.get("email_as_typed", "").strip() != address:
            raise ValidationError(
                _("Did you mean %(suggestion)s? If so, correct the address. If it is right, press Sign again."),
                code="likely_typo",
                params={"suggestion": f"{address.rpartition('@')[0]}@{meant}"},
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
        country = self.cleaned_data["country"]
        if country and country not in CODES:
            raise ValidationError(_("Choose a country from the list, or leave it open."), code="invalid_choice")
        return country

    def clean_source(self) -> str:
        # Whether organisers know it is asked while signing.
        return self.cleaned_data["source"] if Source.is_tag(self.cleaned_data["source"]) else ""

    @property
    def doubted_address(self) -> str:
        """The address, if now or the last time it looked like a slip, else empty. Sent along, it is believed."""
        is_doubted = self.has_error("email", "likely_typo") or self["email_as_typed"].value()
        return self["email"].value() if is_doubted else ""


class WithdrawForm(PublicForm):
    email = AddressField()


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


# Where a slip of the finger is likely to end. What is listed is never doubted, so near misses that exist are in it.
COMMON_DOMAINS = """
    gmail.com googlemail.com mail.com email.com ymail.com yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.es yahoo.it
    hotmail.com hotmail.co.uk hotmail.fr hotmail.de hotmail.es hotmail.it outlook.com outlook.de outlook.fr outlook.es
    live.com live.de live.fr live.nl msn.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.at gmx.ch gmx.com
    web.de t-online.de freenet.de posteo.de posteo.net mailbox.org orange.fr free.fr laposte.net wanadoo.fr libero.it
    tiscali.it ziggo.nl hetnet.nl telenet.be skynet.be wp.pl onet.pl interia.pl seznam.cz centrum.cz ukr.net i.ua
    mail.ru list.ru bk.ru inbox.ru internet.ru yandex.ru yandex.com ya.ru rambler.ru proton.me protonmail.com pm.me
    tutanota.com tuta.com tuta.io riseup.net fastmail.com hey.com zoho.com comcast.net verizon.net att.net
""".split()
LIKENESS = 0.85  # gmial.com and gmail.com; below it unrelated names are taken for slips


@lru_cache(maxsize=1_000)
def likely_domain(domain: str) -> str | None:
    """The common mail domain that this one was probably meant to be; None if it is common itself or like none."""
    if domain in COMMON_DOMAINS:
        return None
    return next(iter(difflib.get_close_matches(domain, COMMON_DOMAINS, n=1, cutoff=LIKENESS)), None)
