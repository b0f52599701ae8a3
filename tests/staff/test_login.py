"""Login of staff: a password, then a code from the phone or from paper; and how strangers are kept out."""

import base64
import html
import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from petition.models import StaffAction
from petition.staff import second_factor
from tests.operations.test_checks import production, run
from tests.support import server
from tests.support.accounts import QuickHasher
from tests.support.browser import follow, needs_chromium

pytestmark = pytest.mark.django_db

PASSWORD = "a long password for a test"
LOGIN, INDEX, LOGOUT = reverse("admin:login"), reverse("admin:index"), reverse("admin:logout")
CODE, SET_UP, SCAN = (
    reverse(f"admin:{name}") for name in ("second_factor", "second_factor_set_up", "second_factor_scan")
)
BACKUP_CODES = reverse("admin:backup_codes")
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _as_in_production(settings, monkeypatch):
    settings.SECOND_FACTOR = True
    # No window of a limit ends by chance.
    now = int(time.time())
    for limiter in ("django_ratelimit.core", "petition.rate_limits"):
        monkeypatch.setattr(f"{limiter}.time", SimpleNamespace(time=lambda: now))


@pytest.fixture
def anna(make_staff):
    return make_staff("moderator", username="anna", password=PASSWORD)


def log_in(client, username="anna", password=PASSWORD, **options):
    return client.post(LOGIN, {"username": username, "password": password}, **options)


def phone(user):
    """The key on the phone of this user."""
    device = second_factor.begin(user)
    TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
    return device


def shown_by(device, steps=0):
    """The code on the phone, so many half minutes from now."""
    return code_of(device.bin_key, steps)


def code_of(key, steps=0):
    return f"{totp(key, t0=-30 * steps):06}"


def audited():
    return list(StaffAction.objects.order_by("id").values_list("username", "action"))


def is_in(client):
    return client.get(INDEX).status_code == 200


def in_production(expression, **variables):
    """The output of a process that runs this as in production."""
    script = f"""
import django; django.setup()
from django.conf import settings
from django.contrib.auth.hashers import make_password
print({expression})"""
    code, said = run("-c", script, environment=production(DJANGO_SETTINGS_MODULE="config.settings", **variables))
    assert code == 0, said
    return said.strip()


def as_shown(response):
    return html.unescape(response.content.decode())


# Setting it up.


@pytest.mark.parametrize("name", ["index", "petition_signature_changelist", "password_change", "jsi18n"])
def test_without_a_second_factor_every_page_leads_to_setting_one_up(client, anna, name):
    log_in(client)

    response = client.get(reverse(f"admin:{name}"), follow=True)

    assert response.redirect_chain[-1][0] == SET_UP
    assert "admin:" not in as_shown(response)
    assert "Signatures" not in as_shown(response)


def test_setting_it_up_takes_the_password_anew(client, anna):
    log_in(client)

    page = client.post(SET_UP, {"password": "not the password"})

    assert "This is not your password" in as_shown(page)
    assert client.get(SCAN)["Location"] == SET_UP
    assert not TOTPDevice.objects.exists()
    assert audited()[-1] == ("anna", "password_refused")


def test_setting_it_up_shows_a_key_then_backup_codes_and_lets_in(client, anna):
    log_in(client)
    assert client.post(SET_UP, {"password": PASSWORD})["Location"] == SCAN
    device = TOTPDevice.objects.get()
    page = client.get(SCAN)
    assert "<svg" in as_shown(page)
    assert "style=" not in as_shown(page)
    assert device.config_url in as_shown(page)
    assert second_factor.key_to_type(device) in as_shown(page)
    assert "no-store" in page["Cache-Control"]
    assert not is_in(client)

    page = client.post(SCAN, {"code": shown_by(device)})

    codes = re.findall(r"<code>([0-9A-Z-]{19})</code>", as_shown(page))
    assert len(set(codes)) == 10
    assert is_in(client)
    assert audited() == [("anna", "password_accepted"), ("anna", "second_factor_set_up")]


def test_what_the_app_shows_names_no_cause(client, anna):
    assert phone(anna).config_url.startswith("otpauth://totp/Staff%3Aanna?secret=")


def test_a_wrong_code_sets_nothing_up(client, anna):
    log_in(client)
    client.post(SET_UP, {"password": PASSWORD})

    page = client.post(SCAN, {"code": "000000"})

    assert "This code is wrong" in as_shown(page)
    assert not is_in(client)
    assert not second_factor.is_set_up(anna)


def test_a_key_that_was_not_finished_in_time_is_forgotten(client, anna):
    log_in(client)
    client.post(SET_UP, {"password": PASSWORD})
    device = TOTPDevice.objects.get()
    TOTPDevice.objects.update(created_at=timezone.now() - 11 * MINUTE)

    assert client.post(SCAN, {"code": shown_by(device)})["Location"] == SET_UP
    assert not is_in(client)


def test_another_session_cannot_finish_what_one_began(client, anna):
    log_in(client)
    client.post(SET_UP, {"password": PASSWORD})
    device = TOTPDevice.objects.get()
    other = Client()
    log_in(other)

    assert other.get(SCAN)["Location"] == SET_UP
    assert other.post(SCAN, {"code": shown_by(device)})["Location"] == SET_UP


def test_backup_codes_are_shown_once_and_stored_as_digests(client, anna):
    log_in(client)
    client.post(SET_UP, {"password": PASSWORD})
    page = client.post(SCAN, {"code": shown_by(TOTPDevice.objects.get())})
    code = re.search(r"<code>([0-9A-Z-]{19})</code>", as_shown(page))[1]

    for url in (SCAN, BACKUP_CODES, CODE, SET_UP):
        assert code not in as_shown(client.get(url, follow=True))
    stored = set(StaticToken.objects.values_list("token", flat=True))
    assert len(stored) == 10
    assert {code, code.replace("-", ""), code.replace("-", "").lower()}.isdisjoint(stored)
    # Knowing what is stored is no code.
    assert second_factor.give(anna, stored.pop()) is None


def test_the_password_alone_does_not_replace_a_second_factor(client, anna):
    device = phone(anna)
    log_in(client)

    for url, data in [
        (SET_UP, {"password": PASSWORD}),
        (SCAN, {"code": "123456"}),
        (BACKUP_CODES, {"password": PASSWORD}),
    ]:
        assert client.get(url, follow=True).redirect_chain[-1][0] == CODE
        assert client.post(url, data, follow=True).redirect_chain[-1][0] == CODE
    assert TOTPDevice.objects.get() == device


def test_a_new_phone_replaces_the_old_one(client, anna):
    old = phone(anna)
    log_in(client)
    client.post(CODE, {"code": shown_by(old)})
    client.post(SET_UP, {"password": PASSWORD})
    new = TOTPDevice.objects.exclude(pk=old.pk).get()

    client.post(SCAN, {"code": shown_by(new)})

    assert TOTPDevice.objects.get() == new
    assert is_in(client)


# Coming in.


def test_a_password_and_a_code_let_in(client, anna):
    device = phone(anna)
    log_in(client)
    assert not is_in(client)
    assert "Open the app" in as_shown(client.get(INDEX, follow=True))

    response = client.post(CODE, {"code": f" {shown_by(device)[:3]} {shown_by(device)[3:]}"})

    assert response["Location"] == INDEX
    assert is_in(client)
    assert audited() == [("anna", "password_accepted"), ("anna", "logged_in")]


def test_who_asked_for_a_page_gets_there(client, anna):
    device = phone(anna)
    wanted = reverse("admin:petition_signature_changelist")
    client.post(client.get(wanted)["Location"], {"username": "anna", "password": PASSWORD})
    url = client.get(wanted, follow=True).redirect_chain[-1][0]

    assert client.post(url, {"code": shown_by(device)})["Location"] == wanted


@pytest.mark.parametrize("elsewhere", ["https://example.org/", "//example.org", "javascript:alert(1)", ""])
def test_nobody_is_led_to_another_site(client, anna, elsewhere):
    device = phone(anna)
    log_in(client)

    assert client.post(f"{CODE}?next={elsewhere}", {"code": shown_by(device)})["Location"] == INDEX


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phone_may_be_half_a_minute_off(client, anna, steps, right):
    device = phone(anna)
    log_in(client)

    client.post(CODE, {"code": shown_by(device, steps)})

    assert is_in(client) is right


def test_a_code_is_taken_once(client, anna):
    device = phone(anna)
    code = shown_by(device)
    log_in(client)
    client.post(CODE, {"code": code})
    other = Client()
    log_in(other)

    other.post(CODE, {"code": code})

    assert not is_in(other)


def test_wrong_codes_make_wait_longer_and_longer(client, anna):
    device = phone(anna)
    log_in(client)

    waits = []
    for _ in range(4):
        client.post(CODE, {"code": "000000"})
        refused = client.post(CODE, {"code": shown_by(device)})
        assert refused.status_code == 429
        assert "Too many wrong codes" in as_shown(refused)
        waits.append(int(refused["Retry-After"]))
        TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - 60 * MINUTE)

    assert waits == [1, 2, 4, 8]
    client.post(CODE, {"code": shown_by(device)})
    assert is_in(client)
    assert audited().count(("anna", "code_refused")) == 4


def test_codes_that_a_wrong_clock_refused_lock_nobody_out_once_it_is_right(client, anna):
    device = phone(anna)
    log_in(client)
    client.post(CODE, {"code": "000000"})
    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() + 1440 * MINUTE)

    refused = client.post(CODE, {"code": shown_by(device)})
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")

    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - MINUTE)
    client.post(CODE, {"code": shown_by(device)})
    assert is_in(client)


def test_a_backup_code_lets_in_once(client, anna):
    phone(anna)
    code, *rest = second_factor.make_backup_codes(anna)
    log_in(client)
    client.post(CODE, {"code": code.lower().replace("-", " ")})
    assert is_in(client)
    assert audited()[-1] == ("anna", "backup_code_used")
    assert "You have 9 backup codes left" in as_shown(client.get(CODE))

    other = Client()
    log_in(other)
    other.post(CODE, {"code": code})
    assert not is_in(other)
    StaticDevice.objects.update(throttling_failure_timestamp=None)
    other.post(CODE, {"code": rest[0]})
    assert is_in(other)


def test_new_backup_codes_take_the_password_and_replace_the_old_ones(client, anna):
    device = phone(anna)
    old = second_factor.make_backup_codes(anna)
    log_in(client)
    client.post(CODE, {"code": shown_by(device)})

    assert "not your password" in as_shown(client.post(BACKUP_CODES, {"password": "x"}))
    page = as_shown(client.post(BACKUP_CODES, {"password": PASSWORD}))

    new = re.findall(r"<code>([0-9A-Z-]{19})</code>", page)
    assert len(new) == 10
    assert set(new).isdisjoint(old)
    assert second_factor.give(anna, old[0]) is None
    assert audited()[-1] == ("anna", "backup_codes_made")


def test_the_codes_of_another_person_do_not_help(client, anna, make_staff):
    boris = make_staff(username="boris")
    phone(anna)
    device, codes = phone(boris), second_factor.make_backup_codes(boris)
    log_in(client)

    client.post(CODE, {"code": shown_by(device)})
    TOTPDevice.objects.update(throttling_failure_timestamp=None)
    client.post(CODE, {"code": codes[0]})

    assert not is_in(client)


@pytest.mark.parametrize("url", [CODE, SET_UP, SCAN, BACKUP_CODES])
@pytest.mark.parametrize("who", ["a stranger", "an account that is no staff", "one switched off meanwhile"])
def test_these_pages_are_for_staff_who_gave_their_password(client, anna, url, who):
    if who == "an account that is no staff":
        client.force_login(User.objects.create_user("visitor"))
    if who == "one switched off meanwhile":
        log_in(client)
        User.objects.update(is_active=False)

    for response in (client.get(url), client.post(url, {"password": PASSWORD, "code": "123456"})):
        assert response["Location"].startswith(LOGIN)


def test_who_has_no_code_at_hand_can_leave(client, anna):
    phone(anna)
    log_in(client)

    client.post(LOGOUT)

    assert client.get(CODE)["Location"].startswith(LOGIN)
    assert audited()[-1] == ("anna", "logged_out")


def test_a_trial_on_one_machine_asks_for_no_second_factor(client, anna, settings):
    settings.SECOND_FACTOR = False

    log_in(client)

    assert is_in(client)
    assert audited() == [("anna", "logged_in")]


@pytest.mark.parametrize("wished", ["0", "no", ""])
def test_elsewhere_nobody_can_do_without_it(wished):
    assert in_production("settings.SECOND_FACTOR", SECOND_FACTOR=wished) == "True"


# A lost phone.


@pytest.fixture
def administrator(make_staff, settings):
    vera = make_staff("administrator", username="vera", password=PASSWORD)
    device = phone(vera)
    client = Client()
    log_in(client, "vera")
    client.post(CODE, {"code": shown_by(device)})
    client.user = vera
    return client


def test_another_administrator_resets_it_with_a_reason(client, anna, administrator):
    device = phone(anna)
    code = second_factor.make_backup_codes(anna)[0]
    url = reverse("admin:auth_user_second_factor", args=[anna.pk])
    assert url in as_shown(administrator.get(reverse("admin:auth_user_change", args=[anna.pk])))

    assert "This field is required" in as_shown(administrator.post(url, {"reason": ""}))
    assert second_factor.is_set_up(anna)
    administrator.post(url, {"reason": "Lost her phone on the train"})

    entry = StaffAction.objects.latest_first().first()
    assert (entry.username, entry.action, entry.about, entry.reason) == (
        "vera",
        "second_factor_reset",
        "user anna",
        "Lost her phone on the train",
    )
    assert second_factor.give(anna, code) is None
    log_in(client)
    assert client.get(INDEX, follow=True).redirect_chain[-1][0] == SET_UP
    assert client.post(CODE, {"code": shown_by(device)})["Location"] == SET_UP


def test_a_reset_puts_out_who_is_in(client, anna, administrator):
    device = phone(anna)
    log_in(client)
    client.post(CODE, {"code": shown_by(device)})
    assert is_in(client)

    administrator.post(reverse("admin:auth_user_second_factor", args=[anna.pk]), {"reason": "Phone was seized"})

    assert not is_in(client)


def test_nobody_resets_the_own_one(administrator):
    url = reverse("admin:auth_user_second_factor", args=[administrator.user.pk])

    assert administrator.post(url, {"reason": "Easier"}).status_code == 403
    assert second_factor.is_set_up(administrator.user)


def test_the_operator_resets_that_of_the_last_administrator(anna):
    phone(anna)

    assert "sets up a new" in call_command("reset_second_factor", "anna", reason="Asked on the phone")

    assert not second_factor.is_set_up(anna)
    entry = StaffAction.objects.get()
    assert (entry.username, entry.action, entry.about) == ("", "second_factor_reset", "user anna")
    assert "nothing has changed" in call_command("reset_second_factor", "anna", reason="Again")
    with pytest.raises(CommandError, match="no such account"):
        call_command("reset_second_factor", "boris", reason="?")


# Sessions.


def test_a_session_ends_with_the_browser_and_its_cookie_stays_in_the_admin(client, anna):
    cookie = log_in(client).cookies[django_settings.SESSION_COOKIE_NAME]

    assert (cookie["max-age"], cookie["expires"]) == ("", "")
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (
        f"/{django_settings.ADMIN_PATH}/",
        True,
        "Strict",
    )


def test_cookies_have_names_that_only_https_may_set():
    assert in_production("settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE") == "__Secure-sessionid True"
    assert in_production("settings.CSRF_COOKIE_NAME, settings.CSRF_COOKIE_SECURE") == "__Secure-csrftoken True"


def test_a_session_ends_after_half_an_hour_without_a_request(client, anna, settings):
    settings.SECOND_FACTOR = False
    log_in(client)

    def minutes_left():
        return (Session.objects.get().expire_date - timezone.now()) / MINUTE

    assert 29 < minutes_left() <= 30
    Session.objects.update(expire_date=timezone.now() + MINUTE)
    assert is_in(client)
    assert 29 < minutes_left() <= 30

    Session.objects.update(expire_date=timezone.now() - MINUTE / 60)
    assert not is_in(client)


def test_a_session_is_another_one_after_the_password_and_after_the_code(client, anna):
    device = phone(anna)
    keys = [client.session.session_key]
    log_in(client)
    keys.append(client.session.session_key)
    client.post(CODE, {"code": shown_by(device)})
    keys.append(client.session.session_key)

    assert len(set(keys)) == 3
    assert not Session.objects.filter(pk=keys[1]).exists()


def test_logging_out_ends_the_session_in_the_database(client, anna):
    log_in(client)

    client.post(LOGOUT)

    assert not Session.objects.exists()


def test_a_new_password_is_traced_and_ends_other_sessions(client, anna, settings):
    settings.SECOND_FACTOR = False
    other = Client()
    log_in(client)
    log_in(other)
    new = "another long password for a test"

    client.post(
        reverse("admin:password_change"), {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )

    assert audited()[-1] == ("anna", "password_changed")
    assert is_in(client)
    assert not is_in(other)


@pytest.mark.parametrize("weak", ["short", "password1234", "123456789012", "anna-the-moderator"])
def test_weak_passwords_are_refused(client, make_staff, settings, weak):
    settings.SECOND_FACTOR = False
    make_staff(username="anna-the-moderator", password=PASSWORD)
    log_in(client, "anna-the-moderator")

    client.post(
        reverse("admin:password_change"), {"old_password": PASSWORD, "new_password1": weak, "new_password2": weak}
    )

    assert User.objects.get().check_password(PASSWORD)


def test_passwords_are_hashed_with_argon2():
    assert in_production("make_password('x')").startswith("argon2$argon2id$")


# Guessing.


def test_a_network_has_ten_tries_for_an_account(client, anna):
    for _ in range(10):
        assert log_in(client, password="wrong").status_code == 200

    refused = log_in(client)

    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 600
    assert "no-store" in refused["Cache-Control"]
    assert "Too many tries" in as_shown(refused)
    assert not is_in(client)


def test_another_network_and_another_account_go_on(client, anna, make_staff):
    make_staff(username="boris", password=PASSWORD)
    for _ in range(11):
        log_in(client, password="wrong")

    assert log_in(Client(), REMOTE_ADDR="192.0.2.7").status_code == 302
    assert log_in(Client(), "boris").status_code == 302


def test_however_a_name_is_written_it_is_one_account(client, anna):
    for name in ["anna", "ANNA", " anna", "Anna "] * 3:
        last = log_in(client, name, password="wrong")

    assert last.status_code == 429


def test_a_network_has_sixty_tries_for_all_accounts(client, anna):
    statuses = [log_in(client, f"name{number}", "wrong").status_code for number in range(61)]

    assert statuses == [200] * 60 + [429]


def test_one_network_locks_nobody_out(client, anna, settings):
    """However often it asks: what it is refused itself is not counted for the account."""
    settings.LOGINS_PER_ACCOUNT = "20/m"
    for _ in range(60):
        log_in(client, password="wrong")

    assert log_in(Client(), REMOTE_ADDR="192.0.2.7").status_code == 302


def test_many_networks_together_have_a_limit_that_is_soon_over(client, anna, settings):
    settings.LOGINS_PER_ACCOUNT = "20/m"
    for number in range(20):
        assert log_in(client, password="wrong", REMOTE_ADDR=f"192.0.2.{number}").status_code == 200

    refused = log_in(client, REMOTE_ADDR="192.0.2.99")

    assert refused.status_code == 429
    assert int(refused["Retry-After"]) <= 60


def test_a_wide_network_of_ipv6_has_a_limit_too(client, anna, settings):
    settings.LOGINS_PER_NETWORK = "2/h"
    statuses = [
        log_in(client, f"name{number}", "wrong", REMOTE_ADDR=f"2001:db8:1:{number}::1").status_code
        for number in range(21)
    ]

    assert statuses == [200] * 20 + [429]


@pytest.mark.parametrize("url", [SET_UP, BACKUP_CODES, reverse("admin:password_change")])
def test_a_stolen_session_gives_no_more_tries_of_the_password(client, anna, url):
    device = phone(anna)
    log_in(client)
    client.post(CODE, {"code": shown_by(device)})
    fields = {"password": "wrong", "old_password": "wrong", "new_password1": "x", "new_password2": "x"}

    statuses = [client.post(url, fields).status_code for _ in range(10)]

    assert statuses == [200] * 9 + [429]


def test_a_form_of_another_site_counts_for_nobody(anna):
    strict = Client(enforce_csrf_checks=True)
    for _ in range(11):
        assert log_in(strict, password="wrong").status_code == 403

    assert log_in(Client()).status_code == 302


class Kinds:
    """Accounts and those who are none, all of whom are refused."""

    names = ["anna", "nobody", "switched off", "no staff"]

    def __init__(self, make_staff):
        make_staff(username="anna", password=PASSWORD)
        make_staff(username="switched off", password=PASSWORD, is_active=False)
        User.objects.create_user("no staff", password=PASSWORD)

    def password(self, name):
        return "wrong" if name in ("anna", "nobody") else PASSWORD


def test_the_answer_is_the_same_whether_an_account_exists(make_staff):
    kinds = Kinds(make_staff)

    def answer(name):
        response = log_in(Client(), name, kinds.password(name))
        page = as_shown(response).replace(name, "NAME")
        return response.status_code, re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)

    assert len({answer(name) for name in kinds.names}) == 1


def test_the_database_does_the_same_whether_an_account_exists(make_staff):
    kinds = Kinds(make_staff)
    log_in(Client(), "warm up", "wrong")

    def statements(name):
        # The second try, when each counter exists.
        log_in(Client(), name, kinds.password(name))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            log_in(Client(), name, kinds.password(name))
        return [re.sub(r"'(?:[^']|'')*'|\b\d+\b|NULL", "?", query["sql"]) for query in queries]

    first, *others = [statements(name) for name in kinds.names]
    for other in others:
        assert other == first


def test_as_many_passwords_are_hashed_whether_an_account_exists(make_staff, monkeypatch):
    kinds = Kinds(make_staff)
    hashed = []
    for name in ("encode", "verify"):
        work = getattr(QuickHasher, name)
        monkeypatch.setattr(QuickHasher, name, lambda *values, work=work: hashed.append(1) or work(*values))

    counts = []
    for name in kinds.names:
        hashed.clear()
        log_in(Client(), name, kinds.password(name))
        counts.append(len(hashed))

    assert counts == [1] * 4


def test_a_failed_login_is_traced_and_what_a_stranger_typed_is_not(client, anna):
    log_in(client, password="wrong")
    log_in(client, "maria@example.org", "wrong")
    log_in(client, "", "wrong")
    log_in(client, "anna", "")

    assert audited() == [("anna", "login_failed"), ("", "login_failed")]
    assert "maria" not in str(list(StaffAction.objects.values()))
    assert "wrong" not in str(list(StaffAction.objects.values()))


def test_strangers_do_not_fill_the_trace(client, anna, monkeypatch):
    monkeypatch.setattr("petition.admin.site.FAILED_LOGINS_AUDITED", "3/h")
    for number in range(6):
        log_in(client, f"name{number}", "wrong")
    for _ in range(6):
        log_in(client, password="wrong")

    assert audited() == [("", "login_failed")] * 3 + [("anna", "login_failed")] * 3


@pytest.mark.parametrize("username", ["\x00", "a" * 10_000, "ﬁ", "😀", "anna\n"])
def test_strange_names_are_refused_like_others(client, anna, username):
    assert log_in(client, username, "wrong").status_code == 200


@pytest.mark.parametrize("code", ["\x00", "9" * 30, "-1", "１２３４５６", "abc", " ", "6" * 41])
def test_strange_codes_are_refused_like_others(client, anna, code):
    phone(anna)
    second_factor.make_backup_codes(anna)
    log_in(client)

    assert client.post(CODE, {"code": code}).status_code == 200
    assert not is_in(client)


# In a browser.


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_setting_up_and_coming_in_with_a_browser(browser, tmp_path, make_staff, language):
    make_staff("moderator", username="anna", password=PASSWORD)
    with server.web(tmp_path / "web.log", SECOND_FACTOR="1") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}", locale=language)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)

        def password_typed():
            page.goto(INDEX)
            page.fill("#id_username", "anna")
            page.fill("#id_password", PASSWORD)
            follow(page, "#login-form [type=submit]")

        def leave():
            follow(page, "#logout-form button")
            page.goto(INDEX)
            assert page.locator("#login-form").count() == 1

        def give(code):
            page.fill("#id_code", code)
            follow(page, ".login-form [type=submit]")

        password_typed()
        page.wait_for_url(f"**{SET_UP}")
        page.fill("#id_password", PASSWORD)
        follow(page, ".login-form [type=submit]")
        page.wait_for_url(f"**{SCAN}")
        assert page.locator(".qr svg").bounding_box()["width"] > 150
        key = base64.b32decode("".join(page.locator(".key").inner_text().split()))
        give(code_of(key))
        codes = page.locator(".codes code").all_inner_texts()
        assert len(codes) == 10
        follow(page, ".leave a")
        page.wait_for_selector("#user-tools")

        leave()
        password_typed()
        give(code_of(key, steps=1))  # the next one: each is taken once
        page.wait_for_selector("#user-tools")

        leave()
        password_typed()
        give(codes[0])
        page.wait_for_selector("#user-tools")
        # What a moderator looks after: signatures in five ways, and reports.
        assert page.locator(".sections li > a:first-child").count() == 6

        assert page.get_attribute("html", "lang") == language
        assert complaints == []
        assert {cookie["path"] for cookie in context.cookies()} == {"/admin/"}
        context.close()
