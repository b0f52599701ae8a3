"""Pages of the admin among many signatures, lists and anomalies above all."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from bench import environment
from bench.plan import Lane, Plan, seconds_of
from bench.report import Report, Row, Target
from petition.admin.bulk_actions import ACROSS
from petition.admin.changelist import Place
from petition.models import InvalidationCampaign, Petition, Signature
from petition.moderation import anomalies

# Milliseconds. Staff notice no wait up to here.
AT_ONCE = Target(1_000, at_most=True)
# Of what they open all day, none takes longer than that.
ALL_DAY = Target(500, at_most=True)
PAGES = {
    "start page": "index",
    "held signatures": "petition_heldsignature_changelist",
    "names and words to review": "petition_review_changelist",
    "decisions of the last days": "petition_review_decisions",
    "moderation campaigns": "petition_invalidationcampaign_changelist",
    "mailing list": "petition_subscription_changelist",
    "mails": "petition_outgoingmail_changelist",
    "how the site is doing": "petition_sample_changelist",
    "audit log": "petition_staffaction_changelist",
}
# The rows of a month, read and not looked at.
READ = """
    SELECT count(id), max(country), max(source) FROM petition_signature
    WHERE created_at >= %s AND (domain_digest IS NOT NULL OR network_digest IS NOT NULL)
"""


def lists(plan: Plan, database: str, rows: int, report: Report) -> None:
    """The list of signatures, beside its page for one of them."""
    environment.use(database)
    middle = Signature.objects.order_by("created_at")[rows // 2]
    # By then its network and mail domain are remembered, and its name may be shown.
    one = Signature.objects.filter(shown__isnull=False).latest("created_at").pk
    urls = {
        "list of signatures": "",
        "the same, half way back": f"before={Place(middle.pk, middle.created_at)}",
        "the same, filtered by state": "state=invalidated",
        "the same, with a filter that none fits": "country=AQ",
        "the same, of one mail domain": f"by=domain&of={one}",
        "the same, of one shape of names": f"by=shape&of={one}",
    }
    lanes = {work: _milliseconds(partial(_list, query)) for work, query in urls.items()}
    figures = plan.in_turns({**lanes, "one": _milliseconds(partial(_one, str(one)))}, " ms")
    for work in urls:
        report.add(Row(work, figures[work], "page of one signature", figures["one"], None, rows))
        report.add(Row(work, figures[work], target=AT_ONCE, rows=rows))


def pages(plan: Plan, database: str, rows: int, report: Report) -> None:
    """What each of the staff sees first, from the request to the last byte, without server and network."""
    environment.use(database)
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser(f"bench-{secrets.token_hex(4)}"))
    petition = Petition.objects.get()
    hour = Signature.objects.order_by("created_at")[rows // 2].created_at
    campaign = InvalidationCampaign.objects.create(
        petition=petition, reason="a bench", country="DE", signed_since=hour - timedelta(days=1), signed_until=hour
    )
    urls = {work: reverse(f"admin:{name}") for work, name in PAGES.items()}
    urls["overview of counts"] = reverse("admin:petition_counts_page", args=[petition.slug])
    urls["from signing to confirming"] = reverse("admin:petition_counts_funnel", args=[petition.slug])
    urls["preview of a campaign, of a country and a day"] = reverse(
        "admin:petition_invalidationcampaign_change", args=[campaign.pk]
    )
    ticked = {"action": "hold", ACROSS: "1", ACTION_CHECKBOX_NAME: str(Signature.objects.latest("created_at").pk)}
    of_a_day = f"?country=DE&since={hour - timedelta(days=1):%Y-%m-%d}&until={hour:%Y-%m-%d}"
    lanes = {work: _milliseconds(partial(_get, client, url)) for work, url in urls.items()}
    lanes["all of a country and a day, before they are held"] = _milliseconds(
        partial(_post, client, reverse("admin:petition_signature_changelist") + of_a_day, ticked)
    )
    for work, figure in plan.in_turns(lanes, " ms").items():
        report.add(Row(work, figure, target=ALL_DAY, rows=rows))
    campaign.delete()


def find_anomalies(plan: Plan, database: str, rows: int, report: Report) -> None:
    """Finding anomalies among so many signatures of 29 days, beside reading these."""
    environment.use(database)
    for span in anomalies.SPANS.values():
        finding, reading = partial(anomalies.find, span), partial(_read, span)
        figures = plan.in_turns({"find": _milliseconds(finding), "read": _milliseconds(reading)}, " ms")
        limit = Target(1000 * anomalies.LIMIT_SECONDS, at_most=True)
        work = f"signals of the last {span.name}"
        report.add(Row(work, figures["find"], "reading the same rows", figures["read"], None, rows))
        report.add(Row(work, figures["find"], target=limit, rows=rows))


def _milliseconds(work: Callable[[], object]) -> Lane:
    return lambda seconds: 1000 * seconds_of(work)


def _request(query: str = "") -> HttpRequest:
    request = RequestFactory().get(f"/?{query}")
    request.user = User(pk=1, is_active=True, is_staff=True, is_superuser=True)
    return request


def _list(query: str) -> None:
    _render(admin.site.get_model_admin(Signature).changelist_view(_request(query)))


def _one(pk: str) -> None:
    _render(admin.site.get_model_admin(Signature).changeform_view(_request(), pk))


def _get(client: Client, url: str) -> None:
    _read_to_the_end(client.get(url))


def _post(client: Client, url: str, values: dict[str, str]) -> None:
    _read_to_the_end(client.post(url, values))


def _read_to_the_end(answer: HttpResponseBase) -> None:
    if answer.status_code != HTTPStatus.OK:
        raise SystemExit(f"The admin answered {answer.status_code}")


def _render(page: HttpResponseBase) -> None:
    if not isinstance(page, TemplateResponse):
        raise SystemExit(f"The admin answered {page.status_code}")
    page.render()


def _read(span: anomalies.Span) -> None:
    with connection.cursor() as cursor:
        cursor.execute(READ, [span.horizon()])
        cursor.fetchone()
