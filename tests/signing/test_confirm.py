"""A signer confirms: only a press of the button counts, and it counts once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context

import pytest
from django.db import connection, connections
from django.utils import timezone

from petition import confirmation, identity, withdrawal
from petition.models import AddressMark, Signature
from petition.models.signature import this_hour

THANKS = "/en/petitions/chechnya/thanks/"


def link(signature):
    return f"/en/confirm/{confirmation.make_token(signature)}/"


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "SafeLinks scanner"}])
def test_opening_the_link_however_often_changes_nothing(client, make_signature, method, headers):
    signature = make_signature(name="Anna", shows_name=True)
    before = Signature.objects.values().get()

    for _ in range(3):
        assert getattr(client, method)(link(signature), headers=headers).status_code == 200

    assert Signature.objects.values().get() == before


def test_the_page_shows_the_demand_and_what_will_be_published(client, make_signature):
    page = client.get(link(make_signature(name="Анна К.", words="With <you>", shows_name=True))).content.decode()

    assert "An efficient investigation." in page
    assert "Анна К." in page
    assert "With &lt;you&gt;" in page
    assert 'name="not_me"' in page


def test_a_name_that_stays_private_is_said_to_stay_private(client, make_signature):
    page = client.get(link(make_signature(name="Анна К.", shows_name=False))).content.decode()

    assert "only moderators can read it" in page
    assert "Анна К." in page


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
    assert Signature.objects.count() == 1


def test_confirming_deletes_the_other_pending_rows_of_the_address_alone(client, make_signature):
    first, second = make_signature(email="an.na@gmail.com"), make_signature(email="anna+x@gmail.com")
    other = make_signature()

    client.post(link(second))

    assert set(Signature.objects.values_list("pk", flat=True)) == {second.pk, other.pk}
    assert client.post(link(first))["Location"] == THANKS


def test_the_database_refuses_a_second_confirmed_row_of_an_address(make_signature):
    make_signature(email="anna@example.org", confirmed=True)
    second = make_signature(email="anna@example.org")

    assert not second.confirm()
    assert Signature.objects.confirmed().count() == 1


def test_i_did_not_sign_this_deletes_the_row_and_stops_mail(client, make_signature):
    signature = make_signature(email="anna@example.org")

    response = client.post(link(signature), {"not_me": "1"})

    assert (response.status_code, response["Location"]) == (303, "/en/petitions/chechnya/disowned/")
    assert not Signature.objects.exists()
    assert AddressMark.objects.active().filter(kind="no_mail", email_digest=signature.email_digest).exists()


def test_i_did_not_sign_this_comes_too_late_once_confirmed_and_is_told_how_to_withdraw(
    client, make_signature, counted_rows
):
    signature = make_signature()
    client.post(link(signature))

    page = client.post(link(signature), {"not_me": "1"})

    assert counted_rows() == 1
    assert page.status_code == 200
    assert "/en/petitions/chechnya/withdraw/" in page.content.decode()


def test_words_of_a_stranger_can_be_left_out(client, make_signature, counted_rows):
    """Whoever types her address five times a day uses up her mails; her signature can still be hers."""
    signature = make_signature(name="Not me", words="Not mine", shows_name=True)

    response = client.post(link(signature), {"without_words": "1"})

    assert response["Location"] == THANKS
    assert counted_rows() == 1
    assert Signature.objects.filter(name="", words="", shows_name=False).exists()


def test_nothing_is_offered_to_leave_out_where_nothing_was_typed(client, make_signature):
    assert b"without_words" not in client.get(link(make_signature())).content


# Every state of a link has its page.


def test_a_used_link_says_that_the_signature_counts(client, make_signature):
    signature = make_signature()
    client.post(link(signature))

    page = client.get(link(signature))

    assert page.status_code == 200
    assert "already" in page.content.decode()


@pytest.mark.parametrize("state", [{"held_at": this_hour()}, {"invalidated_at": this_hour()}])
def test_a_signature_under_review_is_never_called_signed(client, make_signature, state):
    signature = make_signature(confirmed=True, **state)

    page = client.get(link(signature))

    assert page.status_code == 200
    assert "review" in page.content.decode()
    assert "already signed" not in page.content.decode()


@pytest.mark.parametrize(("hours", "status"), [(7 * 24, 200), (7 * 24 + 1, 410)])
def test_a_link_expires_after_seven_days(client, make_signature, hours, status):
    signature = make_signature(created_at=this_hour() - timedelta(hours=hours))

    assert client.get(link(signature)).status_code == status


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
    withdrawal.withdraw(signature.petition, bytes(signature.email_digest))

    page = client.post(url)

    assert page.status_code == 410
    assert "withdrawn" in page.content.decode()


@pytest.mark.parametrize("token", ["x", "1.2.3.4", "a" * 2000, "%00", "é", "1.1.1.aaaa.bbbb"])
def test_a_forged_link_is_told_apart(client, petition, token):
    page = client.get(f"/en/confirm/{token}/")

    assert page.status_code == 404
    assert "Copy the whole link" in page.content.decode() or "link" in page.content.decode()


def test_no_letter_of_a_link_can_be_changed(client, make_signature, counted_rows):
    token = confirmation.make_token(make_signature())

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


def test_the_code_from_the_mail_counts_as_a_press(client, make_signature, counted_rows):
    signature = make_signature(email="anna@example.org")

    response = client.post(
        "/en/petitions/chechnya/confirm-code/",
        {"email": " Anna@example.org", "code": confirmation.make_code(signature).lower().replace("-", " ")},
    )

    assert (response.status_code, response["Location"]) == (303, THANKS)
    assert counted_rows() == 1


def test_a_code_belongs_to_its_address(client, make_signature, counted_rows):
    code = confirmation.make_code(make_signature(email="anna@example.org"))
    make_signature(email="boris@example.org")

    response = client.post("/en/petitions/chechnya/confirm-code/", {"email": "boris@example.org", "code": code})

    assert response.status_code == 422
    assert code in response.content.decode()
    assert counted_rows() == 0


def test_each_mail_has_a_code_of_its_own(client, make_signature):
    first, second = make_signature(email="anna@example.org"), make_signature(email="anna@example.org")

    client.post(
        "/en/petitions/chechnya/confirm-code/",
        {"email": "anna@example.org", "code": confirmation.make_code(second)},
    )

    assert Signature.objects.get().pk == second.pk
    assert confirmation.make_code(first) != confirmation.make_code(second)


def test_a_code_has_no_letters_that_look_alike(make_signature):
    codes = "".join(confirmation.make_code(make_signature()) for _ in range(50))

    assert not set(codes) & set("0O1IL2Z5S8B")


def test_a_code_costs_the_same_however_many_rows_an_address_has(petition, make_signature, django_assert_num_queries):
    """Its time must not tell a stranger when an address confirms, which deletes its other rows."""
    for _ in range(100):
        row = make_signature(email="anna@example.org")

    with django_assert_num_queries(1) as queries:
        assert confirmation.find_by_code(petition, bytes(row.email_digest), "AAAA-AAAA") is None

    assert f"LIMIT {confirmation.CODES}" in queries.captured_queries[0]["sql"]


def test_confirming_costs_four_statements(client, make_signature, known_switches, django_assert_num_queries):
    """What the link leads to (the petition and its rows), the limit of its network, and the update."""
    url = link(make_signature(network_digest=identity.network_digest("192.0.2.1")))

    with django_assert_num_queries(4):
        assert client.post(url)["Location"] == THANKS


def test_a_link_reads_two_rows_at_most_however_many_an_address_has(make_signature, django_assert_num_queries):
    for _ in range(100):
        row = make_signature(email="anna@example.org")

    assert confirmation.find(confirmation.make_token(row)).row == row
    Signature.objects.filter(pk=row.pk - 1).update(confirmed_at=this_hour())
    assert confirmation.find(confirmation.make_token(row)).state is confirmation.State.USED


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


def test_who_withdrew_an_invalidated_signature_is_held_when_she_returns(client, make_signature, counted_rows):
    fake = make_signature(email="anna@example.org", confirmed=True, invalidated_at=this_hour())
    withdrawal.withdraw(fake.petition, bytes(fake.email_digest))
    again = make_signature(email="anna@example.org")

    client.post(link(again))

    assert counted_rows() == 0
    assert Signature.objects.held().get().pk == again.pk
