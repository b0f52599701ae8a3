"""Restoring a backup into an empty database, and putting right what has happened since it was made."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection

from petition import withdrawn_list
from petition.counts import tally
from petition.models import Signature
from petition.withdrawn_list import Applied

from . import postgres_tools

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"


class NotEmptyError(Exception):
    """There are tables in this database already."""


class UnreadableListError(Exception):
    """Nothing in it is a withdrawal: another file, perhaps, or one that is still encrypted."""


@dataclass(frozen=True)
class Restored:
    """`unmailed` have signed, and never got their mail; `is_recounted` if the tallies had to be put right."""

    withdrawn: Applied
    unmailed: int
    was_wrong: bool


def require_empty() -> None:
    """Raises NotEmptyError."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        if cursor.fetchone()[0]:
            raise NotEmptyError


def read_lists(lists: Iterable[Iterable[str]]) -> tuple[list[str], int]:
    """The lines of these lists, and how many of them are no withdrawals. Raises UnreadableListError.

    Before anything is restored: whoever has withdrawn must not be back because a list could not be read.
    """
    lines, unreadable = list[str](), 0
    for each in map(list, lists):
        withdrawn, bad = withdrawn_list.read(each)
        if bad and not withdrawn:
            raise UnreadableListError
        lines += each
        unreadable += bad
    return lines, unreadable


def restore(opened: Iterable[bytes], withdrawals: Iterable[str]) -> Restored:
    """Restore a dump, bring it to the newest migration, erase who has withdrawn since, and recount.

    Raises NotEmptyError and ToolError, and leaves the database empty then.
    """
    require_empty()
    withdrawn, _unreadable = withdrawn_list.read(withdrawals)
    postgres_tools.restore(opened, str(connection.settings_dict["NAME"]))
    call_command("migrate", interactive=False, verbosity=0)
    applied = withdrawn_list.apply(withdrawn)
    # Whose mail had not gone out can never be counted, though she may have got it since: so her link says "sign again".
    without_mail = Signature.objects.pending().filter(email_digest=None)
    unmailed = without_mail.count()
    without_mail.purge()
    found = tally.recount()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Restored(applied, unmailed, bool(found.difference or found.hours or found.days or found.standing))
