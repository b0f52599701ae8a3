"""Drafts of texts: saving them, publishing them, and the versions that were published.

A save names the number of the version that its writer had before her. If somebody has saved a newer one meanwhile, it
is refused. What readers see changes in `publish` and in `take_off` alone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from petition.models import Action, Draft, TextVersion
from petition.models.texts import SHARED, Drafted

from . import audit

Row = TypeVar("Row", bound=Drafted)
Staff = User | AnonymousUser
# Not texts: when a row is shown, and a picture, which is large.
NOT_IN_VERSIONS = {"published_at", "picture"}


class NewerVersionError(Exception):
    """Somebody has saved a newer version than the one that was changed. Nothing was saved."""


@dataclass(frozen=True)
class Seen:
    """The numbers of the drafts that a form was made from: in its language, and of what all languages share."""

    own: int = 0
    shared: int = 0

    def __str__(self) -> str:
        return f"{self.own}.{self.shared}"

    @classmethod
    def read(cls, text: str) -> "Seen":
        """What `str` wrote. Anything else is a form that has seen nothing."""
        own, _dot, shared = text.partition(".")
        return cls(int(own), int(shared)) if (own + shared).isdecimal() and own and shared else cls()


def seen(row: Drafted, language: str) -> Seen:
    numbers = dict(Draft.objects.about(row).values_list("language", "number"))
    return Seen(numbers.get(language, 0), numbers.get(SHARED, 0))


def lay_over(row: Drafted, language: str) -> None:
    """Set the row, without saving it, to what the drafts in this language and of all languages say."""
    for draft in Draft.objects.about(row).waiting().filter(language__in=(SHARED, language)):
        row.take(draft.language, draft.values)
    row.set_current_language(language)


def lock(row: Row) -> Row:
    """The row as it is, locked against other saves, but not against signatures, which refer to their petition."""
    locked: Row = type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
    return locked


@transaction.atomic
def save(user: Staff, row: Drafted, language: str, was: Seen) -> bool:
    """Save what the row says in this language as a draft; False if that stands there already.

    Raises NewerVersionError if the draft is not the one that its writer has seen.
    """
    stands = lock(row)
    is_draft = stands.is_draft
    lay_over(stands, language)
    changed = False
    for part, number in ((SHARED, was.shared), (language, was.own)):
        values = row.drafted_values(part)
        if values != stands.drafted_values(part):
            write(user, row, part, values, number)
            changed = True
    if changed and is_draft:
        # No reader sees any of it, so the lists of the admin may.
        stands.take(SHARED, {**row.drafted_values(SHARED), "published_at": None})
        stands.take(language, row.drafted_values(language))
        stands.save()
    return changed


def write(user: Staff, row: Drafted, language: str, values: dict[str, Any], number: int) -> None:
    """Write the draft that follows this number; 0 is the first one. Raises NewerVersionError if it is there already."""
    told = {"values": values, "saved_at": timezone.now(), "user_id": user.pk, "username": user.get_username()}
    if number:
        found = Draft.objects.about(row).filter(language=language, number=number)
        is_written = found.update(number=F("number") + 1, **told) == 1
    else:
        _draft, is_written = Draft.objects.get_or_create(
            kind=row._meta.label_lower, row=str(row.pk), language=language, defaults=told
        )
    if not is_written:
        raise NewerVersionError


def waiting(row: Drafted) -> list[Draft]:
    """The drafts of a row that differ from what is or will be shown, that of all languages first."""
    return list(Draft.objects.about(row).waiting().order_by("language"))


def lacking(row: Drafted) -> list[str]:
    """The languages that every text should have, and in which nobody has written this one."""
    there = {*row.get_available_languages(), *(draft.language for draft in waiting(row))}
    return [code for code in settings.COMPLETE_LANGUAGES if code not in there]


def stamp(row: Drafted) -> str:
    """The numbers of all drafts of a row, so that nobody publishes what she has not seen."""
    return ",".join(f"{draft.language}:{draft.number}" for draft in waiting(row))


@transaction.atomic
def publish(user: Staff, row: Row, languages: Collection[str], was: str | None = None) -> list[str]:
    """Show readers the drafts in these languages; return those in which the text has changed by that.

    A row that was a draft is shown in all languages that it has. Raises NewerVersionError if `was` is another stamp.
    """
    public = lock(row)
    if was is not None and was != stamp(row):
        raise NewerVersionError
    if public.is_published:
        # What the site starts with, and what was changed elsewhere, has left no version.
        keep_versions(None, public)
    published = [draft for draft in waiting(row) if public.is_draft or draft.language in {SHARED, *languages}]
    if not published and not public.is_draft:
        return []
    for draft in published:
        public.take(draft.language, draft.values or {})
    if hasattr(public, "published_at"):
        public.published_at = public.published_at or timezone.now()
    public.save()
    Draft.objects.filter(pk__in=[draft.pk for draft in published]).update(values=None)
    changed = keep_versions(user, public)
    audit.record(user, Action.PUBLISHED, about=public, detail=", ".join(changed))
    return changed


def keep_versions(user: Staff | None, row: Drafted) -> list[str]:
    """Keep what the row says now, in each language in which the last version says something else."""
    changed = []
    for language in row.get_available_languages().order_by("language_code"):
        values = version_values(row, language)
        last = TextVersion.objects.about(row).filter(language=language).order_by("-pk").first()
        if last and last.values == values:
            continue
        changed.append(language)
        if row.keeps_versions:
            TextVersion.objects.create(
                kind=row._meta.label_lower,
                row=str(row.pk),
                language=language,
                values=values,
                user_id=user.pk if user else None,
                username=user.get_username() if user else "",
            )
    return changed


def version_values(row: Drafted, language: str) -> dict[str, Any]:
    values = {**row.drafted_values(language), **row.drafted_values(SHARED)}
    return {name: value for name, value in values.items() if name not in NOT_IN_VERSIONS}


@transaction.atomic
def take_off(user: Staff, row: Drafted, reason: str) -> bool:
    """Make a published row a draft again, which no reader sees; False if it is one."""
    public = lock(row)
    if public.is_published:
        keep_versions(None, public)
    shown = type(row)._default_manager.filter(pk=row.pk, published_at__isnull=False)
    taken: bool = shown.update(published_at=None) == 1
    if taken:
        # The draft would bring the time back with the next save.
        for draft in Draft.objects.about(row).waiting().filter(language=SHARED):
            Draft.objects.filter(pk=draft.pk).update(values=draft.values | {"published_at": None})
        audit.record(user, Action.TAKEN_OFF, about=row, reason=reason)
    return taken


def forget(row: Drafted) -> None:
    """Delete the drafts of a row that goes, or whose key another one had before. Versions stay: they were public."""
    Draft.objects.about(row).delete()
