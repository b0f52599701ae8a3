"""Sources: what organisers pass on to a partner, how many signatures it brought, and what deleting one means."""

from datetime import date

import pytest
from django.urls import reverse

from petition.models import PublishedCell, Source

LIST = reverse("admin:petition_source_changelist")


@pytest.fixture
def organiser(client, petition, publish, make_staff):
    publish()
    for slug in ("amnesty", "other"):
        Source.objects.create(slug=slug, title=slug.capitalize())
    for week, measure, shown in ((2, "counted", 1_200), (9, "counted", 30), (9, "signed", 500)):
        PublishedCell.objects.create(
            petition=petition,
            week=date(2026, 3, week),
            country="DE",
            language="en",
            source="amnesty",
            measure=measure,
            amount=shown + 4,
            shown=shown,
        )
    client.force_login(make_staff("organiser"))
    return client


def test_the_list_has_the_link_its_code_and_the_published_number(organiser, settings):
    page = organiser.get(LIST).content.decode()

    assert f"{settings.SITE_URL}/en/?from=amnesty</output>" in page
    assert reverse("admin:petition_source_code", args=["amnesty"]) in page
    assert "1,230" in page
    assert "1,234" not in page


def test_the_numbers_of_all_sources_cost_one_statement(organiser, django_assert_max_num_queries):
    for number in range(20):
        Source.objects.create(slug=f"partner-{number}", title="Partner")
    with django_assert_max_num_queries(12):
        organiser.get(LIST)


def test_the_code_is_a_picture_to_print(organiser):
    answer = organiser.get(reverse("admin:petition_source_code", args=["amnesty"]))

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="amnesty.svg"'
    assert answer.content.startswith(b"<?xml")


def test_deleting_one_says_how_many_it_brought_and_what_becomes_of_them(organiser):
    url = reverse("admin:petition_source_delete", args=["amnesty"])
    asked = " ".join(organiser.get(url).content.decode().split())

    assert "By this link came 1,230 signatures, as far as is published" in asked
    assert "from the filters of signatures and campaigns" in asked
    organiser.post(url, {"post": "yes"})
    assert not Source.objects.filter(pk="amnesty").exists()
    assert PublishedCell.objects.filter(source="amnesty").count() == 3
