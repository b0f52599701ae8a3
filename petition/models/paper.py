from typing import Self

import pgtrigger
from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

NO_ADDRESS = RegexValidator("@", _("Write no address here."), inverse_match=True)


class PaperSheetsQuerySet(models.QuerySet["PaperSheets"]):
    def counted(self) -> Self:
        """Those that are part of the public number; `petition.counts.tally.ON_PAPER` asks the same."""
        return self.filter(checked_at__isnull=False, withdrawn_at=None)

    def waiting(self) -> Self:
        """Those that somebody else than who entered them has yet to look at."""
        return self.filter(checked_at=None, withdrawn_at=None)

    def total(self) -> int:
        return self.aggregate(total=Sum("amount"))["total"] or 0

    def check_by(self, user_id: int) -> int:
        """Count these, as far as they wait and another account entered them; return how many changed."""
        others = self.waiting().exclude(entered_by=user_id)
        return others.update(checked_at=timezone.now(), checked_by=user_id)

    def withdraw(self) -> int:
        """Take these out of the count, or out of what waits, for good; return how many changed."""
        return self.filter(withdrawn_at=None).update(withdrawn_at=timezone.now())


class PaperSheets(models.Model):
    """A bundle of sheets with signatures on paper: how many, counted by whom, where they lie. No name of any signer.

    It counts once a second account has looked at it. The table only grows: a mistake is withdrawn and entered anew.
    """

    petition = models.ForeignKey("petition.Petition", models.CASCADE, verbose_name=_("petition"))
    collected_on = models.DateField(_("collected on"), help_text=_("The last day, if it was several."))
    place = models.CharField(
        _("place"),
        max_length=100,
        validators=[NO_ADDRESS],
        help_text=_("A city or a country, nothing smaller: who signed there must not be found by it."),
    )
    amount = models.PositiveIntegerField(
        _("how many"),
        validators=[MinValueValidator(1)],
        help_text=_("Counted, without empty, crossed-out and double lines."),
    )
    counted_by = models.CharField(
        _("counted by"),
        max_length=100,
        validators=[NO_ADDRESS],
        help_text=_("A group or an office, no name of a person: “Amnesty Berlin, two volunteers”."),
    )
    kept_at = models.CharField(
        _("where the sheets lie"),
        max_length=200,
        validators=[NO_ADDRESS],
        help_text=_("So that somebody can be shown them: “the organisation's safe, folder 3”. No private address."),
    )
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("entered by"),
    )
    entered_at = models.DateTimeField(_("entered at"), default=timezone.now, editable=False)
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("second look by"),
    )
    checked_at = models.DateTimeField(_("counted since"), null=True, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, editable=False)

    objects = PaperSheetsQuerySet.as_manager()

    class Meta:
        verbose_name = _("signatures on paper")
        verbose_name_plural = _("signatures on paper")
        default_permissions = ("add", "view")
        permissions = [("check_papersheets", "Can count signatures on paper that another entered, and withdraw them")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="sheets_hold_a_signature"),
            models.CheckConstraint(
                # An account that was deleted since is nobody's, so it proves nothing either way.
                condition=Q(checked_by=None) | Q(entered_by=None) | ~Q(checked_by=F("entered_by")),
                name="nobody_checks_her_own_sheets",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="sheets_are_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="sheets_never_change",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                # They are looked at once, withdrawn once, and an account that is deleted leaves them.
                func="""
                    IF (OLD.petition_id, OLD.collected_on, OLD.place, OLD.amount, OLD.counted_by, OLD.kept_at,
                        OLD.entered_at, coalesce(OLD.checked_at, NEW.checked_at),
                        coalesce(OLD.withdrawn_at, NEW.withdrawn_at))
                        IS DISTINCT FROM
                        (NEW.petition_id, NEW.collected_on, NEW.place, NEW.amount, NEW.counted_by, NEW.kept_at,
                        NEW.entered_at, NEW.checked_at, NEW.withdrawn_at)
                        OR (NEW.checked_at IS DISTINCT FROM OLD.checked_at AND OLD.withdrawn_at IS NOT NULL)
                        OR NEW.entered_by_id <> coalesce(OLD.entered_by_id, -1)
                        OR (NEW.checked_by_id <> coalesce(OLD.checked_by_id, -1) AND OLD.checked_at IS NOT NULL)
                    THEN
                        RAISE EXCEPTION 'Sheets that were entered do not change: withdraw them and enter them anew.'
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"sheets {self.pk}"

    @property
    def is_counted(self) -> bool:
        return self.checked_at is not None and self.withdrawn_at is None

    @property
    def is_waiting(self) -> bool:
        return self.checked_at is None and self.withdrawn_at is None
