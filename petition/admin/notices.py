"""Notices on the start page of administrators."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from petition import lookup, organisation, retention
from petition.backup.state import State
from petition.models import Heartbeat, LanguageApproval, Lookup, Notice, Petition
from petition.staff import names_read

from . import languages


def about_the_site(request: HttpRequest) -> dict[str, Any]:
    """What readers miss, for those who can mend it: the environment, texts, and languages that nobody has read."""
    lacks, petition_lacks, petition_url = [], [], ""
    if request.user.is_superuser or request.user.has_perm("petition.change_switches"):
        lacks += [f"{name}: {gettext(why)}" for name, why in organisation.missing().items()]
    if request.user.has_perm("petition.view_retention") and retention.waits_for_a_person():
        lacks.append(
            gettext("Unusually many signatures have lapsed at once. Look at the clock, then run purge --agree.")
        )
    if request.user.has_perm("petition.change_petition") and (petition := Petition.find()):
        petition_url = reverse("admin:petition_petition_change", args=[petition.pk])
        if not petition.safe_translation_getter("addressee", any_language=True):
            petition_lacks.append(gettext("The petition names nobody to whom it is addressed."))
        if not petition.safe_translation_getter("plan", any_language=True):
            petition_lacks.append(gettext("The petition does not say what happens with the number."))
    unread = LanguageApproval.unread() if request.user.has_perm("petition.add_languageapproval") else []
    about = {"lacks": lacks, "petition_lacks": petition_lacks, "petition_url": petition_url}
    return {**about, "unread_languages": [languages.name(code) for code in unread]}


def about_names(request: HttpRequest) -> dict[str, Any]:
    """The accounts that have read unusually many names, for administrators."""
    sees = request.user.has_perm("petition.view_staffaction")
    return {"many_names_read": names_read.above_the_bound()[:10]} if sees else {}


def about_mail(request: HttpRequest) -> dict[str, Any]:
    """That the mail server refuses us, with which codes, and what to do."""
    codes = Heartbeat.refusal() if request.user.has_perm("petition.view_outgoingmail") else ""
    return {"mail_refused": codes, "mail_advice": advice(codes)} if codes else {}


def advice(codes: str) -> str:
    """What helps against a refusal with these codes (RFC 3463, RFC 4954, RFC 7372)."""
    status, _space, enhanced = codes.partition(" ")
    if status in ("530", "535", "538") or enhanced in ("5.7.0", "5.7.8", "5.7.9"):
        return gettext("It does not accept the login. Look at the user name and the password in EMAIL_URL.")
    if enhanced in ("5.1.7", "5.1.8", "5.7.60"):
        return gettext("It does not accept our sender. Look at DEFAULT_FROM_EMAIL, and at what your account may send.")
    return gettext(
        "Look at the records of your domain (SPF, DKIM, DMARC), then ask your mail provider, and tell them this code."
    )


def about_notices(request: HttpRequest) -> dict[str, Any]:
    """Where staff are told that work waits, when they last were, and what went wrong with it."""
    if not request.user.has_perm("petition.change_switches"):
        return {}
    return {"notice": Notice.objects.first() or Notice()}


def about_backups(request: HttpRequest) -> dict[str, Any]:
    """When one was made and restored as a trial, and what is wrong with them; a trial of the site needs none."""
    if not request.user.has_perm("petition.view_retention"):
        return {}
    state, wrong = State.read(), []
    if not settings.LOCAL:
        if state.backup_failed:
            wrong.append(gettext("The last backup failed. Run manage.py backup to see why."))
        elif state.is_backup_late:
            wrong.append(gettext("No backup was made for two days. Is its timer running?"))
        if state.drill_failed:
            wrong.append(gettext("The last backup could not be restored as a trial. Run manage.py restore --drill."))
        elif state.is_drill_late:
            wrong.append(gettext("No backup was restored as a trial for a month. Is the worker running?"))
    return {"backups": state, "wrong_backups": wrong}


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
