"""What staff wait for: lists among many signatures, and the page of signals."""

import time
from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import RequestFactory

from bench import environment
from bench.plan import Plan
from bench.report import Report, Row, Target
from petition.models import Signature
from petition.moderation import anomalies

# Staff notice no wait up to here.
AT_ONCE = Target(1_000, at_most=True)
# The rows of a month, read and not looked at.
READ = """
    SELECT count(id), max(name), max(words) FROM petition_signature
    WHERE created_at >= %s AND (domain_digest IS NOT NULL OR network_digest IS NOT NULL)
"""


def lists(plan: Plan, database: str, rows: int, report: Report) -> None:
    """The list of signatures, beside its page for one of them."""
    environment.use(database)
    middle = rows // 2
    urls = {
        "list of signatures": "",
        "the same, half way back": f"before={middle}",
        "the same, filtered by state": "state=invalidated",
        "the same, with a filter that none fits": "country=AQ",
        "the same, of one mail domain": f"by=domain&of={rows}",
        "the same, of one shape of names": f"by=shape&of={rows}",
    }
    lanes = {work: _lane(_list, query) for work, query in urls.items()}
    figures = plan.in_turns({**lanes, "one": _lane(_one, str(rows))}, " ms")
    for work in urls:
        report.add(Row(work, figures[work], "page of one signature", figures["one"], None, rows))
        report.add(Row(work, figures[work], target=AT_ONCE, rows=rows))


def signals(plan: Plan, database: str, rows: int, report: Report) -> None:
    """What stands out among so many signatures of 29 days, beside reading them."""
    environment.use(database)
    for span in anomalies.SPANS.values():
        lanes = {
            "find": lambda seconds, span=span: _milliseconds(lambda: anomalies.find(span)),
            "read": lambda seconds, span=span: _milliseconds(lambda: _read(span)),
        }
        figures = plan.in_turns(lanes, " ms")
        limit = Target(1000 * anomalies.SECONDS, at_most=True)
        work = f"signals of the last {span.name}"
        report.add(Row(work, figures["find"], "reading the same rows", figures["read"], None, rows))
        report.add(Row(work, figures["find"], target=limit, rows=rows))


def _lane(page: Callable[[str], None], about: str) -> Callable[[int], float]:
    return lambda seconds: _milliseconds(lambda: page(about))


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _request(query: str = "") -> object:
    request = RequestFactory().get(f"/?{query}")
    request.user = User(pk=1, is_active=True, is_staff=True, is_superuser=True)
    return request


def _list(query: str) -> None:
    admin.site.get_model_admin(Signature).changelist_view(_request(query)).render()  # type: ignore[arg-type,attr-defined]


def _one(pk: str) -> None:
    admin.site.get_model_admin(Signature).changeform_view(_request(), pk).render()  # type: ignore[arg-type,attr-defined]


def _read(span: anomalies.Span) -> None:
    with connection.cursor() as cursor:
        cursor.execute(READ, [span.horizon()])
        cursor.fetchone()
