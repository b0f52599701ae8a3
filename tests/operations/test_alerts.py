"""Alarms, dashboard and scrape configuration speak of metrics that there are, and the rules do what they say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from petition import metrics
from petition.mail_providers import OTHER
from petition.models import Heartbeat, MailTally, TallyChange
from petition.models.signature import this_hour
from petition.web import metrics as web_metrics

DEPLOY = Path(settings.BASE_DIR) / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
RULES_TEST = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = DEPLOY / "grafana" / "petition.json"
METRIC = re.compile(r"\bpetition_\w+")

with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (Debian: prometheus)"
)


@pytest.fixture
def exported(publish, petition, settings, tmp_path, monkeypatch):
    """The names of all metrics that the site has, once everything has happened."""
    settings.METRICS_ADDRESS, settings.METRICS_DIR = "127.0.0.1:9464", str(tmp_path)
    for name, value in (("_meters", None), ("_number", web_metrics._number.__wrapped__)):
        monkeypatch.setattr(web_metrics, name, value)
    monkeypatch.setattr(web_metrics.values, "ValueClass", web_metrics.values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    meters = web_metrics.start()
    meters.requests("none", "GET", "5xx").inc()
    meters.seconds("none").observe(1)
    meters.looks("hit").inc()
    Heartbeat.beat(Heartbeat.Part.MAIL)
    MailTally.objects.create(provider=OTHER, result="sent", amount=1)
    cell = {"country": "", "language": "en", "source": "", "measure": "signed", "amount": 1}
    TallyChange.objects.create(petition=petition, hour=this_hour(), **cell)
    publish()
    return {sample.name for each in metrics.Site().collect() for sample in each.samples}


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_every_metric_that_is_named_is_there(exported, file):
    text = file.read_text()
    named = set(METRIC.findall(text))

    assert len(named) > 8
    assert named <= exported


def test_every_metric_stands_in_the_operations_document(exported):
    text = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()

    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported}
    assert names <= set(METRIC.findall(text))


@with_promtool
def test_the_rules_are_valid_and_do_what_their_tests_say():
    for words in (["check", "rules", RULES], ["test", "rules", RULES_TEST], ["check", "rules", "--lint=all", RULES]):
        said = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr


def test_every_alarm_has_been_seen_to_ring_and_says_what_to_do():
    rules = RULES.read_text()
    alarms = re.findall(r"- alert: (\w+)", rules)

    assert set(alarms) == set(re.findall(r'\{alertname="(\w+)"\}', RULES_TEST.read_text()))
    assert rules.count(" summary: ") == rules.count(" do: ") == len(alarms)
    headings = re.findall(r"^## (.+)$", (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text(), re.MULTILINE)
    for heading in re.findall(r'"([^"]+)" in docs/operations.md', rules):
        assert heading in headings


def test_the_dashboard_can_be_imported():
    board = json.loads(DASHBOARD.read_text())

    assert [each["name"] for each in board["__inputs"]] == ["DS_PROMETHEUS"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert all(target["expr"] and target["datasource"]["uid"] == "${DS_PROMETHEUS}" for target in panel["targets"])


def test_prometheus_is_told_where_the_metrics_are():
    example = re.search(r"#METRICS_ADDRESS=(\S+)", (DEPLOY / "petition.env").read_text())

    assert f'"{example[1]}"' in (DEPLOY / "prometheus" / "scrape.yml").read_text()
