from .campaign import InvalidationCampaign
from .counts import Counts, CountsToken
from .desk import HeldSignature, Review, Signals, SoughtSignature
from .domains import SeenDomain
from .mail import AddressMark, OutgoingMail
from .petition import Petition, Source
from .privacy import DailySalt, KeyFingerprint
from .signature import Signature
from .switches import ListedDomain, ListedNetwork, Switches, Verdict
from .tally import DayTally, HourTally, Measure, TallyChange, TotalTally
from .trace import Action, StaffAction

__all__ = [
    "Action",
    "AddressMark",
    "Counts",
    "CountsToken",
    "DailySalt",
    "DayTally",
    "HeldSignature",
    "HourTally",
    "InvalidationCampaign",
    "KeyFingerprint",
    "ListedDomain",
    "ListedNetwork",
    "Measure",
    "OutgoingMail",
    "Petition",
    "Review",
    "SeenDomain",
    "Signals",
    "Signature",
    "SoughtSignature",
    "Source",
    "StaffAction",
    "Switches",
    "TallyChange",
    "TotalTally",
    "Verdict",
]
