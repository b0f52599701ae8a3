"""The start page: the pages of the admin by the work that they are for, and what waits on each."""

from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from petition import waiting
from petition.waiting import Kind, Waiting


@dataclass(frozen=True)
class Section:
    """A kind of work, with the models whose pages it is done on, in this order, and what each is for."""

    name: str
    title: Promise | str
    pages: dict[str, Promise | str] = field(default_factory=dict)


MODERATE = Section(
    "moderate",
    _("Moderate"),
    {
        "petition.Review": _("Names and words that people want shown: approve or hide them."),
        "petition.HeldSignature": _("Confirmed, but not counted until somebody decides: release or invalidate them."),
        "petition.Signals": _("Groups of signatures that stand out, with the reason."),
        "petition.InvalidationCampaign": _("Hold or invalidate many at once; it can be undone."),
        "petition.CannedReason": _("The reasons that moderators choose from."),
        "petition.Signature": _("Each signature, without its address: look at it, hold or invalidate it."),
    },
)
NUMBERS = Section(
    "numbers",
    _("Numbers"),
    {
        "petition.Counts": _("How many signed, when and where; tables to download, and the letter."),
        "petition.PaperSheets": _("Bundles of sheets: enter them, and count what another account entered."),
        "petition.Source": _("Links for partners, which tell how many came by each."),
        "petition.Subscription": _("Addresses for updates, sealed: how many there are, and the file of them."),
        "petition.CountsToken": _("Keys with which a dashboard may read the counts."),
    },
)
TEXTS = Section(
    "texts",
    _("Texts"),
    {
        "petition.Petition": _("Title, demand and thanks; opening, pausing and closing."),
        "petition.LanguageApproval": _("Languages that a native speaker has read and vouches for."),
    },
)
PROTECTION = Section(
    "protection",
    _("Protection"),
    {
        "petition.Switches": _("Limits, the banner and notices, which change while the site runs."),
        "petition.ProposedListing": _("Networks and mail domains that moderators want held: confirm or refuse them."),
        "petition.ListedNetwork": _("Networks whose signatures are held, or never limited."),
        "petition.ListedDomain": _("Mail domains whose signatures are held, or never held."),
    },
)
PEOPLE = Section(
    "people",
    _("People"),
    {
        "auth.User": _("The accounts of staff: who may do what."),
        "petition.Lookup": _("One signature, for the person who made it and writes to you. It takes two of you."),
        "petition.StaffAction": _("Who of the staff did what, and when."),
    },
)
TECHNICAL = Section(
    "technical",
    _("Technical"),
    {
        "petition.OutgoingMail": _("Mails that wait, and those that were refused."),
        "petition.Sample": _("Mail, counting and the database in the last day and month."),
        "petition.Retention": _("When data is deleted, and when that last happened."),
    },
)
SECTIONS = [MODERATE, NUMBERS, TEXTS, PROTECTION, PEOPLE, TECHNICAL]


@dataclass(frozen=True)
class Work:
    """What waits of one kind, and where."""

    kind: Kind
    waiting: Waiting
    page: str
    url: str

    @property
    def age(self) -> str:
        return waiting.age(self.waiting.age)


def by_work(request: HttpRequest, registered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Django's list of apps, ordered anew; each page gets a line `about` it. What has no place comes last."""
    models = {model["model"]._meta.label: model for app in registered for model in app["models"]}
    ordered = []
    for section in SECTIONS:
        rest = [label for label in models if section is TECHNICAL and label not in placed()]
        pages = [
            {**models[label], "about": section.pages.get(label, "")}
            for label in (*section.pages, *rest)
            if label in models
        ]
        if pages:
            url = f"{reverse('admin:index')}#{section.name}"
            ordered.append({"name": section.title, "app_label": section.name, "app_url": url, "models": pages})
    return ordered


def placed() -> set[str]:
    return {label for section in SECTIONS for label in section.pages}


def what_waits(request: HttpRequest) -> list[Work]:
    """What waits for this account, in the order of the sections."""
    order = [label for section in SECTIONS for label in section.pages]
    kinds = [kind for kind in waiting.KINDS if request.user.has_perm(kind.permission)]
    kinds.sort(key=lambda kind: order.index(kind.model))
    found = []
    for kind in kinds:
        waits = kind.find()
        if waits.count:
            meta = apps.get_model(kind.model)._meta
            url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist") + kind.query
            found.append(Work(kind, waits, str(meta.verbose_name_plural), url))
    return found
