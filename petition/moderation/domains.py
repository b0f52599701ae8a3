"""Mail domains as moderators write them, and the ones that such a pattern stands for."""

import re
from fnmatch import fnmatchcase

from django.utils.encoding import punycode

from petition import identity
from petition.models import ListedDomain, SeenDomain


def known() -> set[str]:
    """The domains that we know by name. Of all others there is a digest alone: a private domain names a person."""
    listed = {name.removeprefix("*.") for name in ListedDomain.objects.values_list("domain", flat=True)}
    return listed | set(SeenDomain.objects.values_list("name", flat=True))


def clean(typed: str) -> str:
    """A domain or a pattern (* and ?) in the spelling that we compare. Raises ValueError."""
    text = typed.strip().lower()
    if not is_pattern(text):
        text = identity.domain(f"anyone@{punycode(text)}")
    if not re.fullmatch(r"([a-z0-9_*?-]+\.)*[a-z0-9_*?-]+", text) or not ("." in text or "*" in text):
        raise ValueError("This is no mail domain.")
    return text


def meant_by(pattern: str) -> list[str]:
    """The names that a cleaned domain or pattern stands for; a pattern for those alone that are known by name."""
    if not is_pattern(pattern):
        return [pattern]
    # As in the lists: *.example.org is example.org and all below it.
    own = pattern.removeprefix("*.")
    return sorted(name for name in known() if fnmatchcase(name, pattern) or fnmatchcase(name, own))


def is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def digests(names: list[str]) -> bytes:
    """What the domains look like on a signature, one after the other."""
    return b"".join(identity.domain_digest(f"anyone@{name}") for name in names)
