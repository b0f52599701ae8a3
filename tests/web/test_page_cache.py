"""Whoever has no cache in front is protected by a short and bounded one in each process."""

import time

import pytest

from petition.models import Source

HOME = "/en/"
COUNT = "/petitions/chechnya/count.json"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _cached(settings, petition):
    settings.PAGE_CACHE_ENTRIES = 10


def rename(petition, title):
    petition.title = title
    petition.save()


def title_is_shown(client, title, url=HOME, **kwargs):
    return title in client.get(url, **kwargs).content.decode()


def test_a_second_visitor_costs_no_database(client, django_assert_num_queries):
    first = client.get(HOME)

    with django_assert_num_queries(0):
        second = client.get(HOME)

    assert second.content == first.content
    assert dict(second.items()) == dict(first.items())


def test_a_page_is_kept_as_long_as_its_cache_control_says_and_no_longer(client, petition, monkeypatch):
    client.get(HOME)
    rename(petition, "Another demand")
    now = time.monotonic()

    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert not title_is_shown(client, "Another demand")
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    assert title_is_shown(client, "Another demand")


def test_each_language_and_each_partner_has_a_page_of_its_own(client):
    Source.objects.create(slug="partner", title="A partner")

    assert b'value="partner"' not in client.get(HOME).content
    assert b'value="partner"' in client.get(f"{HOME}?from=partner").content
    assert 'lang="ru"' in client.get("/ru/").content.decode()


@pytest.mark.parametrize("query", ["from=partner&from=", "from=&from=nobody", "from=partner&from=nobody"])
def test_nobody_takes_the_page_of_a_partner_by_asking_twice(client, query):
    Source.objects.create(slug="partner", title="A partner")
    client.get(f"{HOME}?{query}")

    assert b'value="partner"' in client.get(f"{HOME}?from=partner").content


@pytest.mark.parametrize("query", ["x=1", "utm_source=mail&fbclid=2", "from=<script>", "from=" + "a" * 25, "%ff=%00"])
def test_every_other_query_is_dropped(client, django_assert_num_queries, query):
    client.get(HOME)

    with django_assert_num_queries(0):
        assert client.get(f"{HOME}?{query}").status_code == 200


def test_made_up_partners_find_the_page_of_everyone(client, django_assert_num_queries):
    Source.objects.create(slug="partner", title="A partner")
    client.get(HOME)
    client.get(f"{HOME}?from=partner")

    with django_assert_num_queries(0):
        for number in range(10):
            assert b'value="partner"' not in client.get(f"{HOME}?from=made-up-{number}").content

    assert len(_page_cache(client.handler._middleware_chain).kept) == 2


def test_the_memory_is_bounded_and_forgets_what_was_asked_longest_ago(client, settings):
    settings.PAGE_CACHE_ENTRIES = 3
    for number in range(10):
        client.get(f"/en/petitions/chechnya/thanks/?page={number}")
        client.get(HOME)

    kept = _page_cache(client.handler._middleware_chain).kept
    assert {(key[0], key[2]) for key in kept} == {
        (HOME, ""),
        ("/en/petitions/chechnya/thanks/", "9"),
        ("/en/petitions/chechnya/thanks/", "8"),
    }


def _page_cache(chain):
    """The cache at the head of the middleware chain."""
    from petition.web.page_cache import PageCache

    cells = [cell.cell_contents for cell in chain.__closure__]
    return next(cell for cell in cells if isinstance(cell, PageCache))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip;q=1.0, BR", "br"), ("gzip, deflate", "gzip"), ("brown", None), ("", None)],
)
def test_a_compressed_page_is_given_to_those_who_can_read_it_alone(client, accepted, encoding):
    for kept in ("gzip", "br", ""):
        client.get(HOME, headers={"Accept-Encoding": kept})

    assert client.get(HOME, headers={"Accept-Encoding": accepted}).get("Content-Encoding") == encoding


def test_who_has_the_page_already_gets_304(client):
    etag = client.get(HOME)["ETag"]

    response = client.get(HOME, headers={"If-None-Match": etag})

    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("url", ["/", "/en/withdraw/x/", "/en/confirm/x/", "/en/nothing-here/", "/healthz"])
def test_what_is_not_public_is_never_kept(client, url):
    client.get(url)

    assert not _page_cache(client.handler._middleware_chain).kept


def test_another_cache_in_front_is_served_afresh(client, petition):
    client.get(HOME)
    rename(petition, "Another demand")

    assert title_is_shown(client, "Another demand", headers={"Surrogate-Capability": 'nginx="Surrogate/1.0"'})


def test_a_wrong_host_is_refused_from_the_cache_too(client):
    client.get(HOME)

    assert client.get(HOME, headers={"Host": "evil.example"}).status_code == 400


def test_the_count_is_kept_for_two_seconds(client, make_signature, monkeypatch):
    client.get(COUNT)
    make_signature(confirmed=True)
    now = time.monotonic()

    monkeypatch.setattr(time, "monotonic", lambda: now + 1)
    assert client.get(COUNT).json()["confirmed_here"] == 0
    monkeypatch.setattr(time, "monotonic", lambda: now + 3)
    assert client.get(COUNT).json()["confirmed_here"] == 1


@pytest.mark.parametrize(
    ("path", "most"),
    [("/en/", 17), ("/en/petitions/chechnya/check-inbox/", 3), ("/en/petitions/chechnya/thanks/", 4)],
)
def test_a_page_of_the_journey_that_is_made_anew_costs_few_statements(
    client, settings, publish, known_switches, django_assert_max_num_queries, path, most
):
    settings.PAGE_CACHE_ENTRIES = 0
    client.get(path)

    with django_assert_max_num_queries(most):
        assert client.get(path).status_code == 200
