"""Look-up of one signature, for a signer who writes in: one administrator asks, another one approves.

The web holds no digest key, so the address is sealed for the worker, as that of a mail is. The worker answers with the
digest, once a second administrator has approved. Where there is no second one it does so after a day; until then the
start page of every administrator says so.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone
from nacl.exceptions import CryptoError

from petition import identity
from petition.mail import keys
from petition.mail.keys import Keyring
from petition.models import Action, Lookup, Petition, Signature, StaffAction
from petition.models.audit import StaffActionQuerySet
from petition.staff import audit

logger = logging.getLogger(__name__)

PER_DAY = 10  # for the whole site
ALONE = timedelta(days=1)
# An administrator who has just shut out the others is not alone: they have so long to notice.
AFTER_CHANGED_ACCOUNTS = timedelta(days=7)
NEW = timedelta(days=1)
TOLD_DAYS = 30
SHOWN = 10
# One question at a time is counted. Any number will do, as long as nothing else uses it.
ASKING_LOCK = 7_401_850_419

# What puts an account, or somebody else in its place, into the hands of an administrator.
HANDED_OVER = (Action.ADDED, Action.CHANGED, Action.PASSWORD_SET, Action.SECOND_FACTOR_RESET)


class TooOftenError(Exception):
    """Ten signatures have been looked for within a day."""


class TooNewError(Exception):
    """This account has not been an administrator's for a day."""


class NotAnotherError(Exception):
    """One of the two has made or changed the other's account: they may be one person."""


def administrators() -> QuerySet[User]:
    """The accounts that may look for a signature."""
    is_one = Q(groups__name="administrator") | Q(is_superuser=True)
    return User.objects.filter(is_one, is_active=True, is_staff=True).distinct()


def is_new(user: User) -> bool:
    """Whether this account was made, or changed by somebody, within a day.

    By the audit log, which nobody can change and which has an entry for every way to come by an account: a new one, a
    new role, a new name, a new password or second factor for somebody else's. A changed name is an entry under the new
    one, so none is out of reach of this.
    """
    since = timezone.now() - NEW
    changed = StaffAction.objects.filter(about=audit.name(user), action__in=HANDED_OVER, done_at__gt=since)
    return user.date_joined > since or changed.exists()


def ask(user: User, address: str, reason: str) -> Lookup:
    """Store the question. The audit log says who asked and why, and is what counts the questions of a day.

    Raises TooNewError, TooOftenError, NoKeyError, and ValueError for what is no address.
    """
    identity.normalise(address)
    if is_new(user):
        raise TooNewError
    return keys.with_newest(lambda half: _store(user, half.key, half.seal(keys.Opened(address, "")), reason))


def _store(user: User, key: int, sealed: bytes, reason: str) -> Lookup:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ASKING_LOCK])
        if asked_since(timedelta(days=1)).count() >= PER_DAY:
            raise TooOftenError
        question = Lookup.objects.create(asked_by=user.pk, reason=reason, address=sealed, key_id=key)
        audit.record(user, Action.SIGNATURE_SOUGHT, about=question, reason=reason)
        return question


def asked_since(time: timedelta) -> StaffActionQuerySet:
    return StaffAction.objects.filter(action=Action.SIGNATURE_SOUGHT, done_at__gt=timezone.now() - time)


def approve(user: User, pk: int) -> bool:
    """Let the worker answer; False if somebody has decided already, or it is this account's own.

    Raises TooNewError and NotAnotherError.
    """
    if is_new(user):
        raise TooNewError
    with transaction.atomic():
        others = Lookup.objects.to_be_approved().filter(pk=pk).exclude(asked_by=user.pk)
        if any(are_linked(user, asker) for asker in User.objects.filter(pk__in=others.values("asked_by"))):
            raise NotAnotherError
        if not others.update(approved_by=user.pk, approved_at=timezone.now()):
            return False
        audit.record(user, Action.LOOKUP_APPROVED, about=f"lookup {pk}")
        return True


def are_linked(one: User, other: User) -> bool:
    """Whether one of them has had the other's account in hand within 30 days, by the audit log."""
    since = timezone.now() - timedelta(days=TOLD_DAYS)
    entries = StaffAction.objects.filter(action__in=HANDED_OVER, done_at__gt=since)
    return entries.filter(
        Q(username=one.username, about=audit.name(other)) | Q(username=other.username, about=audit.name(one))
    ).exists()


def refuse(user: User, pk: int) -> bool:
    """Delete a question, one's own as well; False if it is answered or gone."""
    with transaction.atomic():
        if not Lookup.objects.waiting().filter(pk=pk).delete()[0]:
            return False
        audit.record(user, Action.LOOKUP_REFUSED, about=f"lookup {pk}")
        return True


def alone_until(question: Lookup) -> datetime | None:
    """When the worker answers without a second administrator; None while there is one, who has to approve.

    Somebody whose account the asker has had in hand is no second one. Whoever changes or deletes accounts to be alone
    waits a week from then.
    """
    asker = User.objects.filter(pk=question.asked_by).first()
    others = administrators().exclude(pk=question.asked_by)
    if any(asker is None or not are_linked(other, asker) for other in others):
        return None
    touched = StaffAction.objects.filter(about__startswith="user ", action__in=[Action.CHANGED, Action.DELETED])
    last = touched.aggregate(last=Max("done_at"))["last"]
    return max(question.asked_at + ALONE, last + AFTER_CHANGED_ACCOUNTS if last else question.asked_at)


def answer_due(ring: Keyring) -> int:
    """The worker's part: answer the questions that may be, as far as their keys are here; return how many.

    Answers that have had their hour go at the same time.
    """
    Lookup.objects.ended().delete()
    return sum(_answer(question, ring) for question in _due(ring.ids()))


def _due(keys_here: list[int]) -> Iterable[Lookup]:
    for question in Lookup.objects.waiting().filter(key__in=keys_here):
        alone = None if question.approved_at else alone_until(question)
        if question.approved_at or (alone and alone <= timezone.now()):
            yield question


def _answer(question: Lookup, ring: Keyring) -> bool:
    asker = administrators().filter(pk=question.asked_by).first()
    if asker is None:
        # Whoever asked may not know any more.
        question.delete()
        return False
    try:
        digest = identity.email_digest(ring.open(question.key_id or 0, bytes(question.address)).address)
    except (CryptoError, ValueError):
        logger.warning("%s was not sealed with its key; deleted", question)
        question.delete()
        return False
    with transaction.atomic():
        this = Lookup.objects.waiting().filter(pk=question.pk)
        if not this.update(answered_at=timezone.now(), email_digest=digest, address=b"", key=None):
            return False
        audit.record(asker, Action.LOOKUP_ANSWERED, about=question)
        return True


def found(question: Lookup) -> list[Signature]:
    """The signatures that an answer is about, pending ones included."""
    petitions = Petition.objects.values_list("pk", flat=True)
    rows = Signature.objects.of_addresses(petitions, [bytes(question.email_digest or b"")])
    return list(rows.select_related("petition").order_by("petition_id", "-confirmed_at", "pk")[:SHOWN])
