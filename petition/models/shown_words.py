from datetime import timedelta
from typing import Self

import pgtrigger
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .signature import Signature, WholeHour, this_hour

# The shape of a name that has more in it than letters: of "Anna1984" it is a9, of "olga_7" a_9. Regular expressions are
# what costs most in finding anomalies, so letters are all that they look for.
SHAPE = r"""CASE WHEN translate(name, '0123456789_*+=/#&~|<>^', '') <> name
    THEN replace(replace(replace(
        regexp_replace(translate(name, '012345678', '999999999'), '[[:alpha:]]+', 'a', 'g'),
    '999', '9'), '99', '9'), '99', '9') END"""
NAME = "nullif(lower(btrim(name)), '')"
WORDS = "nullif(lower(btrim(words)), '')"
ALIKE = {"name": NAME, "shape": SHAPE, "words": WORDS}

# A moderator decides about these words, not about others of the same address that she has not read: so the links that
# would show them lose theirs, and those that would show others keep them. It is the same for a link that counted and
# for one whose press only changed what an older signature shows.
OF_LINKS = """
    rows AS (
        SELECT signature_id, name, words FROM hidden
        UNION ALL
        SELECT pending.id, hidden.name, hidden.words
        FROM hidden JOIN petition_signature shown ON shown.id = hidden.signature_id
            JOIN petition_signature pending ON pending.petition_id = shown.petition_id
                AND pending.email_digest = shown.email_digest AND pending.confirmed_at IS NULL
    ), emptied AS (
        UPDATE petition_link link SET {emptied} FROM rows
        WHERE link.signature_id = rows.signature_id AND (link.name <> '' OR link.words <> '')
            AND (link.name, link.words) = (rows.name, rows.words)
    )
"""
HIDE = f"""
    WITH hidden AS (
        DELETE FROM petition_shownwords WHERE signature_id = ANY(%(ids)s) RETURNING signature_id, name, words
    ), {OF_LINKS.format(emptied="name = '', words = '', country = ''")}
    SELECT count(*) FROM hidden
"""
HIDE_PART = {
    part: f"""
    WITH hidden AS (
        SELECT signature_id, name, words FROM petition_shownwords
        WHERE signature_id = ANY(%(ids)s) AND name <> '' AND words <> ''
    ), {OF_LINKS.format(emptied=f"{part} = ''")}, erased AS (
        UPDATE petition_shownwords shown SET {part} = '' FROM hidden WHERE shown.signature_id = hidden.signature_id
    )
    SELECT count(*) FROM hidden
"""
    for part in ("name", "words")
}


def alike(kind: str) -> models.Func:
    """One of ALIKE as an expression: two that have the same value of it are alike."""
    return models.Func(template=ALIKE[kind], output_field=models.TextField())


class ShownWordsQuerySet(models.QuerySet["ShownWords"]):
    def of_counted(self) -> Self:
        is_counted = {"confirmed_at__isnull": False, "held_at": None, "invalidated_at": None}
        return self.filter(**{f"signature__{name}": value for name, value in is_counted.items()})

    def awaiting_review(self) -> Self:
        """Those that a moderator has yet to approve or hide."""
        return self.of_counted().filter(approved_at=None)

    def public(self) -> Self:
        """What everybody may read."""
        return self.of_counted().filter(approved_at__isnull=False)

    def never_reviewed(self) -> Self:
        """Those that nobody has approved for so long that nobody will."""
        return self.filter(approved_at=None, asked_at__lt=timezone.now() - timedelta(days=settings.REVIEW_DAYS))

    def approve(self) -> int:
        """Let these be shown; return how many."""
        return self.update(approved_at=this_hour())

    def take_approval_back(self) -> int:
        """Let these wait for another decision; return how many."""
        return self.update(approved_at=None)

    def hide(self) -> int:
        """Erase these, here and in the links that would show them; return how many. The signatures count on."""
        return self._erase(HIDE)

    def hide_part(self, part: str) -> int:
        """Erase the "name" or the "words" of those that have both, as `hide` does; the rest waits to be approved."""
        return self._erase(HIDE_PART[part])

    def _erase(self, statement: str) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            ids = list(self.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
            cursor.execute(statement, {"ids": ids})
            return int(cursor.fetchone()[0])


class ShownWords(models.Model):
    """The name and the words that the signer of a confirmed signature wants shown, until a moderator hides them.

    They have a small table of their own, which forgets what is deleted from it within the hour (`petition.forgetting`):
    a signature itself holds nothing that a person wrote.
    """

    # Deleted by a trigger together with its signature: a key that Django or PostgreSQL followed would not survive that
    # the rows of signatures are shuffled.
    signature = models.OneToOneField(
        Signature,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="shown",
        verbose_name=_("signature"),
    )
    name = models.CharField(_("name"), max_length=100, blank=True, default="", db_default="")
    words = models.CharField(_("words of support"), max_length=500, blank=True, default="", db_default="")
    language = models.CharField(_("language"), max_length=10)
    asked_at = models.DateTimeField(_("asked for at"), default=this_hour)
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)

    objects = ShownWordsQuerySet.as_manager()

    class Meta:
        verbose_name = _("name and words")
        verbose_name_plural = _("names and words")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=~Q(name="", words=""), name="there_is_a_name_or_words_to_show"),
            models.CheckConstraint(
                condition=Q(WholeHour("asked_at"), WholeHour("approved_at")), name="times_of_words_are_whole_hours"
            ),
        ]
        indexes = [
            models.Index("asked_at", "signature", condition=Q(approved_at=None), name="words_to_review"),
            # Serves the words of support that are shown, newest approved first.
            models.Index(
                F("approved_at").desc(),
                F("signature").desc(),
                condition=Q(approved_at__isnull=False) & ~Q(words=""),
                name="words_shown",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="clear_approval",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("name", "words"),
                condition=pgtrigger.AnyChange("name", "words"),
                # What a moderator approved is what she read; other words need another look.
                func="NEW.approved_at = NULL; RETURN NEW;",
            )
        ]

    def __str__(self) -> str:
        return f"signature {self.pk}"

    @property
    def country(self) -> str:
        return self.signature.country
