from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .mail import OutboxKey

ANSWER_MINUTES = 60
QUESTION_DAYS = 14


class LookupQuerySet(models.QuerySet["Lookup"]):
    def waiting(self) -> Self:
        """Those that the worker has not answered."""
        return self.filter(answered_at=None)

    def to_be_approved(self) -> Self:
        return self.waiting().filter(approved_at=None)

    def answers_for(self, user_id: int | None) -> Self:
        """What this account may see, for an hour."""
        return self.filter(asked_by=user_id, answered_at__gt=timezone.now() - timedelta(minutes=ANSWER_MINUTES))

    def ended(self) -> Self:
        """Answers that have had their hour, and questions that nobody approved in two weeks."""
        now = timezone.now()
        return self.filter(
            Q(answered_at__lte=now - timedelta(minutes=ANSWER_MINUTES))
            | Q(answered_at=None, asked_at__lte=now - timedelta(days=QUESTION_DAYS))
        )


class Lookup(models.Model):
    """A question for one signature. The address in it is sealed for the worker, which alone can make its digest.

    It takes two administrators (`petition.lookup`). The audit log keeps who asked and why; this row, with
    question and answer, goes an hour after the answer.
    """

    # No foreign keys: accounts go.
    asked_by = models.BigIntegerField(_("asked by"))
    reason = models.CharField(_("reason"), max_length=500)
    asked_at = models.DateTimeField(_("asked at"), default=timezone.now)
    address = models.BinaryField(help_text="A libsodium sealed box: only the worker with its key can open it.")
    key = models.ForeignKey(OutboxKey, models.DO_NOTHING, null=True, db_index=False)
    approved_by = models.BigIntegerField(_("approved by"), null=True)
    approved_at = models.DateTimeField(_("approved at"), null=True)
    answered_at = models.DateTimeField(_("answered at"), null=True)
    email_digest = models.BinaryField(max_length=32, null=True)

    objects = LookupQuerySet.as_manager()

    class Meta:
        verbose_name = _("find one signature")
        verbose_name_plural = _("find one signature")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(approved_by=None) | ~Q(approved_by=F("asked_by")), name="nobody_approves_her_own_question"
            ),
            models.CheckConstraint(
                condition=Q(answered_at=None, email_digest=None)
                | Q(answered_at__isnull=False, email_digest__isnull=False, key=None, address=b""),
                name="an_answered_question_holds_no_address",
            ),
        ]

    def __str__(self) -> str:
        return f"lookup {self.pk}"
