"""A signer confirms: only a press of the button counts, and it counts once."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from threading import Barrier

import pytest
from django.db import connection, connections
from django.utils import timezone

from petition import confirmation, identity, withdrawal
from petition.models import AddressMark, Link, ShownWords, Signature
from petition.models.signature import this_hour
from tests.conftest import make_petition
from tests.support import links

THANKS = "/en/petitions/chechnya/thanks/"


def link(signature):
    return f"/en/confirm/{links.token(signature)}/"


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "SafeLinks scanner"}])
def test_opening_the_link_however_often_changes_nothing(client, make_signature, method, headers):
    signature = make_signature(name="Anna")
    before = Signature.objects.values().get()

    for _ in range(3):
        assert getattr(client, method)(link(signature), headers=headers).status_code == 200

    assert Signature.objects.values().get() == before


def test_the_page_shows_the_demand_and_what_will_be_published(client, make_signature):
    page = client.get(link(make_signature(name="Анна К.", words="With <you>"))).content.decode()

    assert "An efficient investigation." in page
    assert "Анна К." in page
    assert "With &lt;you&gt;" in page
    assert 'name="ask_not_me"' in page


def test_who_shows_nothing_is_told_so(client, make_signature):
    page = client.get(link(make_signature())).content.decode()

    assert "Nothing about you will be shown." in page


def test_nothing_can_be_confirmed_before_the_worker_has_recognised_the_address(client, make_signature, counted_rows):
    """Its mail is only sent afterwards, so nobody has such a link; without a digest it would count twice."""
    signature = make_signature(email_digest=None)

    assert client.post(link(signature))["Location"] == THANKS
    assert counted_rows() == 0
    assert Signature.objects.get().is_pending


def test_one_press_counts_one(client, make_signature, counted_rows):
    signature = make_signature()

    response = client.post(link(signature))

    assert (response.status_code, response["Location"]) == (303, THANKS)
    assert counted_rows() == 1
    assert Signature.objects.get().confirmed_at == this_hour()


def test_the_second_press_gets_the_same_thanks_page_and_counts_nothing(client, make_signature, counted_rows):
    signature = make_signature()
    client.post(link(signature))

    response = client.post(link(signature))

    assert (response.status_code, response["Location"]) == (303, THANKS)
    assert counted_rows() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_counts_one(client, make_signature, counted_rows):
    url = link(make_signature())

    def press(_):
        try:
            return client.post(url)["Location"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(press, range(16))) == {THANKS}
    assert counted_rows() == 1


def confirm_in_a_process(pk, database, barrier):
    connections.close_all()
    connections["default"].settings_dict["NAME"] = database
    signature = Signature.objects.get(pk=pk)
    barrier.wait()
    confirmation.confirm(signature)
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_eight_processes_confirming_eight_rows_of_one_address_yield_one_signature(make_signature, counted_rows):
    rows = [make_signature(email="anna@example.org") for _ in range(8)]
    database = connection.settings_dict["NAME"]
    connections.close_all()
    context = get_context("fork")
    barrier = context.Barrier(8)
    processes = [context.Process(target=confirm_in_a_process, args=(row.pk, database, barrier)) for row in rows]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 8
    assert counted_rows() == 1
    assert Signature.objects.count() == 8


def test_the_other_rows_of_an_address_live_until_they_lapse(client, make_signature, counted_rows):
    """A row that went before its time would tell who has signed."""
    first, second = make_signature(email="an.na@gmail.com"), make_signature(email="anna+x@gmail.com")

    client.post(link(second))

    assert Signature.objects.count() == 2
    assert client.post(link(first))["Location"] == THANKS
    assert counted_rows() == 1


# Pressing with an address that counts already.


@pytest.fixture
def counted(make_signature):
    """A signature of Anna that counts, with words that a moderator has approved."""
    signature = make_signature(email="anna@example.org", confirmed=True, name="Anna", words="Then", country="DE")
    ShownWords.objects.all().approve()
    return signature


def shown():
    fields = ["shown__name", "shown__words", "country"]
    return Signature.objects.confirmed().values_list(*fields).get()


def test_it_takes_over_name_words_and_country_and_waits_for_approval(client, counted, make_signature, counted_rows):
    again = make_signature(email="anna@example.org", name="A. K.", words="Now", country="FR")

    assert client.post(link(again))["Location"] == THANKS

    assert shown() == ("A. K.", "Now", "FR")
    kept = Signature.objects.confirmed().get()
    assert (kept.pk, kept.shown.approved_at) == (counted.pk, None)
    assert counted_rows() == 1


def test_it_takes_back_what_was_shown(client, counted, make_signature):
    client.post(link(make_signature(email="anna@example.org")))

    assert shown() == (None, None, "")


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_link_shows_what_was_typed_with_it_whichever_is_pressed(client, make_signature, is_counted):
    """A page that showed what counts by now would tell whether the first press had counted."""
    if is_counted:
        make_signature(email="anna@example.org", confirmed=True, language="ru")
    rows = [make_signature(email="anna@example.org", name=name) for name in ("Xenia", "Yana", "Zoe")]
    first, second, unpressed = map(link, rows)
    before = [client.get(url).content for url in (first, second, unpressed)]
    for url in (first, second, first):
        client.post(url)
        assert [client.get(url).content for url in (first, second, unpressed)] == before
    assert shown()[0] == "Xenia"

    client.post(first, {"without_words": "1"})
    assert "Nothing about you will be shown." in client.get(first).content.decode()
    assert [client.get(url).content for url in (second, unpressed)] == before[1:]


def test_two_presses_of_one_link_at_once_lose_no_words(counted, make_signature):
    """The second had read the row before the first led the link away from it."""
    again = make_signature(email="anna@example.org", name="A. K.")
    found = confirmation.find(links.token(again))

    for _ in range(2):
        confirmation.confirm(found.signature, link=found.link)

    assert shown()[0] == "A. K."


@pytest.mark.parametrize("state", ["held", "invalidated"])
def test_it_counts_nothing_that_staff_took_out_of_the_count(client, counted, make_signature, counted_rows, state):
    {"held": lambda rows: rows.hold("a test"), "invalidated": lambda rows: rows.invalidate("a test")}[state](
        Signature.objects
    )

    assert client.post(link(make_signature(email="anna@example.org")))["Location"] == THANKS
    assert counted_rows() == 0


@pytest.mark.django_db(transaction=True)
def test_withdrawing_while_links_are_pressed_ends_in_no_deadlock(make_signature):
    anna = make_signature(email="anna@example.org", confirmed=True)
    token = links.withdraw_token(anna.petition, "anna@example.org")
    for _ in range(20):
        found = [confirmation.find(links.token(make_signature(email="anna@example.org"))) for _ in range(3)]
        withdraw = Link.objects.of_token(token)
        start = Barrier(4)

        def run(work, start=start):
            start.wait()
            try:
                work()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as pool:
            list(
                pool.map(
                    run,
                    [
                        *(partial(confirmation.confirm, each.signature, link=each.link) for each in found),
                        partial(withdrawal.withdraw, withdraw),
                    ],
                )
            )
        Signature.objects.all().erase()


def test_the_database_refuses_a_second_confirmed_row_of_an_address(make_signature):
    make_signature(email="anna@example.org", confirmed=True)
    second = make_signature(email="anna@example.org")

    assert not second.confirm()
    assert Signature.objects.confirmed().count() == 1


def page_of(client, url):
    return client.get(url).content.decode()


def disown(client, url):
    """She presses "I did not sign this", and again on the page that asks."""
    assert client.post(url, {"ask_not_me": "1"}).status_code == 200
    return client.post(url, {"not_me": "1"})


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_i_did_not_sign_this_deletes_the_row_whatever_became_of_it_and_stops_mail(
    client, make_signature, is_confirmed, counted_rows
):
    signature = make_signature(email="anna@example.org", confirmed=is_confirmed)
    url = link(signature)

    response = disown(client, url)

    assert (response.status_code, response["Location"]) == (303, url)
    assert "is deleted" in client.get(url).content.decode()
    assert not Signature.objects.exists()
    assert counted_rows() == 0
    assert AddressMark.objects.active().filter(kind="no_mail", email_digest=signature.email_digest).exists()


def test_a_scanner_that_presses_the_button_alone_disowns_nothing(client, make_signature):
    page = client.post(link(make_signature()), {"ask_not_me": "1"})

    assert b'name="not_me"' in page.content
    assert Signature.objects.exists()
    assert not AddressMark.objects.exists()


def test_what_was_disowned_can_be_mailed_again_but_not_confirmed(client, make_signature):
    url = link(make_signature())
    disown(client, url)
    assert client.post(url)["Location"] == url
    assert client.get(url).status_code == 200

    response = client.post(url, {"undo": "1"})

    assert (response.status_code, response["Location"]) == (303, url)
    assert not AddressMark.objects.exists()
    assert client.get(url).status_code == 410
    assert not Signature.objects.exists()


def test_who_says_so_of_what_a_stranger_typed_keeps_her_own_signature(client, counted, make_signature, counted_rows):
    disown(client, link(make_signature(email="anna@example.org", name="Not me")))

    assert shown() == ("Anna", "Then", "DE")
    assert counted_rows() == 1


def test_who_took_it_over_and_then_disowns_it_leaves_no_word_of_it(client, counted, make_signature):
    url = link(make_signature(email="anna@example.org", name="Not me"))
    client.post(url)

    disown(client, url)

    assert not ShownWords.objects.exists()
    assert not Link.objects.filter(name="Not me").exists()
    assert not Signature.objects.confirmed().exists()


def test_disowning_is_no_way_around_a_review(client, make_signature, counted_rows):
    signature = make_signature(email="anna@example.org", confirmed=True, invalidated_at=this_hour())
    url = link(signature)
    disown(client, url)
    client.post(url, {"undo": "1"})

    client.post(link(make_signature(email="anna@example.org")))

    assert counted_rows() == 0
    assert Signature.objects.held().exists()


def test_words_of_a_stranger_can_be_left_out(client, make_signature, counted_rows):
    """Whoever types her address five times a day uses up her mails; her signature can still be hers."""
    signature = make_signature(name="Not me", words="Not mine")

    response = client.post(link(signature), {"without_words": "1"})

    assert response["Location"] == THANKS
    assert counted_rows() == 1
    assert not ShownWords.objects.exists()
    assert not Link.objects.get().has_words


def test_nothing_is_offered_to_leave_out_where_nothing_was_typed(client, make_signature):
    assert b"without_words" not in client.get(link(make_signature())).content


# Every state of a link has its page.


@pytest.mark.parametrize("state", [None, {}, {"held_at": this_hour()}, {"invalidated_at": this_hour()}])
def test_a_pressed_link_shows_what_it_showed_before(client, make_signature, state):
    if state is not None:
        make_signature(email="anna@example.org", confirmed=True, **state)
    url = link(make_signature(email="anna@example.org", name="Anna"))
    before = client.get(url)
    assert client.post(url)["Location"] == THANKS

    after = client.get(url)

    assert (after.status_code, after.content) == (200, before.content)


@pytest.mark.parametrize(("hours", "status"), [(7 * 24, 200), (7 * 24 + 1, 410)])
def test_a_link_expires_after_seven_days(client, make_signature, hours, status):
    signature = make_signature(created_at=this_hour() - timedelta(hours=hours))

    assert client.get(link(signature)).status_code == status


@pytest.mark.parametrize("days", [2, 8])
def test_a_machine_whose_clock_runs_ahead_turns_nobody_away(client, make_signature, monkeypatch, counted_rows, days):
    url, right = link(make_signature()), timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(days=days))

    assert client.get(url).status_code == 200
    assert client.post(url).status_code == 303
    assert counted_rows() == 1


def test_an_expired_link_counts_nothing_and_says_what_to_do(client, make_signature, counted_rows):
    signature = make_signature(created_at=this_hour() - timedelta(days=8))

    page = client.post(link(signature))

    assert page.status_code == 410
    assert "/en/petitions/chechnya/sign/" in page.content.decode()
    assert counted_rows() == 0


def test_a_link_that_expired_stays_expired_when_its_row_is_purged(client, make_signature):
    signature = make_signature(created_at=this_hour() - timedelta(days=9))
    url = link(signature)
    before = client.get(url).content

    Signature.objects.lapsed().purge()

    assert not Signature.objects.exists()
    assert client.get(url).content == before


def test_a_link_whose_row_was_withdrawn_says_so(client, make_signature):
    signature = make_signature()
    url = link(signature)
    signature.delete()

    page = client.post(url)

    assert page.status_code == 410
    assert "withdrawn" in page.content.decode()


@pytest.mark.parametrize("token", ["x", "1.2.3.4", "a" * 2000, "%00", "é", "1.1.1.aaaa.bbbb"])
def test_a_forged_link_is_told_apart(client, petition, token):
    page = client.get(f"/en/confirm/{token}/")

    assert page.status_code == 404
    assert "Copy the whole link" in page.content.decode() or "link" in page.content.decode()


def test_no_letter_of_a_link_can_be_changed(client, make_signature, counted_rows):
    token = links.token(make_signature())

    for position in range(0, len(token), 7):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert client.post(f"/en/confirm/{changed}/").status_code == 404
    assert counted_rows() == 0


@pytest.mark.parametrize(("hours", "counts"), [(-1, 1), (23, 1), (25, 0)])
def test_confirming_works_24_hours_past_the_end(client, petition, make_signature, counted_rows, hours, counts):
    signature = make_signature()
    petition.closed_at = timezone.now() - timedelta(hours=hours)
    petition.save()

    response = client.post(link(signature))

    assert response.status_code == (303 if counts else 410)
    assert counted_rows() == counts


# The code in place of the link.


CODE_URL = "/en/petitions/chechnya/confirm-code/"


@pytest.mark.parametrize("typed", ["{}", " {} ", "code: {}.", "({})", "\u00a0{}\u2003\r\n", "«{}»", "* {} *"])
@pytest.mark.parametrize("gap", ["-", "", " ", "\u2011", "\u2013", " . "])
def test_the_code_from_the_mail_counts_as_a_press_however_it_is_pasted(
    client, make_signature, counted_rows, typed, gap
):
    code = typed.format(links.code(make_signature()).replace("-", gap))

    response = client.post(CODE_URL, {"code": code})

    assert (response.status_code, response["Location"]) == (303, THANKS)
    assert counted_rows() == 1


@pytest.mark.parametrize("change", [lambda code: code[1:], lambda code: code + "1", lambda code: code[::-1]])
def test_a_wrong_code_says_so_and_keeps_what_was_typed(client, make_signature, counted_rows, change):
    code = change(links.code(make_signature()))

    response = client.post(CODE_URL, {"code": code})

    assert response.status_code == 422
    assert code in response.content.decode()
    assert counted_rows() == 0


def test_each_mail_has_a_code_of_its_own(client, make_signature):
    first, second = make_signature(email="anna@example.org"), make_signature(email="anna@example.org")

    client.post(CODE_URL, {"code": links.code(second)})

    assert Signature.objects.confirmed().get() == second
    assert links.code(first) != links.code(second)


def test_a_code_is_ten_digits(make_signature):
    assert re.fullmatch(r"\d{4}-\d{3}-\d{3}", links.code(make_signature()))


def test_a_code_belongs_to_its_petition(make_signature):
    code = links.code(make_signature())
    other = make_petition(slug="another")

    assert confirmation.find_by_code(other, code) is None


def test_a_code_to_withdraw_is_none(client, petition):
    """A mail to withdraw has no code, and an empty one finds no link."""
    links.withdraw_token(petition, "anna@example.org")

    assert client.post(CODE_URL, {"code": ""}).status_code == 422
    assert not Link.objects.exclude(code_digest="").exists()


@pytest.mark.parametrize(("hours", "status"), [(7 * 24, 303), (7 * 24 + 1, 422)])
def test_a_code_expires_with_its_link(client, make_signature, hours, status):
    code = links.code(make_signature(created_at=this_hour() - timedelta(hours=hours)))

    assert client.post(CODE_URL, {"code": code}).status_code == status


@pytest.mark.parametrize("is_known", [True, False])
def test_links_and_codes_outlive_a_replaced_secret_key(client, make_signature, settings, is_known):
    signature = make_signature()
    url, code = link(signature), links.code(signature)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if is_known else []
    settings.SECRET_KEY = "another key, " * 5

    assert client.get(url).status_code == (200 if is_known else 404)
    assert client.post(CODE_URL, {"code": code}).status_code == (303 if is_known else 422)


def test_a_code_costs_one_statement(petition, make_signature, django_assert_num_queries):
    code = links.code(make_signature())

    for typed in (code, "0000-000-000"):
        with django_assert_num_queries(1):
            confirmation.find_by_code(petition, typed)


def test_confirming_costs_three_statements(client, make_signature, known_switches, django_assert_num_queries):
    """What the link leads to, the limit of its network, and the update."""
    url = link(make_signature(network_digest=identity.network_digest("192.0.2.1")))

    with django_assert_num_queries(3):
        assert client.post(url)["Location"] == THANKS


def test_a_link_costs_one_statement_however_many_rows_an_address_has(make_signature, django_assert_num_queries):
    make_signature(email="anna@example.org", confirmed=True)
    for _ in range(20):
        token = links.token(make_signature(email="anna@example.org"))

    with django_assert_num_queries(1):
        assert confirmation.find(token).signature.is_pending


def test_a_link_knows_all_that_is_stored_of_what_it_leads_to(make_signature):
    found = confirmation.find(links.token(make_signature(name="Анна", words="Правда", country="DE")))

    for row in (found.link, found.petition, found.signature):
        stored = type(row).objects.filter(pk=row.pk).values().get()
        assert {name: getattr(row, name) for name in stored} == stored
        assert not row.get_deferred_fields()


# Holding.


def test_a_busy_network_is_held_beyond_its_limit_and_gets_the_same_thanks(
    client, make_signature, counted_rows, settings
):
    settings.HOLD_PER_NETWORK = "2/h"
    network = identity.network_digest("192.0.2.1")
    rows = [make_signature(network_digest=network) for _ in range(3)]
    elsewhere = make_signature(network_digest=identity.network_digest("192.0.2.2"))

    answers = {client.post(link(row))["Location"] for row in [*rows, elsewhere]}

    assert answers == {THANKS}
    assert counted_rows() == 3
    held = Signature.objects.held().get()
    assert (held.pk, held.held_reason) == (rows[2].pk, "busy network")


def test_zero_holds_nothing(client, make_signature, counted_rows, settings):
    settings.HOLD_PER_NETWORK = "0"
    for _ in range(3):
        client.post(link(make_signature(network_digest=identity.network_digest("192.0.2.1"))))

    assert counted_rows() == 3


def test_a_second_press_is_no_other_confirmation_of_its_network(client, make_signature, counted_rows, settings):
    settings.HOLD_PER_NETWORK = "2/h"
    network = identity.network_digest("192.0.2.1")
    url = link(make_signature(network_digest=network))
    for _ in range(5):
        client.post(url)

    client.post(link(make_signature(network_digest=network)))

    assert counted_rows() == 2


def test_who_withdrew_an_invalidated_signature_is_held_when_she_returns(client, make_signature, counted_rows):
    fake = make_signature(email="anna@example.org", confirmed=True, invalidated_at=this_hour())
    withdrawal.withdraw(Link.objects.of_token(links.withdraw_token(fake.petition, "anna@example.org")))
    again = make_signature(email="anna@example.org")

    client.post(link(again))

    assert counted_rows() == 0
    assert Signature.objects.held().get().pk == again.pk
