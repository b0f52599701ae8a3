from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    """Actions that are audited. The key is stored for two years, so it is never given another meaning."""

    LOGGED_IN = "logged_in", _("login")
    PASSWORD_ACCEPTED = "password_accepted", _("right password, second factor asked")
    LOGIN_FAILED = "login_failed", _("failed login")
    CODE_REFUSED = "code_refused", _("wrong code")
    BACKUP_CODE_USED = "backup_code_used", _("login with a backup code")
    LOGGED_OUT = "logged_out", _("logout")
    PASSWORD_CHANGED = "password_changed", _("own password changed")
    PASSWORD_SET = "password_set", _("password of an account set")
    PASSWORD_REFUSED = "password_refused", _("wrong password while logged in")
    SECOND_FACTOR_SET_UP = "second_factor_set_up", _("second factor set up")
    SECOND_FACTOR_RESET = "second_factor_reset", _("second factor of an account reset")
    BACKUP_CODES_MADE = "backup_codes_made", _("new backup codes")
    ADDED = "added", _("added")
    CHANGED = "changed", _("changed")
    DELETED = "deleted", _("deleted")
    PUBLISHED = "published", _("published")
    TAKEN_OFF = "taken_off", _("taken off the site")
    COUNTS_DOWNLOADED = "counts_downloaded", _("counts downloaded")
    LIST_EXPORTED = "list_exported", _("sealed mailing list exported")
    EXPORT_ASKED = "export_asked", _("large file of counts asked for")
    LETTER_DOWNLOADED = "letter_downloaded", _("letter for the addressee downloaded")
    TOKEN_REVOKED = "token_revoked", _("token for counts revoked")
    APPROVED = "approved", _("name and words approved")
    HIDDEN = "hidden", _("name and words hidden")
    APPROVAL_UNDONE = "approval_undone", _("approval taken back")
    HELD = "held", _("signatures held")
    RELEASED = "released", _("held signatures released")
    INVALIDATED = "invalidated", _("signatures invalidated")
    RESTORED = "restored", _("invalidated signatures restored")
    CAMPAIGN_APPLIED = "campaign_applied", _("campaign begun")
    CAMPAIGN_FINISHED = "campaign_finished", _("campaign finished")
    CAMPAIGN_ASKED = "campaign_asked", _("campaign waits for a second person")
    CAMPAIGN_APPROVED = "campaign_approved", _("campaign of somebody else approved")
    CAMPAIGN_CANCELLED = "campaign_cancelled", _("campaign stopped")
    CAMPAIGN_STOP_EXPLAINED = "campaign_stop_explained", _("said why a campaign was stopped")
    CAMPAIGN_UNDONE = "campaign_undone", _("undoing of a campaign begun")
    CAMPAIGN_UNDO_FINISHED = "campaign_undo_finished", _("campaign undone")
    SIGNATURE_SOUGHT = "signature_sought", _("asked for one signature")
    LOOKUP_APPROVED = "lookup_approved", _("question for a signature approved")
    LOOKUP_REFUSED = "lookup_refused", _("question for a signature refused")
    LOOKUP_ANSWERED = "lookup_answered", _("question for a signature answered")
    REHEARSED = "rehearsed", _("signing rehearsed")
    PETITION_ENDED = "petition_ended", _("petition ended for good")
    MAIL_TRIED_AGAIN = "mail_tried_again", _("mail tried again")
    SIGNAL_SETTLED = "signal_settled", _("signal of fakes marked as settled")
    SIGNAL_REOPENED = "signal_reopened", _("mark on a signal of fakes taken away")
    LISTING_PROPOSED = "listing_proposed", _("proposed for the lists")
    LISTING_CONFIRMED = "listing_confirmed", _("proposal for the lists confirmed")
    LISTING_REFUSED = "listing_refused", _("proposal for the lists refused")
    LOOKED_UP = "looked_up", _("signatures looked up")
    PAPER_COUNTED = "paper_counted", _("signatures on paper counted")
    PAPER_WITHDRAWN = "paper_withdrawn", _("signatures on paper withdrawn")
    NAMES_READ = "names_read", _("names of signers read within an hour")
    MANY_NAMES_READ = "many_names_read", _("more names of signers read within an hour than usual")


def actions() -> Sequence[tuple[str, str | Promise]]:
    # A function, so that a new action needs no migration.
    return Action.choices


# Decisions on names and words, which moderators read; all else in the log is for administrators.
OF_REVIEW = (Action.APPROVED, Action.HIDDEN, Action.APPROVAL_UNDONE)


class StaffActionQuerySet(models.QuerySet["StaffAction"]):
    def latest_first(self) -> Self:
        return self.order_by("-done_at", "-id")

    def of_review(self) -> Self:
        return self.filter(action__in=OF_REVIEW)

    def older_than_two_years(self) -> Self:
        # By the clock of the database, and a day later than its trigger begins to allow it.
        return self.filter(done_at__lt=Now() - timedelta(days=2 * 366))


class StaffAction(models.Model):
    """An entry of the audit log about one action of staff. It never changes, and stays for two years.

    It says nothing about signers: `about` names a row by its number, and the texts hold no address.
    """

    done_at = models.DateTimeField(_("when"), default=timezone.now)
    # No foreign key: the entry stays as it is when the account goes. Empty: nobody was logged in.
    user_id = models.BigIntegerField(_("account"), null=True)
    username = models.CharField(_("who"), max_length=150, blank=True)
    action = models.CharField(_("action"), max_length=30, choices=actions)
    petition = models.CharField(_("petition"), max_length=50, blank=True)
    about = models.CharField(_("about"), max_length=200, blank=True)
    detail = models.CharField(_("detail"), max_length=1000, blank=True)
    count = models.PositiveBigIntegerField(_("how many"), null=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    # Which canned reason was chosen, so that they can be counted; the words of it are part of `reason`.
    canned_reason = models.BigIntegerField(null=True)

    objects = StaffActionQuerySet.as_manager()

    class Meta:
        verbose_name = _("entry of the audit log")
        verbose_name_plural = _("audit log")
        # A trigger sees to it that the log only grows: `petition/migrations/0002_audit_log_and_unlogged_tables.py`.
        constraints = [
            models.CheckConstraint(
                condition=~Q(detail__contains="@") & ~Q(reason__contains="@"), name="the_audit_log_holds_no_address"
            )
        ]
        # One for each filter of the page, which shows the latest first.
        indexes = [
            models.Index("done_at", name="audit_log_by_time"),
            models.Index("user_id", "done_at", name="audit_log_by_account"),
            models.Index("action", "done_at", name="audit_log_by_action"),
            models.Index("petition", "done_at", name="audit_log_by_petition"),
            models.Index("about", "done_at", name="audit_log_by_subject"),
        ]

    def __str__(self) -> str:
        return f"entry {self.pk} of the audit log"

    @property
    def signatures(self) -> list[int]:
        """The numbers of the signatures that a decision was about."""
        numbers = self.about.removeprefix("signature ") or self.detail
        return [int(number) for number in numbers.split(", ") if number.isdecimal()]
