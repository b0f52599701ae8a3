"""Live settings: administrators change them while the site runs, and every process knows seconds later."""

from datetime import timedelta
from ipaddress import ip_address

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone, translation

from petition import live_settings, retention
from petition.mail import queue
from petition.models import ListedDomain, ListedNetwork, OutgoingMail, Signature, StaffAction, Switches, Verdict
from tests.support import links, server

URL = "/en/petitions/chechnya/sign/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def throw():
    """Change live settings, and know it at once."""

    def throw(**values):
        row = Switches.objects.get_or_create(id=1)[0]
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
        live_settings._state = None

    return throw


@pytest.fixture
def listed():
    def listed(verdict, *, network="", domain="", **values):
        entry = ListedNetwork(network=network) if network else ListedDomain(domain=domain)
        entry.verdict = verdict
        for name, value in values.items():
            setattr(entry, name, value)
        entry.full_clean()
        entry.save()
        live_settings._state = None
        return entry

    return listed


@pytest.fixture
def sign_and_confirm(client, petition, sign_data):
    """Sign from an address, press the button, and see what became of it."""

    def sign_and_confirm(email="anna@example.org", address="192.0.2.1"):
        answer = client.post(URL, sign_data(email=email), REMOTE_ADDR=address)
        signature = Signature.objects.get(pk=OutgoingMail.objects.get().signature_id)
        queue.deliver_due()
        thanks = client.post(f"/en/confirm/{links.token(signature)}/")
        assert (answer.status_code, thanks["Location"]) == (303, "/en/petitions/chechnya/thanks/")
        signature.refresh_from_db()
        return signature

    return sign_and_confirm


# Rates.


def test_an_empty_switch_leaves_the_number_of_the_environment(settings, throw):
    settings.RATE_PER_NETWORK = "7/h"
    throw(rate_per_network="")

    assert live_settings.rate("RATE_PER_NETWORK") == "7/h"


def test_a_rate_set_by_an_administrator_limits_signing(client, petition, sign_data, throw):
    throw(burst_per_network="2/m")

    assert [client.post(URL, sign_data()).status_code for _ in range(3)] == [303, 303, 429]


def test_a_hold_rule_set_by_an_administrator_holds(sign_and_confirm, throw):
    throw(hold_per_network="1/h")

    first, second = sign_and_confirm("anna@example.org"), sign_and_confirm("boris@example.org")

    assert (first.held_reason, second.held_reason) == ("", "busy network")


@pytest.mark.parametrize("rate", ["fast", "0/h", "-1/h", "5", "5/", "5/w", "5 / h", "300/h\n"])
def test_a_rate_that_nobody_can_read_is_refused(rate):
    with pytest.raises(ValidationError, match="300/h"):
        Switches(id=1, rate_per_network=rate).full_clean()


def test_the_database_keeps_one_row_of_switches():
    with pytest.raises(IntegrityError), transaction.atomic():
        Switches.objects.create(id=2)


# Lists.


def test_who_signs_from_a_blocked_network_sees_nothing_and_is_held(sign_and_confirm, listed, counted_rows):
    listed(Verdict.BLOCK, network="192.0.2.0/24")

    assert sign_and_confirm(address="192.0.2.77").held_reason == "blocked network"
    assert not sign_and_confirm("boris@example.org", address="192.0.3.77").held_reason
    assert counted_rows() == 1


@pytest.mark.parametrize(
    ("entry", "email", "held"),
    [
        ("spam.example", "anna@spam.example", True),
        ("spam.example", "anna+x@SPAM.example", True),
        ("spam.example", "anna@mail.spam.example", False),
        ("*.spam.example", "anna@mail.spam.example", True),
        ("*.spam.example", "anna@spam.example", True),
        ("*.spam.example", "anna@notspam.example", False),
        ("googlemail.com", "anna@gmail.com", True),
        ("почта.рф", "anna@xn--80a1acny.xn--p1ai", True),
    ],
)
def test_a_blocked_mail_domain_is_held(sign_and_confirm, listed, entry, email, held):
    listed(Verdict.BLOCK, domain=entry)

    assert (sign_and_confirm(email).held_reason == "blocked mail domain") is held


def test_a_mail_domain_that_is_blocked_before_its_mail_goes_is_held(client, petition, sign_data, listed):
    client.post(URL, sign_data(email="anna@spam.example"))
    listed(Verdict.BLOCK, domain="spam.example")
    queue.deliver_due()
    signature = Signature.objects.get()

    client.post(f"/en/confirm/{links.token(signature)}/")

    assert Signature.objects.held().get().held_reason == "blocked mail domain"


def test_an_allowed_network_is_never_limited_and_never_held(client, sign_and_confirm, listed, throw):
    listed(Verdict.ALLOW, network="2001:db8::/32")
    throw(burst_per_network="1/m", hold_per_network="1/h")

    held = {sign_and_confirm(f"signer{n}@example.org", address="2001:db8::7").held_reason for n in range(4)}

    assert held == {""}


def test_the_narrower_entry_decides(listed):
    listed(Verdict.BLOCK, network="192.0.0.0/16")
    listed(Verdict.ALLOW, network="192.0.2.0/24")
    listed(Verdict.BLOCK, domain="*.example.org")
    listed(Verdict.ALLOW, domain="good.example.org")

    assert live_settings.verdict_on_network(ip_address("192.0.2.1")) == Verdict.ALLOW
    assert live_settings.verdict_on_network(ip_address("192.0.3.1")) == Verdict.BLOCK
    assert live_settings.verdict_on_network(ip_address("193.0.3.1")) is None
    assert live_settings.verdict_on_network(None) is None
    assert live_settings.verdict_on_domain("good.example.org") == Verdict.ALLOW
    assert live_settings.verdict_on_domain("bad.example.org") == Verdict.BLOCK
    assert live_settings.verdict_on_domain("example.net") is None


@pytest.mark.parametrize("network", ["", "192.0.2", "192.0.2.0/33", "example.org", "::/129"])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValidationError):
        ListedNetwork(network=network, verdict=Verdict.BLOCK).full_clean()


def test_a_network_is_stored_in_one_spelling(listed):
    assert listed(Verdict.BLOCK, network=" 192.0.2.9/24 ").network == "192.0.2.0/24"


@pytest.mark.parametrize(
    "domain", ["", "org", "*", "*.", "a.*.org", "*.*.org", "anna@example.org", "exa mple.org", "http://x.org"]
)
def test_what_is_no_mail_domain_is_refused(domain):
    with pytest.raises(ValidationError):
        ListedDomain(domain=domain, verdict=Verdict.BLOCK).full_clean()


def test_an_entry_ends_by_itself_and_is_then_deleted(listed):
    listed(Verdict.BLOCK, network="192.0.2.0/24", ends_on=timezone.localdate() - timedelta(days=1))
    listed(Verdict.BLOCK, network="192.0.3.0/24", ends_on=timezone.localdate())

    assert live_settings.verdict_on_network(ip_address("192.0.2.1")) is None
    assert live_settings.verdict_on_network(ip_address("192.0.3.1")) == Verdict.BLOCK
    assert retention.purge()["listed networks"] == 1
    assert ListedNetwork.objects.get().network == "192.0.3.0/24"


# Words.


def test_the_banner_stands_on_every_page_in_its_language(client, petition, throw):
    with translation.override("en"):
        throw(banner="We were attacked <today>. All is well.")
    with translation.override("ru"):
        throw(banner="Сегодня нас атаковали. Всё в порядке.")

    for page in ("", "petitions/chechnya/sign/", "petitions/chechnya/thanks/"):
        assert "We were attacked &lt;today&gt;. All is well." in client.get(f"/en/{page}").content.decode()
        assert "Сегодня нас атаковали." in client.get(f"/ru/{page}").content.decode()


def test_without_a_banner_there_is_none(client, petition):
    assert b'class="banner"' not in client.get("/en/").content


def test_a_pause_says_why_in_the_language_of_the_page(client, petition, sign_data):
    petition.paused_at = timezone.now()
    petition.pause_notice = "The hall of computers moves. Back at noon UTC."
    petition.save()
    petition.set_current_language("ru")
    petition.pause_notice = "Переезжаем. Вернёмся в полдень."
    petition.save()

    english, russian = client.post(URL, sign_data()), client.post(URL.replace("/en/", "/ru/"), sign_data())

    assert (english.status_code, russian.status_code) == (503, 503)
    assert "Back at noon UTC." in english.content.decode()
    assert "Вернёмся в полдень." in russian.content.decode()
    assert "Back at noon UTC." in client.get("/en/").content.decode()


# In the admin.


def test_an_administrator_throws_a_switch_and_says_why(client, make_staff):
    client.force_login(make_staff("administrator"))
    url = reverse("admin:petition_switches_change", args=[1])
    wanted = {"burst_per_network": "60/m", "banner": "All is well."}

    refused = client.post(url, wanted)
    saved = client.post(url, {**wanted, "reason": "A campus signs."})

    assert (refused.status_code, saved.status_code) == (200, 302)
    assert Switches.objects.get().burst_per_network == "60/m"
    entry = StaffAction.objects.get()
    assert (entry.action, entry.reason) == ("changed", "A campus signs.")
    assert entry.detail == "banner: – → All is well., burst_per_network: – → 60/m"


def test_the_list_of_switches_is_their_page(client, make_staff):
    client.force_login(make_staff("administrator"))

    assert client.get(reverse("admin:petition_switches_changelist"))["Location"].endswith("/switches/1/change/")


def test_the_trace_of_a_listed_network_does_not_name_it(client, make_staff):
    client.force_login(make_staff("administrator"))

    client.post(
        reverse("admin:petition_listednetwork_add"),
        {"network": "192.0.2.7", "verdict": "block", "ends_on": "2100-01-01", "reason": "A burst at night."},
    )

    assert ListedNetwork.objects.get().network == "192.0.2.7/32"
    assert "192.0.2" not in repr(StaffAction.objects.values())
    assert StaffAction.objects.get().reason == "A burst at night."


def test_pausing_needs_a_reason(client, petition, make_staff):
    client.force_login(make_staff("administrator"))
    url = reverse("admin:petition_petition_change", args=[petition.pk])
    page = client.get(url).context["adminform"].form
    typed = {name: page[name].value() or "" for name in page.fields if name in ("goal", "collected_before")}
    typed |= {"opened_at_0": "2018-04-01", "opened_at_1": "00:00:00", "collected_before": "150000"}
    typed |= {"paused_at_0": "2018-04-02", "paused_at_1": "00:00:00"}

    refused = client.post(url, typed)
    petition.refresh_from_db()
    assert (refused.status_code, petition.paused_at) == (200, None)

    client.post(url, {**typed, "reason": "An attack."})
    petition.refresh_from_db()
    assert petition.paused_at is not None


# The page.


@pytest.fixture
def page(client, make_staff):
    """The page of live settings, and what it says below a field."""
    client.force_login(make_staff("administrator"))

    def page(field):
        response = client.get(reverse("admin:petition_switches_change", args=[1]))
        form = response.context["adminform"].form
        return form[field].field.widget.attrs["placeholder"], str(form[field].help_text), response.content.decode()

    return page


def test_an_empty_field_says_what_is_in_force_where_it_is_from_and_what_happens_above_it(page, settings):
    settings.RATE_PER_NETWORK = "7/h"

    placeholder, about, html = page("rate_per_network")

    assert placeholder == "7/h"
    assert 'placeholder="7/h"' in html
    assert "In force is the start value, 7/h, of the environment." in about
    assert "Above it a network is asked to wait" in about
    assert "s, m, h or d" in about
    assert "Back to the start value" not in about


def test_a_value_of_the_site_goes_back_to_the_start_value_by_a_tick_and_is_audited(client, page, throw, settings):
    settings.BURST_PER_NETWORK = "30/m"
    throw(burst_per_network="60/m", notify_count=7)
    about = page("burst_per_network")[1]
    assert "In force is 60/m, set here. The start value is 30/m." in about
    assert 'name="_back" value="burst_per_network"' in about

    client.post(
        reverse("admin:petition_switches_change", args=[1]),
        {"burst_per_network": "60/m", "notify_count": "7", "_back": ["burst_per_network"], "reason": "It is over."},
    )

    row = Switches.objects.get()
    assert (row.burst_per_network, row.notify_count) == ("", 7)
    entry = StaffAction.objects.get()
    assert (entry.detail, entry.reason) == ("burst_per_network: 60/m → –", "It is over.")


def test_the_return_key_presses_nothing_but_save(page):
    html = page("rate_per_network")[2]
    form = html[html.index('id="switches_form"') :]

    assert form.index('type="submit"') == form.index('type="submit" value="Save"')


def test_the_page_says_how_many_networks_went_above_a_limit_and_not_which(client, petition, sign_data, page, throw):
    throw(burst_per_network="2/m", rate_per_network="1000/h", hold_per_network="1/h")
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::7"):
        for _ in range(5):
            client.post(URL, sign_data(), REMOTE_ADDR=address)
    client.post(URL, sign_data(), REMOTE_ADDR="192.0.2.3")

    # The last one is also above for its /48 only at ten times the limit, which it did not reach.
    assert "In this hour 3 networks went above it." in page("burst_per_network")[1]
    assert "In this hour 0 networks went above it." in page("rate_per_network")[1]
    assert "192.0.2" not in page("burst_per_network")[2]


def test_a_network_that_goes_above_a_limit_again_is_one_network(client, petition, sign_data, page, throw):
    for limit in ("1/m", "2/m"):
        throw(burst_per_network=limit)
        for path in (URL, URL.replace("sign", "withdraw")):
            for _ in range(4):
                client.post(path, sign_data(), REMOTE_ADDR="192.0.2.1")

    assert "In this hour 1 network went above it." in page("burst_per_network")[1]


def test_networks_whose_confirmations_are_held_are_counted(sign_and_confirm, page, throw):
    throw(hold_per_network="1/h")
    for name in ("anna", "boris", "vera"):
        sign_and_confirm(f"{name}@example.org")

    assert "In this hour 1 network went above it." in page("hold_per_network")[1]


def test_of_addresses_above_their_limit_nothing_is_told(page):
    """Whoever types an address until the number moves would learn how often it has been written to before."""
    assert "In this hour" not in page("mails_per_address")[1]


def test_the_page_says_in_which_languages_the_banner_stands(page, throw):
    assert "There is none." in page("rate_per_network")[2]

    with translation.override("en"):
        throw(banner="All is well.")

    assert "It stands in: English. Readers of the others see none: Russian" in page("rate_per_network")[2]


def test_the_page_is_called_what_it_is(page):
    html = page("rate_per_network")[2]

    assert "<h1>Live settings" in html
    assert "witches" not in html[html.index('class="breadcrumbs"') : html.index("</nav>")]
    assert "Add" not in html[html.index('class="breadcrumbs"') : html.index("</nav>")]


# Every process.


def test_the_database_is_asked_once_in_two_seconds(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(live_settings, "SECONDS", 3600)
    live_settings.state()

    with django_assert_num_queries(0):
        for name in live_settings.RATES:
            live_settings.rate(name)


@pytest.mark.django_db(transaction=True)
def test_running_processes_know_it_within_seconds(tmp_path, petition, sign_data):
    with server.web(tmp_path / "web.log") as port:
        assert server.fetch(port, "GET", "/en/").status_code == 200
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO petition_switches (id, rate_per_network, burst_per_network, mails_per_address,"
                " hold_per_network) VALUES (1, '', '', '', '') ON CONFLICT DO NOTHING"
            )
            cursor.execute(
                "INSERT INTO petition_switches_translation (language_code, banner, master_id)"
                " VALUES ('en', 'All is well.', 1)"
            )

        # A page is kept for five seconds.
        server.wait_until(lambda: "All is well." in server.fetch(port, "GET", "/en/").content.decode())
