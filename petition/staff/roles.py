"""Roles of staff: four groups, each with exactly the permissions of its job. One person may have several."""

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

ROLES = {
    "moderator": {
        "petition.view_signature",
        "petition.review_signature",
        "petition.hold_signature",
        "petition.invalidate_signature",
        "petition.oversee_campaigns",
        "campaign.view_report",
        "petition.view_signals",
        "petition.settle_signals",
        "petition.propose_listing",
    },
    "editor": {
        "petition.view_petition",
        "petition.change_petition",
        "campaign.view_page",
        "campaign.add_page",
        "campaign.change_page",
        "campaign.delete_page",
        "campaign.view_update",
        "campaign.add_update",
        "campaign.change_update",
        "campaign.delete_update",
        "campaign.view_figure",
        "campaign.add_figure",
        "campaign.change_figure",
        "campaign.delete_figure",
        "campaign.view_testimony",
        "campaign.add_testimony",
        "campaign.change_testimony",
        "campaign.delete_testimony",
        "campaign.view_partner",
        "campaign.add_partner",
        "campaign.change_partner",
        "campaign.delete_partner",
        "petition.view_languageapproval",
        "petition.add_languageapproval",
        "petition.delete_languageapproval",
    },
    "organiser": {
        "petition.view_counts",
        "petition.export_mailing_list",
        "petition.view_source",
        "petition.add_source",
        "petition.change_source",
        "petition.delete_source",
        "petition.view_papersheets",
        "petition.add_papersheets",
        "petition.check_papersheets",
    },
    "administrator": {
        "auth.view_user",
        "auth.add_user",
        "auth.change_user",
        "auth.delete_user",
        "petition.view_petition",
        "petition.switch_petition",
        "petition.change_collected_before",
        "petition.view_switches",
        "petition.change_switches",
        "petition.view_listednetwork",
        "petition.add_listednetwork",
        "petition.change_listednetwork",
        "petition.delete_listednetwork",
        "petition.view_listeddomain",
        "petition.add_listeddomain",
        "petition.change_listeddomain",
        "petition.delete_listeddomain",
        "petition.confirm_listing",
        "petition.view_counts",
        "petition.view_papersheets",
        "petition.add_papersheets",
        "petition.check_papersheets",
        "petition.view_cannedreason",
        "petition.add_cannedreason",
        "petition.change_cannedreason",
        "petition.delete_cannedreason",
        "petition.view_countstoken",
        "petition.add_countstoken",
        "petition.change_countstoken",
        "petition.find_signature",
        "petition.oversee_campaigns",
        "petition.view_signals",
        "petition.view_outgoingmail",
        "petition.retry_outgoingmail",
        "petition.view_staffaction",
        "petition.view_retention",
        "petition.view_sample",
    },
}
NAMES = {
    "moderator": _("moderator"),
    "editor": _("editor"),
    "organiser": _("organiser"),
    "administrator": _("administrator"),
}


def ensure() -> list[str]:
    """Make the groups, with the permissions above and no others; return the names of those that changed."""
    for label in sorted({permission.partition(".")[0] for allowed in ROLES.values() for permission in allowed}):
        create_permissions(apps.get_app_config(label), verbosity=0)
    changed = []
    for role, allowed in ROLES.items():
        group, _created = Group.objects.get_or_create(name=role)
        named = Q()
        for permission in allowed:
            label, _dot, codename = permission.partition(".")
            named |= Q(content_type__app_label=label, codename=codename)
        wanted = set(Permission.objects.filter(named))
        if wanted != set(group.permissions.all()):
            group.permissions.set(wanted)
            changed.append(role)
    return changed


def after_migrating(**kwargs: Any) -> None:
    ensure()
