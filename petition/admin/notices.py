"""Notices on the start page of administrators."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from petition import lookup
from petition.models import Lookup


def about_lookups(request: HttpRequest) -> dict[str, Any]:
    """The questions that wait, and those of the last 30 days. Nobody can take them away."""
    if not request.user.has_perm("petition.find_signature"):
        return {}
    waiting = list(Lookup.objects.waiting().order_by("asked_at"))
    names = dict(User.objects.filter(pk__in={each.asked_by for each in waiting}).values_list("pk", "username"))
    return {
        "waiting_lookups": [
            {
                "question": each,
                "username": names.get(each.asked_by, ""),
                "is_own": each.asked_by == request.user.pk,
                "alone_until": None if each.approved_at else lookup.alone_until(each),
            }
            for each in waiting
        ],
        "past_lookups": lookup.asked_since(timedelta(days=lookup.TOLD_DAYS)).latest_first(),
        "tells_of_lookups": True,
    }
