"""At any size: what a visitor or the worker waits for reads a few rows by an index, never every signature."""

import os
import re

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from petition import confirmation, retention, withdrawal
from petition.counts import breakdown, funnel, letter, tally
from petition.counts.breakdown import Question
from petition.mail import claims, recipients
from petition.mail.keys import Keyring
from petition.models import PublishedFunnel, Signature
from tests.support import links

pytestmark = pytest.mark.django_db


KINDS = {"SELECT", "DECLARE", "UPDATE", "DELETE", "WITH", "INSERT", "EXECUTE"}


@pytest.fixture
def plans(petition):
    """Run something among 20,000 signatures, and explain each of its statements."""
    call_command("seed_signatures", "20000")
    with connection.cursor() as cursor:
        # Else the plans would go by what earlier tests left.
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL random_page_cost = 1.1")  # as docs/install.md has it set

    def explain(action):
        with CaptureQueriesContext(connection) as queries:
            action()
        found = []
        with connection.cursor() as cursor:
            for query in queries.captured_queries:
                if query["sql"].split()[0] in KINDS:
                    cursor.execute("EXPLAIN " + query["sql"])
                    found.append(query["sql"] + "\n" + "\n".join(line for (line,) in cursor.fetchall()))
        return found

    return explain


def reads_every_signature(plan):
    return "Seq Scan on petition_signature" in plan


ACTIONS = {
    "find": lambda row: confirmation.find(links.token(row)),
    "confirm": lambda row: confirmation.confirm(row),
    "disown": lambda row: confirmation.disown(confirmation.find(links.token(row))),
    "code": lambda row: confirmation.find_by_code(row.petition, links.code(row)),
    "withdraw link": lambda row: withdrawal.find(links.withdraw_token(row.petition, "anna@example.org")),
    "withdraw": lambda row: withdrawal.withdraw(
        withdrawal.find(links.withdraw_token(row.petition, "anna@example.org")).link
    ),
    "count": lambda row: tally.current("chechnya"),
    "fold": lambda row: tally.fold(),
    "standing": lambda row: tally.standing(row.petition_id),
    "breakdown": lambda row: list(breakdown.rows(Question.ask(row.petition_id, ["week", "country"]))),
    "export": lambda row: call_command("export_counts", "--by", "week,country,language,measure", "--out", os.devnull),
    "funnel": lambda row: (
        PublishedFunnel.objects.all().delete(),
        funnel.release(),
        funnel.by("source", row.petition_id),
        funnel.by_provider(row.petition_id),
        funnel.by_day(row.petition_id),
    ),
    "letter": lambda row: letter.compose(row.petition, "en"),
    "mail": lambda row: (
        withdrawal.request(row.petition, "anna@example.org", language="en"),
        recipients.recognise(claims.claim(Keyring()), Keyring()),
    ),
    "lapsed": lambda row: Signature.objects.lapsed().purge(),
    "purge": lambda row: retention.purge(),
}


def test_no_statement_reads_every_signature(plans):
    for name, action in ACTIONS.items():
        row = Signature.objects.pending().select_related("petition").latest("pk")

        with transaction.atomic():
            found = plans(lambda action=action, row=row: action(row))
            # Making so many signatures takes longest, so each action finds the same ones.
            transaction.set_rollback(True)

        assert found, name
        assert [plan for plan in found if reads_every_signature(plan)] == [], name


def test_signing_reads_no_signature_at_all(plans, client, sign_data):
    found = plans(lambda: client.post("/en/petitions/chechnya/sign/", sign_data()))

    assert [plan for plan in found if re.search(r"Scan .*on petition_signature\b", plan)] == []
    assert len([plan for plan in found if "Insert on petition_signature" in plan]) == 1
