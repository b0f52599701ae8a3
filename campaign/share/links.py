"""Texts to post, and links that carry them to social networks. Our pages load nothing from those networks."""

from dataclasses import dataclass
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator
from django.utils.encoding import punycode
from django.utils.translation import get_language, gettext, gettext_noop, pgettext

# Short enough for a post on X or Bluesky together with the link.
SUGGESTIONS = [
    gettext_noop(
        "The crimes against LGBT people in Chechnya must be investigated, and all those responsible brought to justice."
        " Add your voice. #100forjustice"
    ),
    gettext_noop(
        "People in Chechnya were kidnapped and tortured, and some were killed, because of whom they love or who they"
        " are. No criminal case was opened. I ask for an effective investigation. #100forjustice"
    ),
    gettext_noop(
        "I believe it was attention from all over the world that made the Russian authorities speak about the"
        " persecution in Chechnya. Here is mine. #100forjustice"
    ),
]

# Address of each network's own form, with places for the text and the link.
NETWORKS = {
    "Telegram": "https://t.me/share/url?url={link}&text={text}",
    "WhatsApp": "https://wa.me/?text={text}%20{link}",
    "Bluesky": "https://bsky.app/intent/compose?text={text}%20{link}",
    "X": "https://x.com/intent/post?text={text}&url={link}",
    # Facebook takes the link alone, without a text.
    "Facebook": "https://www.facebook.com/sharer/sharer.php?u={link}",
}
MASTODON = "https://{host}/share?text={text}%20{link}"
EMAIL = "mailto:?subject={subject}&body={text}%0D%0A%0D%0A{link}"


def of_a_signer() -> str:
    """The text of somebody who has just signed."""
    return gettext(
        "I have signed. The crimes against LGBT people in Chechnya must be investigated, and all those responsible"
        " brought to justice. Sign too. #100forjustice"
    )


def suggestions() -> list[str]:
    return [gettext(text) for text in SUGGESTIONS]


def with_suggestion(typed: dict[str, str]) -> dict[str, str]:
    """The data of the form, with the suggestion as text if its button was pressed."""
    numbered = {str(number): text for number, text in enumerate(suggestions())}
    return typed | {"text": numbered.get(typed.get("suggestion", ""), typed.get("text", ""))}


@dataclass(frozen=True)
class Link:
    """A link to a network. In `pattern` the script of the page puts the text that is typed in place of `{text}`."""

    name: str
    pattern: str
    text: str

    @property
    def address(self) -> str:
        return self.pattern.replace("{text}", quote(self.text, safe=""))

    @property
    def takes_words(self) -> bool:
        return "{text}" in self.pattern


def address(source: str) -> str:
    """Address of the home page to post, tagged with the partner whose link brought the reader here."""
    return f"{settings.SITE_URL}/{get_language()}/" + (f"?from={source}" if source else "")


def links(text: str, source: str) -> list[Link]:
    # Anyone who looks over a shoulder can read the subjects in a mailbox, so this one names no cause.
    subject = gettext("Please read this")
    patterns = {**NETWORKS, pgettext("a way to share", "Email"): EMAIL.replace("{subject}", quote(subject))}
    return [Link(name, filled(pattern, source), text) for name, pattern in patterns.items()]


def on_mastodon(host: str, text: str, source: str) -> Link:
    return Link(host, filled(MASTODON, source).replace("{host}", host), text)


def filled(pattern: str, source: str) -> str:
    return pattern.replace("{link}", quote(address(source), safe=""))


def mastodon_host(typed: str) -> str:
    """The host name in an address, a handle or a name. Raises ValidationError if there is none."""
    host = typed.strip().lower()
    host = host.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    DomainNameValidator()(host)
    try:
        name = punycode(host)
    except UnicodeError:
        name = ""
    # `punycode` follows the older standard for domain names, in which these letters lead to another domain.
    if not name or set(host) & set("ßς"):
        raise ValidationError("")
    return name
