"""Open data: files of the series that everybody may have, and what describes them."""

import csv
import json
from datetime import UTC, date, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from petition.counts import open_data
from petition.models import PublishedCell, PublishedHour

FOLDER = "/petitions/chechnya/open-data/v1/"


@pytest.fixture
def numbers(petition, publish):
    publish()
    PublishedHour.objects.create(petition=petition, hour=datetime(2026, 3, 3, 14, tzinfo=UTC), counted=40)
    PublishedHour.objects.create(petition=petition, hour=datetime(2026, 3, 3, 16, tzinfo=UTC), counted=2)
    for country, language, source, measure, shown in (
        ("DE", "en", "", "counted", 20),
        ("DE", "ru", "amnesty", "counted", 10),
        ("", "ru", "", "counted", 10),
        ("DE", "en", "", "withdrawn", 10),
    ):
        PublishedCell.objects.create(
            petition=petition,
            week=date(2026, 3, 2),
            country=country,
            language=language,
            source=source,
            measure=measure,
            amount=shown + 3,
            shown=shown,
        )


def rows(client, name):
    return list(csv.reader(StringIO(client.get(f"{FOLDER}{name}.csv").content.decode("utf-8-sig"))))


def test_they_are_what_staff_read_too(client, numbers):
    assert rows(client, "days") == [["day", "amount"], ["2026-03-03", "42"]]
    assert rows(client, "weeks-countries") == [
        ["week", "country", "amount"],
        ["2026-03-02", "", "10"],
        ["2026-03-02", "DE", "30"],
    ]
    assert rows(client, "weeks-languages") == [
        ["week", "language", "amount"],
        ["2026-03-02", "en", "20"],
        ["2026-03-02", "ru", "20"],
    ]


def test_json_has_the_same_rows_and_no_number_that_is_for_staff(client, numbers):
    told = client.get(f"{FOLDER}weeks-countries.json").json()

    assert told["rows"][1] == {"week": "2026-03-02", "country": "DE", "amount": 30}
    assert told["now"] == {"total": 150_000, "collected_before": 150_000, "confirmed_here": 0}


def test_nothing_says_by_which_link_people_came_or_what_became_of_them(client, numbers):
    described = client.get(f"{FOLDER}datapackage.json").json()
    for name in (each["path"] for each in described["resources"]):
        content = client.get(f"{FOLDER}{name}").content.decode()
        assert "amnesty" not in content
        assert "withdrawn" not in content


def test_the_description_names_each_file_and_each_column(client, numbers):
    described = client.get(f"{FOLDER}datapackage.json").json()

    assert (described["name"], described["version"]) == ("chechnya-counts", "1")
    assert described["licenses"][0]["name"] == "CC0-1.0"
    for resource in described["resources"]:
        answer = client.get(f"{FOLDER}{resource['path']}")
        assert answer.status_code == 200
        if resource["format"] == "csv":
            columns = [field["name"] for field in resource["schema"]["fields"]]
            assert columns == next(csv.reader(StringIO(answer.content.decode("utf-8-sig"))))
        else:
            assert "rows" in json.loads(answer.content)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_press_page_leads_to_the_page_of_them_and_that_to_each_file(client, db, language):
    call_command("load_campaign", verbosity=0)
    slug = "chechnya"
    assert f'href="/{language}/open-data/"' in client.get(f"/{language}/press/").content.decode()

    page = client.get(f"/{language}/open-data/").content.decode()
    for name in open_data.SERIES:
        for ending in open_data.FORMATS:
            assert f'href="{reverse("open-data-file", args=[slug, f"{name}.{ending}"])}"' in page
