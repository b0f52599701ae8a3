from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from campaign.share import links, text_layout
from petition.form_fields import PublicForm
from petition.validators import refuse_unreadable, shown

WORDS_LENGTH = 280
POST_LENGTH = 500
TYPED_LENGTH = 5_000  # before spaces and invisible characters are taken out

FORMATS = [
    ("1200x630", _("Wide, 1200 × 630: for Telegram, X and Facebook")),
    ("1080x1080", _("Square, 1080 × 1080: for any feed")),
    ("1080x1920", _("Tall, 1080 × 1920: for stories")),
]
TOO_LONG = _("Please shorten your words to %(limit_value)d characters. Now there are %(show_value)d.")


class WordsForm(PublicForm):
    """A supporter's own words for the picture."""

    words = forms.CharField(
        label=_("Your words"),
        help_text=_("Up to 280 characters in Latin, Cyrillic, Greek, Arabic or Hebrew letters."),
        max_length=TYPED_LENGTH,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5, "dir": "auto", "data-limit": WORDS_LENGTH}),
        error_messages={"required": _("Write your words first."), "max_length": TOO_LONG},
    )
    size = forms.ChoiceField(
        label=_("Format"), choices=FORMATS, error_messages={"invalid_choice": _("Choose a format from the list.")}
    )

    def clean_words(self) -> str:
        words = text_layout.tidy(self.cleaned_data["words"])
        if not words:
            raise ValidationError(self.fields["words"].error_messages["required"], code="required")
        if len(words) > WORDS_LENGTH:
            raise ValidationError(TOO_LONG, params={"limit_value": WORDS_LENGTH, "show_value": len(words)})
        refuse_unreadable(words)
        if letter := text_layout.unknown(words):
            raise ValidationError(
                _(
                    "The picture cannot show “%(letter)s”. It can show Latin, Cyrillic, Greek, Arabic and Hebrew"
                    " letters, digits and punctuation. Please leave this character out."
                ),
                params={"letter": shown(letter)},
            )
        if text_layout.has_right_to_left(words) and not text_layout.can_shape():
            raise ValidationError(_("This site cannot draw Arabic or Hebrew letters at the moment."))
        return words


class PostForm(PublicForm):
    """The words that go along with the link."""

    text = forms.CharField(
        label=_("Your text"),
        help_text=_("Copy these words or change them. The link to the petition is added by itself."),
        max_length=POST_LENGTH,
        widget=forms.Textarea(attrs={"rows": 5, "dir": "auto", "data-limit": POST_LENGTH}),
        error_messages={"required": _("Write your text first."), "max_length": TOO_LONG},
    )
    host = forms.CharField(
        label=_("Your Mastodon server"),
        help_text=_("For example mastodon.social. Each server has a page of its own to post on."),
        required=False,
        # It stands below the form that it belongs to.
        widget=forms.TextInput(
            attrs={
                "form": "post",
                "inputmode": "url",
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
            }
        ),
    )

    def clean_text(self) -> str:
        refuse_unreadable(self.cleaned_data["text"])
        return self.cleaned_data["text"]

    def clean_host(self) -> str:
        if not self.cleaned_data["host"] and "mastodon" not in self.data:
            return ""
        try:
            return links.mastodon_host(self.cleaned_data["host"])
        except ValidationError:
            raise ValidationError(_("Enter the name of a server, for example mastodon.social.")) from None
