from .mail import AddressMark, OutgoingMail
from .petition import Petition, Source
from .privacy import DailySalt, KeyFingerprint
from .signature import Signature
from .tally import DayTally, HourTally, Measure, TallyChange, TotalTally
from .trace import Action, StaffAction

__all__ = [
    "Action",
    "AddressMark",
    "DailySalt",
    "DayTally",
    "HourTally",
    "KeyFingerprint",
    "Measure",
    "OutgoingMail",
    "Petition",
    "Signature",
    "Source",
    "StaffAction",
    "TallyChange",
    "TotalTally",
]
