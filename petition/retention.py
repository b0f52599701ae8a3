"""What is deleted by the clock. `docs/privacy.md` promises these times."""

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from petition import clock, withdrawn_list
from petition.models import (
    AddressMark,
    AnomalyMark,
    CountsExport,
    DailySalt,
    InvalidationCampaign,
    Link,
    ListedDomain,
    ListedNetwork,
    Lookup,
    OutgoingMail,
    ProposedListing,
    Retention,
    ReviewClaim,
    Sample,
    SeenDomain,
    ShownWords,
    Signature,
    StaffAction,
    Subscription,
    SubscriptionRequest,
)
from petition.models.counts import EXPORT_HOURS
from petition.models.domains import KEPT_DAYS
from petition.models.lookup import QUESTION_DAYS
from petition.models.samples import KEPT_DAYS as SAMPLE_DAYS
from petition.postgres import counters

SALT_DAYS = 1
LAPSED = "lapsed signatures"
UNUSUAL_HOURS, UNUSUAL_NUMBER, UNUSUAL_SHARE = 26, 100, 0.1

logger = logging.getLogger(__name__)


def waits_for_a_person() -> bool:
    """Whether lapsed signatures are kept until a person has said that they may go.

    An hour's worth lapses in an hour. When more than a day's worth does at once, a worker was away for long, or the
    clock of the database has jumped, and those signers may still have a mail to open. Costs two statements, or three.
    """
    since = Retention.objects.filter(kind=LAPSED).annotate(since=Now() - F("ran_at"))
    if not since.filter(since__gt=timedelta(hours=UNUSUAL_HOURS)).exists():
        return False
    lapsed = Signature.objects.lapsed().count()
    return lapsed >= UNUSUAL_NUMBER and lapsed > UNUSUAL_SHARE * Signature.objects.pending().count()


def purge(*, is_agreed: bool = False) -> dict[str, int]:
    """Delete what has had its time; return how many of each. Raises WrongClockError.

    Unusually many lapsed signatures stay, and are not counted, unless a person has agreed.
    """
    clock.require_right()
    today = datetime.now(UTC).date()
    purged = {}
    if is_agreed or not waits_for_a_person():
        purged[LAPSED] = Signature.objects.lapsed().purge()
    else:
        logger.warning("Unusually many signatures have lapsed at once; they stay until somebody runs purge --agree")
    purged |= {
        "expired links": Link.objects.too_old().delete()[0],
        "names and words nobody approved": ShownWords.objects.never_reviewed().hide(),
        "abuse signals": Signature.objects.older_than_abuse_signals().clear_abuse_signals(),
        "parked mails": OutgoingMail.objects.parked_too_long().delete()[0],
        "questions for a signature": Lookup.objects.ended().delete()[0],
        "known mail domains": SeenDomain.objects.too_old().delete()[0],
        "address marks": AddressMark.objects.filter(expires_at__lte=timezone.now()).delete()[0],
        "listed networks": ListedNetwork.objects.ended().delete()[0],
        "listed domains": ListedDomain.objects.ended().delete()[0],
        "marks of anomalies": AnomalyMark.too_old().delete()[0],
        "proposals for the lists": ProposedListing.objects.too_old().delete()[0],
        "criteria of campaigns": InvalidationCampaign.objects.older_than_abuse_signals().fade(),
        "daily salts": DailySalt.objects.filter(day__lte=today - timedelta(days=SALT_DAYS)).delete()[0],
        "files of counts": CountsExport.objects.ended().delete()[0],
        "samples": Sample.objects.too_old().delete()[0],
        "cards of moderators": ReviewClaim.objects.ended().delete()[0],
        "requests for updates": SubscriptionRequest.objects.too_old().delete()[0],
        "subscriptions": Subscription.objects.too_old().delete()[0],
        "sessions": Session.objects.filter(expire_date__lte=timezone.now()).delete()[0],
        "entries of the audit log": StaffAction.objects.older_than_two_years().delete()[0],
    }
    purged["withdrawals on the list"] = withdrawn_list.forget_old()
    if hasattr(cache, "delete_expired"):
        # What cannot be reached is in nobody's way.
        with suppress(counters.CountersAwayError), counters.reached():
            purged["expired counters"] = cache.delete_expired()
    Retention.note(purged)
    return purged


def kinds() -> dict[str, tuple[Promise | str, str]]:
    """What `purge` deletes, in the words of the admin, and when."""
    return {
        LAPSED: (_("Signatures that nobody confirmed"), after(settings.CONFIRMATION_DAYS + 1)),
        "expired links": (_("Links and codes in mails"), after(settings.CONFIRMATION_DAYS + 1)),
        "names and words nobody approved": (
            _("Names and words that nobody has approved"),
            after(settings.REVIEW_DAYS),
        ),
        "abuse signals": (_("By which network and mail domain signatures came"), after(settings.ABUSE_SIGNAL_DAYS)),
        "questions for a signature": (
            _("Look-ups of one signature"),
            gettext("an hour after the answer; unanswered %(when)s") % {"when": after(QUESTION_DAYS)},
        ),
        "parked mails": (_("Mails that a server refused"), after(settings.PARKED_MAIL_DAYS)),
        "known mail domains": (_("Names of mail domains that many share"), after(KEPT_DAYS)),
        "address marks": (_("Marks of addresses: no mail, or held if it returns"), after(settings.QUIET_DAYS)),
        "listed networks": (_("Listed networks"), gettext("after the day that was chosen")),
        "listed domains": (_("Listed mail domains"), gettext("after the day that was chosen")),
        "marks of anomalies": (_("Marks on signals of fakes"), after(settings.ABUSE_SIGNAL_DAYS)),
        "proposals for the lists": (
            _("Proposals for the lists"),
            gettext("of a network %(network)s; others %(when)s")
            % {"network": after(settings.CONFIRMATION_DAYS + 1), "when": after(settings.ABUSE_SIGNAL_DAYS)},
        ),
        "criteria of campaigns": (_("What campaigns looked for"), after(settings.ABUSE_SIGNAL_DAYS)),
        "daily salts": (_("Salts of networks"), gettext("when their day has ended (UTC)")),
        "files of counts": (
            _("Large files of counts"),
            ngettext("after %(n)d hour", "after %(n)d hours", EXPORT_HOURS) % {"n": EXPORT_HOURS},
        ),
        "samples": (_("How the site was doing in each minute"), after(SAMPLE_DAYS)),
        "cards of moderators": (_("Which moderator has which words before her"), gettext("after ten minutes")),
        "requests for updates": (_("Requests for updates by email"), after(settings.CONFIRMATION_DAYS + 1)),
        "subscriptions": (_("Sealed addresses of the mailing list"), after(settings.SUBSCRIPTION_DAYS)),
        "sessions": (_("Logins of staff"), gettext("at logout, or after half an hour without a click")),
        "entries of the audit log": (_("Entries of the audit log"), gettext("after two years")),
        "withdrawals on the list": (_("Lines of the list of withdrawals"), after(settings.BACKUP_DAYS)),
        "expired counters": (_("Counters of limits"), gettext("when their hour or day has ended")),
    }


def after(days: int) -> str:
    return ngettext("after %(days)d day", "after %(days)d days", days) % {"days": days}
