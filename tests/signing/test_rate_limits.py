"""What one network may ask for, how exactly it is counted, and whose word about a network is believed."""

import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection, connections
from django.test import Client
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from petition import identity, rate_limits, retention
from petition.links import CODE_DIGITS
from petition.models import DailySalt, OutgoingMail, Signature
from petition.postgres.counters import count
from tests.support import links, server

URL = "/en/petitions/chechnya/sign/"
CODE_URL = "/en/petitions/chechnya/confirm-code/"
THREADS = 16


@pytest.fixture
def clock(monkeypatch):
    """The limiter's clock: it stands still until a test moves it, so that no window ends by chance."""

    class Clock:
        now = float(int(time.time()))

        def time(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("django_ratelimit.core.time", clock)
    monkeypatch.setattr("petition.rate_limits.time", clock)
    return clock


def counted(key):
    """Where a counter stands; None if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT value FROM petition_cache WHERE cache_key = %s AND expires > now()", [cache.make_key(key)]
        )
        return (cursor.fetchone() or [None])[0]


@pytest.fixture(autouse=True)
def _shipped_limits(settings):
    settings.RATE_PER_NETWORK, settings.BURST_PER_NETWORK, settings.TRUSTED_PROXIES = "300/h", "30/m", []


@pytest.fixture
def sign_from(client, petition, sign_data):
    """Sign from an address; the status tells what came of it."""

    def sign(address, **data):
        return client.post(URL, sign_data(**data), REMOTE_ADDR=address).status_code

    return sign


@pytest.fixture
def try_from(client, petition):
    """Send the form as a robot does, always the same."""

    def sign(address, **headers):
        return client.post(URL, ROBOT, REMOTE_ADDR=address, **headers).status_code

    return sign


ROBOT = {"email": "robot@example.org", "consent": "on", "website": ""}


def in_threads(work, count=THREADS):
    """What `work(number)` returns in as many threads, which start together."""
    together = threading.Barrier(count)

    def run(number):
        together.wait()
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# The cache.


@pytest.mark.django_db(transaction=True)
def test_every_thread_that_counts_a_key_is_counted():
    cache.add("key", 0)

    seen = in_threads(lambda number: [cache.incr("key") for _ in range(50)])

    assert counted("key") == THREADS * 50
    assert sorted(count for counts in seen for count in counts) == list(range(1, THREADS * 50 + 1))


@pytest.mark.django_db(transaction=True)
def test_one_thread_alone_adds_a_key():
    for name in range(20):
        added = in_threads(lambda number, name=name: cache.add(f"key-{name}", number))

        assert added.count(True) == 1
        assert counted(f"key-{name}") == added.index(True)


@pytest.mark.django_db(transaction=True)
def test_one_thread_alone_takes_over_an_expired_key():
    cache.add("key", 7, timeout=-1)

    assert in_threads(lambda number: cache.add("key", 1)).count(True) == 1


@pytest.mark.django_db(transaction=True)
def test_counting_adding_and_clearing_at_once_never_fails():
    def work(number):
        for _ in range(20):
            cache.add("key", 0)
            with suppress(ValueError):
                cache.incr("key")
            if number == 0:
                cache.clear()

    in_threads(work)


@pytest.mark.django_db(transaction=True)
def test_threads_that_count_the_same_keys_in_any_order_miss_none_and_never_deadlock():
    keys = [f"shared-{number}" for number in range(6)]

    def work(number):
        for turn in range(30):
            count(dict.fromkeys(random.Random(number * turn).sample(keys, 6), 60))

    in_threads(work)

    assert {key: counted(key) for key in keys} == dict.fromkeys(keys, THREADS * 30)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "backend", ["petition.postgres.counters.PostgresCache", "django.core.cache.backends.locmem.LocMemCache"]
)
def test_counters_start_at_one_and_live_from_their_first_use(settings, backend):
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "petition_cache"}}

    assert count({"a": 60, "b": 60}) == {"a": 1, "b": 1}
    # In PostgreSQL they end with an hour.
    assert count({"b": 60, "c": -3_601}) == {"b": 2, "c": 1}
    assert count({"c": 60}) == {"c": 1}
    assert count({"a": 60, "b": 60, "d": 60}, {"a": 5, "b": 1, "d": 3}) == {"a": 6, "b": 3, "d": 3}


@pytest.mark.django_db
def test_a_counter_does_not_tell_when_it_was_first_counted():
    count({"a": 60})

    with connection.cursor() as cursor:
        cursor.execute("SELECT expires = date_trunc('hour', expires), expires > now() FROM petition_cache")
        assert cursor.fetchall() == [(True, True)]


@pytest.mark.django_db
class TestCache:
    @pytest.mark.parametrize("value", [0, -7, 2**62])
    def test_a_count_comes_back_as_it_was(self, value):
        cache.add("key", value)

        assert cache.incr("key", 1) == value + 1

    def test_what_has_expired_is_gone(self):
        cache.add("key", 1, timeout=-1)

        with pytest.raises(ValueError, match="no such key"):
            cache.incr("key")
        assert cache.add("key", 5)

    def test_a_count_keeps_its_time(self):
        cache.add("key", 1, timeout=60)
        cache.incr("key")
        assert not cache.add("key", 1, timeout=6_000)

        with connection.cursor() as cursor:
            cursor.execute("SELECT expires - now() < interval '61 seconds' FROM petition_cache")
            assert cursor.fetchone() == (True,)

    def test_only_the_expired_are_deleted(self):
        for number in range(3):
            cache.add(f"old-{number}", number, timeout=-1)
        cache.add("new", 1)

        assert cache.delete_expired() == 3
        assert counted("new") == 1

    def test_many_counters_push_none_out(self):
        for number in range(500):
            cache.add(f"key-{number}", number)

        assert counted("key-0") == 0
        assert counted("key-499") == 499

    def test_a_cleared_key_can_be_added_again(self):
        cache.add("key", 1)

        cache.clear()
        assert cache.add("key", 2)


@pytest.mark.parametrize(
    ("rate", "parsed"),
    [("300/h", (300, 3_600)), ("10/10m", (10, 600)), ("1/s", (1, 1)), ("5/d", (5, 86_400)), ("0", (0, 1))],
)
def test_a_rate_is_a_count_and_a_period(rate, parsed):
    assert rate_limits.parse_rate(rate) == parsed


# Signing.


@pytest.mark.django_db
class TestSigning:
    def test_thirty_a_minute_then_please_wait(self, client, petition, sign_data, clock):
        for _ in range(30):
            assert client.post(URL, sign_data()).status_code == 303

        response = client.post(URL, sign_data())

        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 60
        assert "no-store" in response["Cache-Control"]
        assert "<h1" in response.content.decode()
        assert (Signature.objects.count(), OutgoingMail.objects.count()) == (30, 30)

    def test_after_the_time_named_signing_works_again(self, client, petition, sign_data, clock):
        for _ in range(30):
            client.post(URL, ROBOT)
        clock.now += int(client.post(URL, ROBOT)["Retry-After"]) + 1

        assert client.post(URL, sign_data()).status_code == 303
        assert Signature.objects.count() == 30 + 1

    def test_three_hundred_an_hour_then_please_wait(self, client, settings, petition, clock):
        settings.BURST_PER_NETWORK = "0"
        for _ in range(300):
            assert client.post(URL, ROBOT).status_code == 303

        response = client.post(URL, ROBOT)

        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 3600

    def test_the_page_speaks_the_language_of_its_form(self, client, petition, clock):
        for _ in range(30):
            client.post("/ru/petitions/chechnya/sign/", ROBOT)

        page = client.post("/ru/petitions/chechnya/sign/", ROBOT).content.decode()
        assert '<html lang="ru"' in page

    def test_a_broken_form_counts_too(self, client, petition, clock):
        for _ in range(30):
            assert client.post(URL, {}).status_code == 422

        assert client.post(URL, {}).status_code == 429

    def test_looking_is_never_limited(self, client, petition, clock):
        for _ in range(40):
            client.post(URL, ROBOT)

        assert client.get(URL).status_code == 200
        assert client.head(URL).status_code == 200

    def test_another_network_goes_on(self, try_from, clock):
        for _ in range(31):
            last = try_from("192.0.2.1")

        assert last == 429
        assert try_from("192.0.2.2") == 303

    def test_signing_does_not_use_up_withdrawing(self, client, petition, clock):
        for _ in range(31):
            client.post(URL, ROBOT)

        assert client.post("/en/petitions/chechnya/withdraw/", {"email": "anna@example.org"}).status_code == 303

    def test_a_limit_of_zero_is_none(self, try_from, settings, clock):
        settings.RATE_PER_NETWORK = settings.BURST_PER_NETWORK = "0"

        assert {try_from("192.0.2.1") for _ in range(40)} == {303}


@pytest.mark.django_db
class TestNetworks:
    def test_an_ipv6_network_of_64_bits_is_one(self, try_from, clock):
        for number in range(30):
            assert try_from(f"2001:db8:0:1::{number:x}") == 303

        assert try_from("2001:db8:0:1:ffff::1") == 429
        assert try_from("2001:db8:0:2::1") == 303

    def test_an_ipv6_network_of_48_bits_has_ten_times_as_much(self, try_from, clock):
        for number in range(300):
            assert try_from(f"2001:db8:0:{number:x}::1") == 303

        assert try_from("2001:db8:0:ffff::1") == 429
        assert try_from("2001:db8:1::1") == 303

    def test_mapped_ipv4_is_that_ipv4(self, try_from, clock):
        for number in range(30):
            try_from(["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"][number % 3])

        assert try_from("::ffff:192.0.2.1") == 429
        assert try_from("192.0.2.1") == 429
        assert try_from("::ffff:192.0.2.2") == 303

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "unix",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4:80",
            "::1%",
            "fe80::1%eth0",
            "[::1]",
            "\x00",
            "ж",
            "x" * 9999,
            "01.02.03.04",
        ],
    )
    def test_a_strange_address_is_limited_like_any(self, try_from, clock, address):
        assert [try_from(address) for _ in range(31)] == [303] * 30 + [429]


@pytest.mark.django_db(transaction=True)
def test_threads_of_one_network_get_exactly_their_limit(petition, sign_data, clock):
    forms = [[sign_data() for _ in range(4)] for _ in range(THREADS)]

    def work(number):
        client = Client()
        return [client.post(URL, data, REMOTE_ADDR="192.0.2.1").status_code for data in forms[number]]

    answers = [status for statuses in in_threads(work) for status in statuses]

    assert (answers.count(303), answers.count(429)) == (30, THREADS * 4 - 30)
    assert (Signature.objects.count(), OutgoingMail.objects.count()) == (30, 30)


# Whose word is believed.


def client_network(rf, peer, forwarded=None):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return rate_limits.client_network(rf.post(URL, REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize("forwarded", ["198.51.100.1", "198.51.100.1, 127.0.0.1", "::1", "unix", "", ",", "\x00"])
def test_nobody_is_believed_without_trusted_proxies(rf, forwarded):
    assert client_network(rf, "192.0.2.1", forwarded) == "192.0.2.1"


@pytest.mark.parametrize(
    ("forwarded", "network"),
    [
        ("198.51.100.1", "198.51.100.1"),
        # What a client wrote itself stands left of what the proxy saw.
        ("127.0.0.1, 203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.9, 198.51.100.1", "198.51.100.1"),
        # A chain of our own proxies.
        ("198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1, 10.0.0.7, 10.0.0.8", "198.51.100.1"),
        (" 198.51.100.1 ,10.0.0.7 ", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, ::ffff:10.0.0.7", "198.51.100.1"),
        # Nothing to believe: the proxy itself.
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("198.51.100.1, nonsense", "10.0.0.1"),
        ("198.51.100.1, nonsense, 10.0.0.7", "10.0.0.7"),
        ("198.51.100.1, ", "10.0.0.1"),
        (None, "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_tells_who_came(rf, settings, forwarded, network):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]

    assert client_network(rf, "10.0.0.1", forwarded) == network


def test_a_stranger_beside_the_proxy_is_not_believed(rf, settings):
    settings.TRUSTED_PROXIES = ["10.0.0.1/32", "2001:db8:1::/64"]

    assert client_network(rf, "10.0.0.2", "198.51.100.1") == "10.0.0.2"
    assert client_network(rf, "::ffff:10.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert client_network(rf, "2001:db8:1::5", "198.51.100.1") == "198.51.100.1"
    assert client_network(rf, "2001:db8:2::5", "198.51.100.1") == "2001:db8:2::/64"


def test_a_unix_socket_is_believed_only_if_named(rf, settings):
    assert client_network(rf, "", "198.51.100.1") == "unknown"

    settings.TRUSTED_PROXIES = ["unix"]
    assert client_network(rf, "", "203.0.113.9, 198.51.100.1") == "198.51.100.1"
    assert client_network(rf, "192.0.2.1", "198.51.100.1") == "192.0.2.1"


@pytest.mark.django_db
def test_a_forged_address_signs_no_more_often(try_from, clock):
    answers = [
        try_from(
            "192.0.2.1",
            HTTP_X_FORWARDED_FOR=f"198.51.100.{n}",
            HTTP_X_REAL_IP=f"198.51.100.{n}",
            HTTP_FORWARDED=f"for=198.51.100.{n}",
            HTTP_CLIENT_IP=f"198.51.100.{n}",
        )
        for n in range(31)
    ]

    assert answers == [303] * 30 + [429]


# The code.


@pytest.fixture
def pending(make_signature):
    return make_signature()


WRONG = "3333-333-333"


def try_code(client, code, address="192.0.2.1"):
    return client.post(CODE_URL, {"code": code}, REMOTE_ADDR=address)


@pytest.mark.django_db
class TestCode:
    def test_the_fifth_try_counts_and_the_sixth_waits(self, client, pending, clock):
        for _ in range(5):
            assert try_code(client, WRONG).status_code == 422

        response = try_code(client, links.code(pending))

        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 3600
        assert not Signature.objects.confirmed().exists()

    def test_the_right_code_works_at_the_fifth_try(self, client, pending, clock):
        for _ in range(4):
            try_code(client, WRONG)

        assert try_code(client, links.code(pending)).status_code == 303
        assert Signature.objects.counted().count() == 1

    @pytest.mark.parametrize("code", ["", "-", "x" * 1000, "\x00", "3333", "ж" * 8, "٣" * 10, "3" * 11])
    def test_a_code_without_form_is_a_try(self, client, pending, clock, code):
        for _ in range(5):
            assert try_code(client, code).status_code == 422

        assert try_code(client, links.code(pending)).status_code == 429

    def test_a_missing_code_is_a_try(self, client, pending, clock):
        for _ in range(5):
            client.post(CODE_URL, REMOTE_ADDR="192.0.2.1")

        assert try_code(client, links.code(pending)).status_code == 429

    def test_another_network_has_its_own_tries(self, client, pending, clock):
        """Or anyone could lock the signer out."""
        for _ in range(6):
            last = try_code(client, WRONG).status_code
        assert last == 429

        assert try_code(client, links.code(pending), address="192.0.2.2").status_code == 303

    def test_the_link_works_when_the_tries_are_used_up(self, client, pending, clock):
        for _ in range(6):
            try_code(client, WRONG)

        client.post(f"/en/confirm/{links.token(pending)}/")

        assert Signature.objects.counted().count() == 1

    def test_looking_at_the_form_is_no_try(self, client, pending, clock):
        for _ in range(10):
            client.get(CODE_URL)

        assert try_code(client, links.code(pending)).status_code == 303

    def test_many_networks_may_be_wrong_so_often_together_then_an_alarm_is_logged_and_no_code_is_taken(
        self, client, pending, clock, settings, caplog
    ):
        settings.CODE_ERRORS = "10/h"
        networks = [f"192.0.2.{number}" for number in range(1, 13)]
        for network in networks[:9]:
            assert try_code(client, WRONG, network).status_code == 422
        assert "Codes are being guessed" not in caplog.text

        assert try_code(client, WRONG, networks[9]).status_code == 422
        assert "Codes are being guessed" in caplog.text
        response = try_code(client, links.code(pending), networks[10])
        assert response.status_code == 429
        assert 1 <= int(response["Retry-After"]) <= 3600
        assert client.post(f"/en/confirm/{links.token(pending)}/").status_code == 303

        clock.now += 3_601
        assert try_code(client, links.code(pending), networks[11]).status_code == 303

    def test_right_codes_are_no_errors(self, client, make_signature, clock, settings):
        settings.CODE_ERRORS = "2/h"
        for number in range(1, 6):
            assert try_code(client, links.code(make_signature()), f"192.0.2.{number}").status_code == 303


def test_guessing_all_codes_of_the_site_at_the_limit_takes_longer_than_they_live(settings):
    """A busy week: 100,000 codes in use, and every error that the site allows."""
    errors, seconds = rate_limits.parse_rate(settings.CODE_ERRORS)
    hours_until_a_hit = 10**CODE_DIGITS / 100_000 / errors * seconds / 3_600

    assert hours_until_a_hit > settings.CONFIRMATION_DAYS * 24
    assert rate_limits.parse_rate(settings.CODE_TRIES) == (5, 3_600)


@pytest.mark.django_db(transaction=True)
def test_threads_get_five_tries_at_a_code_between_them(petition, clock):
    answers = in_threads(lambda number: try_code(Client(), WRONG).status_code)

    assert (answers.count(422), answers.count(429)) == (5, THREADS - 5)


# Many at once.


@pytest.mark.django_db
@hypothesis_settings(deadline=None)
@given(uses=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["2/d", "3/h", "0"]))))
def test_many_uses_counted_at_once_are_counted_as_if_one_by_one(uses):
    for half in (uses[: len(uses) // 2], uses):
        together = rate_limits.over_each((f"together {group}", key, rate) for group, key, rate in half)
        one_by_one = [rate_limits.over(f"alone {group}", key, rate) is not None for group, key, rate in half]

        assert together == one_by_one


@pytest.mark.django_db
def test_one_at_a_time_and_many_at_once_share_their_counters(clock):
    use = ("mail", "somebody", "5/d")

    assert [rate_limits.over(*use) for _ in range(3)] == [None] * 3
    assert rate_limits.over_each([use, use, use]) == [False, False, True]
    assert rate_limits.over(*use) is not None


# What the counters give away.


@pytest.mark.django_db
def test_the_counters_name_no_network_and_no_address(client, petition, sign_data):
    client.post(URL, sign_data(email="anna@example.org"), REMOTE_ADDR="192.0.2.77")
    client.post(URL, sign_data(email="anna@example.org"), REMOTE_ADDR="2001:db8:77::1")
    try_code(client, WRONG)
    client.post("/en/petitions/chechnya/withdraw/", {"email": "anna@example.org"}, REMOTE_ADDR="192.0.2.77")

    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key, value, expires FROM petition_cache")
        rows = cursor.fetchall()
    assert len(rows) >= 9
    text = repr(rows)
    digest = identity.email_digest("anna@example.org").hex()
    for told in ("192.0.2", "2001:db8", "anna", "example", "sign", "code", digest):
        assert told not in text
    # Nor can a counter be found by hashing every address there is.
    assert all(len(key.rpartition(":")[2]) == 64 for key, _value, _expires in rows)


@pytest.mark.django_db
def test_the_next_day_a_network_has_another_name(monkeypatch):
    today = datetime.now(UTC)
    before = identity.network_digest("192.0.2.1"), identity.daily_hash(b"x").digest()

    class Tomorrow(datetime):
        @classmethod
        def now(cls, zone=None):
            return today + timedelta(days=1)

    monkeypatch.setattr("petition.identity.datetime", Tomorrow)
    after = identity.network_digest("192.0.2.1"), identity.daily_hash(b"x").digest()

    assert not set(before) & set(after)
    assert DailySalt.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_threads_agree_on_the_salt_of_the_day():
    def work(number):
        identity._salt = None
        return identity.daily_salt()

    assert len(set(in_threads(work))) == 1
    assert len(DailySalt.objects.get().salt) == 32


@pytest.mark.django_db(transaction=True)
def test_processes_share_the_salt_and_the_counters(clock):
    script = (
        "import django; django.setup()\n"
        "from petition import identity, rate_limits\n"
        "print(identity.network_digest('192.0.2.1').hex(), rate_limits.over('sign', '192.0.2.1', '2/d'))"
    )

    def other_process():
        done = subprocess.run(
            [server.PYTHON, "-c", script],
            cwd=server.PROJECT,
            env=server.environment(DJANGO_SETTINGS_MODULE="config.settings"),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    first, second = other_process(), other_process()

    assert first[0] == second[0] == identity.network_digest("192.0.2.1").hex()
    assert (first[1], second[1]) == ("None", "None")
    assert rate_limits.over("sign", "192.0.2.1", "2/d") is not None


# Without counters.


class GoneCache(LocMemCache):
    """A cache with errors of its own, like that of a Redis that was killed."""

    def add(self, *args, **options):
        raise ConnectionError("redis.example.org refuses")


@pytest.fixture(params=["no table", "no Redis"])
def _counters_gone(request, settings, transactional_db):
    if request.param == "no Redis":
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.GoneCache"}}
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE petition_cache RENAME TO petition_cache_gone")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE petition_cache_gone RENAME TO petition_cache")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_counters_gone")
class TestWithoutCounters:
    @pytest.mark.parametrize("url", [URL, CODE_URL, "/admin/login/"])
    def test_what_has_a_limit_is_done_later(self, client, petition, sign_data, url):
        client.raise_request_exception = False
        response = client.post(url, {**sign_data(), "code": "0" * CODE_DIGITS, "username": "anna", "password": "x"})

        assert (response.status_code, "Retry-After" in response.headers) == (503, True)
        assert not Signature.objects.exists()

    def test_pages_are_read_as_ever(self, client, petition):
        assert client.get(URL).status_code == 200

    def test_all_else_is_purged(self, petition):
        DailySalt.objects.create(day=datetime.now(UTC).date() - timedelta(days=9), salt=b"s" * 32)

        purged = retention.purge()

        assert purged["daily salts"] == 1
        assert purged.get("expired counters") is None
