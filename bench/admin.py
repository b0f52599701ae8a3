"""Lists of the admin among many signatures, and the page of anomalies."""

from collections.abc import Callable
from functools import partial

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.test import RequestFactory

from bench import environment
from bench.plan import Lane, Plan, seconds_of
from bench.report import Report, Row, Target
from petition.admin.changelist import Place
from petition.models import Signature
from petition.moderation import anomalies

# Milliseconds. Staff notice no wait up to here.
AT_ONCE = Target(1_000, at_most=True)
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


def _render(page: HttpResponseBase) -> None:
    if not isinstance(page, TemplateResponse):
        raise SystemExit(f"The admin answered {page.status_code}")
    page.render()


def _read(span: anomalies.Span) -> None:
    with connection.cursor() as cursor:
        cursor.execute(READ, [span.horizon()])
        cursor.fetchone()
