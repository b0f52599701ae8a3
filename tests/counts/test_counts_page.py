"""Organisers see the counts in the admin, choose a view that can be bookmarked, and download exactly what they see."""

import csv
import io
import json
import re
from datetime import timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from pypdf import PdfReader

from petition.counts import charts
from petition.counts.charts import Point
from petition.models import PublishedHour, Source, StaffAction, TallyChange
from petition.models.signature import this_hour
from tests.conftest import make_petition
from tests.counts.test_tally import HOUR
from tests.support import server
from tests.support.browser import follow, needs_chromium

pytestmark = pytest.mark.django_db

START = reverse("admin:petition_counts_changelist")
PAGE = reverse("admin:petition_counts_page", args=["chechnya"])
PASSWORD = "a long password for a test"


def make_organiser(*permissions):
    user = get_user_model().objects.create_user("organiser", password=PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def organiser(client, petition):
    client.force_login(make_organiser("view_counts"))
    return client


@pytest.fixture
def add(petition):
    """Change a cell of the ledger, as many signatures would."""

    def change(amount, hour=HOUR, **cell):
        values = {"country": "", "language": "en", "source": "", "measure": "counted", **cell}
        TallyChange.objects.create(petition=petition, hour=hour, amount=amount, **values)

    return change


@pytest.fixture
def move(petition):
    """Move the published number, as a worker did in this hour."""

    def change(amount, hour=HOUR):
        PublishedHour.objects.create(petition=petition, hour=hour, counted=amount)

    return change


@pytest.fixture
def signed(add):
    for country, number in (("DE", 1_200), ("ES", 10)):
        add(number, country=country)


def download(client, format_name, query=""):
    return client.get(f"{reverse('admin:petition_counts_download', args=['chechnya', format_name])}?{query}")


def words(response):
    """The words of a page, each one space apart."""
    text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


def tables(response):
    """The tables of the page, as lists of their rows."""
    page = response.content.decode().replace("\xa0", " ")
    found = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    return [[re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("</tr>")[:-1]] for table in found]


# Who may.


def test_a_stranger_is_asked_to_log_in(client, petition):
    assert client.get(PAGE)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("url", [START, PAGE, f"{PAGE}download.csv", f"{PAGE}letter-en.pdf"])
def test_staff_without_the_permission_is_refused(client, petition, url):
    client.force_login(make_organiser("view_petition", "change_petition"))

    assert client.get(url).status_code == 403


def test_it_stands_in_the_index_of_the_admin(organiser):
    assert f'href="{START}"' in organiser.get(reverse("admin:index")).content.decode()
    assert organiser.get(START)["Location"] == PAGE


def test_with_several_petitions_one_is_chosen(organiser):
    make_petition(slug="another")

    page = organiser.get(START).content.decode()
    assert PAGE in page
    assert "/admin/petition/counts/another/" in page


@pytest.mark.parametrize("url", ["/admin/petition/counts/nothing/", f"{PAGE}download.pdf", f"{PAGE}letter-de.pdf"])
def test_what_there_is_not_is_not_found(organiser, url):
    assert organiser.get(url).status_code == 404


def test_nothing_can_be_added_changed_or_deleted_there(organiser, petition):
    assert organiser.post(f"{START}add/").status_code == 404
    assert organiser.get(f"{START}{petition.pk}/change/").status_code == 404


# The numbers.


def test_it_shows_the_total_in_its_parts_and_where_signatures_are(organiser, make_signature, add):
    for measure, amount in (("signed", 100), ("confirmed", 60), ("lapsed", 10), ("held", 20), ("invalidated", 10)):
        add(amount, measure=measure)
    add(10, measure="withdrawn")
    for _ in range(3):
        make_signature(confirmed=True)

    said = words(organiser.get(PAGE))

    assert "Signatures in all more than 150,003" in said
    assert "150,000 and more collected before 3 confirmed here" in said
    assert "Today 3" in said
    assert "Confirmation rate 85.7%" in said
    assert "Waiting 30" in said
    assert "Held 20" in said
    assert "Invalidated 10" in said
    assert "Withdrawn 10" in said


def test_without_signatures_it_says_so(organiser):
    said = words(organiser.get(PAGE))

    assert "Confirmation rate –" in said
    assert said.count("Nothing was counted there yet.") == 5


def test_numbers_and_countries_are_written_in_the_language_of_the_reader_and_days_as_everywhere(organiser, signed):
    page = organiser.get(f"{PAGE}?by=week,country", headers={"accept-language": "ru"})

    assert "151 210" in words(page)
    assert "Германия" in words(page)
    assert "2026-02-23" in words(page)


def test_the_overview_has_hours_days_countries_languages_and_links(organiser, add, move):
    Source.objects.create(slug="partner", title="A partner")
    add(10, country="DE", language="ru", source="partner")
    add(80)
    move(30, this_hour() - timedelta(hours=23))
    move(50, this_hour() - timedelta(hours=24))

    hours, days, countries, languages, links = tables(organiser.get(PAGE))

    assert [row[-1] for row in hours] == ["90", "30"]
    assert sum(int(row[-1]) for row in days) == 170
    assert countries == [["not stated", "80"], ["Germany", "10"]]
    assert languages == [["English", "80"], ["Russian", "10"]]
    assert links == [["no partner’s link", "80"], ["A partner", "10"]]


def test_it_says_why_numbers_are_as_they_are(organiser):
    said = words(organiser.get(PAGE))

    assert "The total moves in steps of a random size" in said
    assert "rounded to tens, up or down at random" in said


# What is asked.


def test_a_view_can_be_bookmarked(organiser, add):
    add(20, HOUR, country="DE")
    add(30, HOUR + timedelta(weeks=1), country="DE")
    add(40, HOUR + timedelta(weeks=2), country="DE")

    one_week = "since=2026-03-02&until=2026-03-08"
    for query in (f"by=week,country&{one_week}", f"by=country&by=week&{one_week}"):
        assert tables(organiser.get(f"{PAGE}?{query}")) == [[["2026-03-02", "Germany", "30"]]]
    page = organiser.get(f"{PAGE}?by=week,country&since=2026-03-02").content.decode()
    assert re.search(r'name="since" value="2026-03-02"', page)
    assert len(re.findall(r'type="checkbox" name="by" value="(?:week|country)"[^>]* checked', page)) == 2


def test_the_overview_can_have_a_range(organiser, move):
    move(20, HOUR)
    move(30, HOUR + timedelta(days=1))

    days, *_others = tables(organiser.get(f"{PAGE}?since=2026-03-02&until=2026-03-31"))
    assert days == [["2026-03-02", "30"]]


@pytest.mark.parametrize(
    ("query", "kept", "said"),
    [
        ("since=yesterday", 'value="yesterday"', "“yesterday” is no day"),
        ("by=day&until=2026-02-30", 'value="2026-02-30"', "“2026-02-30” is no day"),
        ("by=hour&by=country", 'value="hour"[^>]* checked', "by week, not by day or hour"),
        ("by=month", "", "not by “month”"),
        ("since=%3Cscript%3E", 'value="&lt;script&gt;"', "“&lt;script&gt;” is no day"),
        ("by=day&since=2026-03-02&until=2026-03-01", 'value="2026-03-01"', "The end comes before the beginning"),
    ],
)
def test_bad_values_get_a_clear_answer_and_stay_as_typed(organiser, query, kept, said):
    response = organiser.get(f"{PAGE}?{query}")

    assert response.status_code == 422
    assert re.search(kept, response.content.decode())
    assert said in words(response)
    assert tables(response) == []


def test_a_field_for_days_keeps_what_is_no_day(organiser):
    """A browser empties a date field that holds anything else."""
    page = organiser.get(f"{PAGE}?since=2026-03-01T14&until=2026-03-01&by=hour").content.decode()

    assert re.search(r'<input type="text" name="since" value="2026-03-01T14"', page)
    assert re.search(r'<input type="text" name="until" value="2026-03-01"', page)


def test_a_table_that_is_too_long_to_read_says_so(organiser, add, move, monkeypatch):
    monkeypatch.setattr("petition.admin.counts_page.SHOWN_ROWS", 2)
    for day in range(3):
        move(10, HOUR + timedelta(days=day))
        add(10, HOUR + timedelta(weeks=day), country="DE")

    query = "by=day&until=2026-03-31"
    (days,) = tables(organiser.get(f"{PAGE}?{query}"))
    assert [row[0] for row in days] == ["2026-03-03", "2026-03-02"]
    assert "2 rows are shown here" in words(organiser.get(f"{PAGE}?{query}"))
    assert len(tables(organiser.get(f"{PAGE}?by=week,country"))[0]) == 2


# Downloads.


@pytest.mark.parametrize(
    "query",
    ["by=country", "by=week,country", "by=hour&since=2026-03-01T23", "by=week,measure", "by=source&until=2026-03-01"],
)
def test_a_download_has_the_rows_of_the_page(organiser, signed, query):
    shown = [int(row[-1].replace(",", "")) for row in tables(organiser.get(f"{PAGE}?{query}"))[0]]

    content = {name: b"".join(download(organiser, name, query).streaming_content) for name in ("csv", "xlsx", "json")}

    rows = list(csv.reader(io.StringIO(content["csv"].decode("utf-8-sig"))))[1:]
    assert sorted(int(row[-1]) for row in rows) == sorted(shown)
    sheet = list(load_workbook(io.BytesIO(content["xlsx"]))["counts"].values)[1:]
    assert sorted(row[-1] for row in sheet) == sorted(shown)
    assert sorted(row["amount"] for row in json.loads(content["json"])["rows"]) == sorted(shown)


def test_every_section_of_the_overview_links_to_its_own_files(organiser, signed):
    page = organiser.get(PAGE).content.decode()
    shown = tables(organiser.get(PAGE))

    links = re.findall(r'href="([^"]+download\.json\?[^"]+)"', page)
    assert len(links) == len(shown) == 5
    for link, table in zip(links, shown, strict=True):
        told = json.loads(b"".join(organiser.get(link.replace("&amp;", "&")).streaming_content))
        assert sum(row["amount"] for row in told["rows"]) == sum(int(row[-1].replace(",", "")) for row in table)


def test_what_there_is_now_can_be_downloaded(organiser, signed):
    response = download(organiser, "csv")

    assert response["Content-Disposition"].startswith('attachment; filename="chechnya-now-20')
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in response["Cache-Control"]
    rows = dict(csv.reader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert rows["total"] == "151210"
    assert rows["waiting"] == "0"


def test_a_download_that_cannot_be_made_leads_to_the_page_that_says_why(organiser, signed):
    response = download(organiser, "csv", "by=country,day")

    assert response.status_code == 302
    assert organiser.get(response["Location"]).status_code == 422


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_letter(organiser, signed, language):
    response = organiser.get(f"{PAGE}letter-{language}.pdf")

    assert response["Content-Type"] == "application/pdf"
    assert f"chechnya-{language}-" in response["Content-Disposition"]
    text = PdfReader(io.BytesIO(b"".join(response.streaming_content))).pages[0].extract_text()
    assert {"en": "Investigate", "ru": "Расследуйте"}[language] in text
    assert {"en": "Germany", "ru": "Германия"}[language] in text


@pytest.mark.parametrize(
    ("path", "action", "detail", "count"),
    [
        ("download.csv", "counts_downloaded", "csv now", 11),
        (
            "download.xlsx?by=country&by=week&since=2026-02-23&until=2026-03-01",
            "counts_downloaded",
            "xlsx by=week,country&since=2026-02-23&until=2026-03-01",
            2,
        ),
        ("letter-ru.pdf", "letter_downloaded", "ru", 151_210),
    ],
)
def test_what_leaves_the_site_leaves_a_trace(organiser, signed, path, action, detail, count):
    organiser.get(PAGE)
    organiser.get(f"{PAGE}download.csv?by=name")
    before = StaffAction.objects.count()

    organiser.get(f"{PAGE}{path}")

    entry = StaffAction.objects.get()
    assert before == 0
    assert (entry.username, entry.action, entry.about) == ("organiser", action, "petition chechnya")
    assert (entry.petition, entry.detail, entry.count) == ("chechnya", detail, count)


# Charts.


def test_charts_are_svg_with_a_text_alternative_and_no_style(organiser, signed):
    page = organiser.get(PAGE).content.decode()

    charts_found = re.findall(r"<svg class=\"chart.*?</svg>", page, re.DOTALL)
    assert len(charts_found) == 5
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for chart in charts_found:
        svg = ElementTree.fromstring(chart)
        assert svg.get("role") == "img"
        assert [svg.find("title").get("id"), svg.find("desc").get("id")] == svg.get("aria-labelledby").split()
        assert svg.find("desc").text
    assert "style=" not in page.partition('class="counts"')[2]


def test_days_without_signatures_are_gaps(organiser, move):
    move(20, HOUR)
    move(20, HOUR + timedelta(days=9))

    page = organiser.get(f"{PAGE}?by=day&until=2026-03-31").content.decode()
    chart = re.search(r"<svg class=\"chart columns.*?</svg>", page, re.DOTALL)[0]
    assert re.findall(r'<rect x="([^"]+)"', chart) == ["1.25%", "91.25%"]


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=1_200))
def test_columns_stay_in_their_chart(amounts):
    chart = charts.columns("", "", [Point(str(n), str(n), amount) for n, amount in enumerate(amounts)])

    assert len(chart.shapes) <= charts.MOST_COLUMNS
    for shape in chart.shapes:
        x, width = (float(text.rstrip("%")) for text in (shape.x, shape.width))
        assert x >= 0
        assert x + width <= 100.01
        assert float(shape.y) >= charts.HEAD - 1
        assert float(shape.y) + float(shape.height) <= chart.base + 0.2
    drawn = sum(int(shape.words.rsplit(": ")[1].replace(",", "")) for shape in chart.shapes)
    assert drawn == sum(amounts)


@given(st.integers(0, 10**12))
def test_the_axis_ends_at_or_above_the_highest_number(highest):
    ticks = charts.ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 2 <= len(ticks) <= 6
    assert len({later - earlier for earlier, later in pairwise(ticks)}) == 1


# What it costs.


def test_the_page_asks_few_questions_and_reads_no_signature(
    publish, organiser, make_signature, django_assert_max_num_queries
):
    for _ in range(12):
        make_signature(created_at=HOUR, confirmed_at=HOUR, country="DE")
    publish()

    with django_assert_max_num_queries(25) as queries:
        organiser.get(PAGE)

    assert not [query for query in queries.captured_queries if "petition_signature" in query["sql"]]


# In a browser.


@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_an_organiser_reads_chooses_and_downloads_in_a_browser_without_scripts(
    browser, tmp_path, petition, signed, publish
):
    publish()
    make_organiser("view_counts")
    with server.web(tmp_path / "web.log") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}", java_script_enabled=False)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(START)
        page.fill("#id_username", "organiser")
        page.fill("#id_password", PASSWORD)
        follow(page, "[type=submit]")

        assert "151,210" in page.locator(".figure.all").inner_text()
        page.get_by_role("checkbox", name="Countries").check()
        page.fill("#id_since", "2026-02-23")
        follow(page, page.get_by_role("button", name="Show"))
        assert "by=country" in page.url
        assert page.locator("#series tbody tr").all_inner_texts() == ["Germany\t1,200", "Spain\t10"]
        assert page.locator(".chart.bars rect").first.bounding_box()["width"] > 100

        opened = {}
        for name, read in (
            ("CSV", lambda path: [row[1] for row in csv.reader(path.open(encoding="utf-8-sig"))][1:]),
            ("XLSX", lambda path: [str(row[1]) for row in load_workbook(path)["counts"].values][1:]),
            ("JSON", lambda path: [str(row["amount"]) for row in json.loads(path.read_text())["rows"]]),
        ):
            with page.expect_download() as waiting:
                page.locator("#series").get_by_role("link", name=name).click()
            path = tmp_path / waiting.value.suggested_filename
            waiting.value.save_as(path)
            opened[name] = read(path)
        assert opened == {name: ["1200", "10"] for name in ("CSV", "XLSX", "JSON")}
        assert complaints == []
        context.close()
