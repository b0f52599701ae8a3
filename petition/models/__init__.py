from .anomalies import AnomalyMark, ProposedListing
from .audit import Action, StaffAction
from .canned_reason import CannedReason
from .counts import Counts, CountsExport, CountsToken
from .domains import SeenDomain
from .forgetting import ForgottenHour
from .heartbeat import Heartbeat
from .invalidation import InvalidationCampaign
from .language import LanguageApproval
from .link import Link
from .live_settings import ListedDomain, ListedNetwork, Switches, Verdict
from .lookup import Lookup
from .mail import AddressMark, OutboxKey, OutgoingMail
from .mailing_list import Subscription, SubscriptionRequest
from .names_read import NamesRead
from .notice import Notice
from .paper import PaperSheets
from .petition import Petition, Source
from .privacy import DailySalt, KeyFingerprint
from .proxies import HeldSignature, Review, Signals
from .retention import Retention
from .review_claim import ReviewClaim
from .samples import MailTally, Sample
from .shown_words import ShownWords
from .signature import HeldReason, Signature
from .staff_account import StaffAccount
from .tally import (
    DayTally,
    HourTally,
    Measure,
    PublishedCell,
    PublishedCount,
    PublishedFunnel,
    PublishedHour,
    PublishedWeek,
    TallyChange,
    TotalTally,
)
from .texts import Draft, TextVersion
from .withdrawn import Withdrawn

__all__ = [
    "Action",
    "AddressMark",
    "AnomalyMark",
    "CannedReason",
    "Counts",
    "CountsExport",
    "CountsToken",
    "DailySalt",
    "DayTally",
    "Draft",
    "ForgottenHour",
    "Heartbeat",
    "HeldReason",
    "HeldSignature",
    "HourTally",
    "InvalidationCampaign",
    "KeyFingerprint",
    "LanguageApproval",
    "Link",
    "ListedDomain",
    "ListedNetwork",
    "Lookup",
    "MailTally",
    "Measure",
    "NamesRead",
    "Notice",
    "OutboxKey",
    "OutgoingMail",
    "PaperSheets",
    "Petition",
    "ProposedListing",
    "PublishedCell",
    "PublishedCount",
    "PublishedFunnel",
    "PublishedHour",
    "PublishedWeek",
    "Retention",
    "Review",
    "ReviewClaim",
    "Sample",
    "SeenDomain",
    "ShownWords",
    "Signals",
    "Signature",
    "Source",
    "StaffAccount",
    "StaffAction",
    "Subscription",
    "SubscriptionRequest",
    "Switches",
    "TallyChange",
    "TextVersion",
    "TotalTally",
    "Verdict",
    "Withdrawn",
]
