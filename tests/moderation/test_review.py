"""Moderation: names and words wait until somebody approves or hides them, and the count does not move."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, connections
from django.db.models import Exists, OuterRef
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from petition.counts import tally
from petition.models import ReviewClaim, ShownWords, Signature, StaffAction, TallyChange
from petition.models.signature import this_hour
from petition.moderation import review
from tests.support import links, server
from tests.support.browser import follow, needs_chromium

DESK = reverse("admin:petition_review_changelist")

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(make_signature):
    """A signature whose words wait."""

    def make(**overrides):
        return make_signature(**{"confirmed": True, "words": "Be strong"} | overrides)

    return make


def seen(*signatures):
    entries = [ShownWords.objects.get(pk=signature.pk) for signature in signatures]
    return [f"{shown.pk}:{review.fingerprint(shown)}" for shown in entries]


def press(client, button, *signatures, value="1", **data):
    return client.post(DESK, {"seen": seen(*signatures), button: value, **data})


def decided(signature):
    """True: approved, False: hidden, which is erased, None: it waits."""
    shown = ShownWords.objects.filter(pk=signature.pk).first()
    return False if shown is None else True if shown.approved_at else None


# What waits.


@pytest.mark.parametrize(
    ("overrides", "waits"),
    [
        ({}, True),
        ({"words": "", "name": "Anna"}, True),
        ({"words": "", "name": ""}, False),
        ({"confirmed": False}, False),
        ({"held_at": this_hour()}, False),
        ({"invalidated_at": this_hour()}, False),
        ({"approved_at": this_hour()}, False),
    ],
)
def test_what_a_signer_wants_shown_waits_once_it_counts(moderator, waiting, overrides, waits):
    signature = waiting(**overrides)

    assert (f"No. {signature.pk}" in moderator.get(DESK).content.decode()) is waits


def test_the_oldest_stands_first(moderator, waiting):
    numbers = [waiting(confirmed_at=this_hour() - timedelta(hours=hours)).pk for hours in (2, 1, 0)]

    assert [entry.pk for entry in moderator.get(DESK).context["entries"]] == numbers


def test_words_are_shown_as_they_will_be_shown(moderator, waiting, client):
    waiting(name="Анна <b>", words="Держитесь,\nмы с вами", country="ES", language="ru")

    page = moderator.get(DESK).content.decode()

    assert '<p dir="ltr" lang="ru">Держитесь,<br>мы с вами</p>' in page
    assert "<bdi>Анна &lt;b&gt;</bdi>, Spain" in page
    ShownWords.objects.update(name="")
    assert "<bdi>A supporter</bdi>, Spain" in moderator.get(DESK).content.decode()


def test_who_reads_one_language_asks_for_it_whatever_the_language_of_the_site(moderator, waiting):
    waiting(words="We are with you", language="ru")
    waiting(words="", name="Anna", language="en")
    russian = [waiting(words="Мы с вами", language="en"), waiting(words="", name="Анна", language="en")]

    page = moderator.get(DESK, {"language": "ru"})

    assert {entry.pk for entry in page.context["entries"]} == {signature.pk for signature in russian}
    assert page.context["waiting"] == 2
    assert len(moderator.get(DESK, {"language": "x&after=9"}).context["entries"]) == 4


@pytest.mark.parametrize(
    ("words", "attributes", "name"),
    [
        ("نحن معكم", 'dir="rtl" lang="ar"', "Arabic"),
        ("אנחנו איתכם", 'dir="rtl" lang="he"', "Hebrew"),
        ("Mucha fuerza", 'dir="ltr" lang="es"', "Spanish"),
        ("Держитесь", 'dir="ltr" lang="ru"', "Russian"),
        ("❤", 'dir="auto" lang="und"', "not known"),
    ],
)
def test_a_card_says_in_which_language_its_words_are(moderator, waiting, words, attributes, name):
    waiting(words=words, language="en")

    page = moderator.get(DESK).content.decode()

    assert f"<p {attributes}>{words}</p>" in page
    assert f"<span>{name}</span>" in page


def test_looking_for_a_language_goes_on_where_it_stopped(moderator, waiting, monkeypatch):
    monkeypatch.setattr("petition.moderation.review.LOOK_THROUGH", 2)
    for hours in (4, 3, 2):
        waiting(confirmed_at=this_hour() - timedelta(hours=hours))
    russian = waiting(words="Мы с вами", confirmed_at=this_hour() - timedelta(hours=1))

    first = moderator.get(DESK, {"language": "ru"})
    assert "Nothing among the oldest of those that wait." in first.content.decode()

    assert [entry.pk for entry in moderator.get(DESK + first.context["next_page"]).context["entries"]] == [russian.pk]


def test_what_is_left_for_later_is_passed_by(moderator, waiting, monkeypatch):
    monkeypatch.setattr("petition.admin.review.PER_PAGE", 2)
    numbers = [waiting(confirmed_at=this_hour() - timedelta(hours=hours)).pk for hours in (2, 1, 0)]

    first = moderator.get(DESK)
    second = moderator.get(DESK + first.context["next_page"])

    assert [entry.pk for entry in first.context["entries"]] == numbers[:2]
    assert [entry.pk for entry in second.context["entries"]] == numbers[2:]
    assert second.context["next_page"] == ""
    assert moderator.get(DESK, {"after": "nonsense"}).status_code == 200


# Deciding.


@pytest.mark.parametrize(("button", "approved"), [("approve", True), ("hide", False)])
def test_one_press_decides(moderator, waiting, button, approved):
    signature, other = waiting(), waiting()

    answer = press(moderator, button, signature, other, value=signature.pk)

    assert answer["Location"].startswith(f"{DESK}?at={signature.pk}-")
    assert (decided(signature), decided(other)) == (approved, None)
    entry = StaffAction.objects.get()
    assert (entry.username, entry.about, entry.petition, entry.count) == (
        "vera",
        f"signature {signature.pk}",
        "chechnya",
        1,
    )
    assert entry.action == ("approved" if approved else "hidden")


@pytest.mark.parametrize(
    ("button", "expected"),
    [
        ("approve_selected", [True, True, None]),
        ("hide_selected", [False, False, None]),
        ("hide_selected_approve_rest", [False, False, True]),
    ],
)
def test_many_are_decided_at_once(moderator, waiting, button, expected):
    signatures = [waiting() for _ in range(3)]

    press(moderator, button, *signatures, selected=[signature.pk for signature in signatures[:2]])

    assert [decided(signature) for signature in signatures] == expected
    many = StaffAction.objects.get(count=2)
    assert many.detail == ", ".join(str(pk) for pk in sorted(signature.pk for signature in signatures[:2]))
    assert "Be strong" not in repr(StaffAction.objects.values())


@pytest.mark.parametrize(
    ("button", "name", "words"), [("approve_words", "", "Be strong"), ("approve_name", "Ivan Petrov", "")]
)
def test_name_and_words_are_approved_apart(moderator, waiting, button, name, words):
    signature, other = waiting(name="Ivan Petrov"), waiting(name="Ivan Petrov")

    press(moderator, button, signature, other, value=signature.pk)

    shown = ShownWords.objects.get(pk=signature.pk)
    assert (shown.name, shown.words, decided(signature), decided(other)) == (name, words, True, None)
    entry = StaffAction.objects.get()
    assert (entry.action, entry.about) == ("approved", f"signature {signature.pk}")
    assert "is erased" in entry.detail or "are erased" in entry.detail


def test_the_link_brings_no_erased_name_back(moderator, make_signature):
    signature = make_signature(name="Ivan Petrov", words="Be strong")
    link = f"/en/confirm/{links.token(signature)}/"
    Client().post(link)
    press(moderator, "approve_words", signature, value=signature.pk)

    assert "Ivan Petrov" not in Client().get(link).content.decode()
    Client().post(link)

    shown = ShownWords.objects.get()
    assert (shown.name, shown.words, decided(signature)) == ("", "Be strong", True)


@pytest.mark.parametrize("button", ["approve_words", "approve_name"])
@pytest.mark.parametrize("only", [{"name": "Anna", "words": ""}, {"name": "", "words": "Be strong"}])
def test_what_has_nothing_beside_it_is_not_erased(moderator, waiting, button, only):
    signature = waiting(**only)
    assert f'name="{button}"' not in moderator.get(DESK).content.decode()

    press(moderator, button, signature, value=signature.pk)

    assert decided(signature) is None


def test_the_name_of_what_was_approved_can_still_be_erased(moderator, waiting):
    signature = waiting(name="Ivan Petrov", approved_at=this_hour())
    one = reverse("admin:petition_review_change", args=[signature.pk])

    moderator.post(one, {"seen": seen(signature), "approve_words": signature.pk})

    assert (ShownWords.objects.get().name, decided(signature)) == ("", True)


def test_hiding_a_whole_page_asks_first(moderator, waiting):
    signatures = [waiting(), waiting()]
    numbers = [signature.pk for signature in signatures]

    page = press(moderator, "hide_selected", *signatures, selected=numbers)
    assert "They are erased at once, and nobody can bring them back." in page.content.decode()
    assert [decided(signature) for signature in signatures] == [None, None]

    press(moderator, "hide_selected", *signatures, selected=numbers, sure="1")
    assert [decided(signature) for signature in signatures] == [False, False]


def test_all_on_the_page_are_ticked_by_a_link(moderator, waiting):
    for _ in range(3):
        waiting()
    page = moderator.get(DESK)
    assert page.content.decode().count("checked") == 0

    ticked = moderator.get(DESK + page.context["tick_all"])

    assert ticked.content.decode().count("checked") == 3
    assert "ticked" not in press(moderator, "approve_selected")["Location"]


# The place.


def test_after_a_decision_the_next_card_has_the_focus(moderator, waiting):
    first, second, third = sorted((waiting() for _ in range(3)), key=lambda signature: signature.pk)

    def focused(answer):
        page = moderator.get(answer["Location"])
        return page.context["next_entry"] and page.context["next_entry"].pk

    assert b"autofocus" not in moderator.get(DESK).content
    assert focused(press(moderator, "approve", first, second, third, value=second.pk)) == third.pk
    # Behind the last one it goes on with what was left for later.
    assert focused(press(moderator, "approve", first, third, value=third.pk)) == first.pk
    assert focused(press(moderator, "hide", first, value=first.pk)) is None


@pytest.mark.parametrize("approve", [True, False])
def test_the_count_does_not_move(moderator, waiting, approve):
    signature = waiting()
    while tally.fold():
        pass

    press(moderator, "approve" if approve else "hide", signature, value=signature.pk)

    assert not TallyChange.objects.exists()
    assert tally.current("chechnya").confirmed_here == 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"approve": "1"},
        {"approve": "x" * 50},
        {"approve": ""},
        {"approve_selected": "1", "selected": "nonsense"},
        {"approve_selected": "1", "selected": "1", "seen": ["1", ":", "x:y", "9" * 30 + ":z"]},
    ],
)
def test_a_broken_form_decides_nothing(moderator, waiting, data):
    signature = waiting()

    assert moderator.post(DESK, data).status_code == 302

    assert decided(signature) is None
    assert not StaffAction.objects.exists()


def test_what_is_hidden_is_erased_and_the_signature_counts_on(moderator, waiting, counted_rows):
    signature = waiting(name="Anna", words="Unkind")

    press(moderator, "hide", signature, value=signature.pk)

    assert not ShownWords.objects.exists()
    assert counted_rows() == 1


# Two moderators.


def test_who_comes_second_is_told_and_changes_nothing(moderator, waiting):
    signature = waiting()
    as_it_was = seen(signature)
    press(moderator, "hide", signature, value=signature.pk)

    page = moderator.post(DESK, {"seen": as_it_was, "approve": signature.pk}, follow=True).content.decode()

    assert decided(signature) is False
    assert "1 had been decided or changed by somebody else meanwhile, and was left as it is." in page
    assert StaffAction.objects.count() == 1


def test_words_that_changed_meanwhile_are_not_approved(moderator, waiting):
    signature = waiting()
    as_it_was = seen(signature)
    ShownWords.objects.update(words="Something else")

    moderator.post(DESK, {"seen": as_it_was, "approve": signature.pk})

    assert decided(signature) is None


@pytest.mark.django_db(transaction=True)
def test_two_moderators_at_the_same_time_never_overwrite_each_other(waiting, make_staff):
    signatures = [waiting() for _ in range(20)]
    shown, together = seen(*signatures), Barrier(2)
    users = {True: make_staff("moderator", username="vera"), False: make_staff("moderator", username="boris")}

    def decide(approve):
        client = Client()
        client.force_login(users[approve])
        order = shown if approve else shown[::-1]
        ours = [entry.partition(":")[0] for entry in order]
        try:
            together.wait()
            if approve:
                client.post(DESK, {"seen": order, "approve_selected": "1", "selected": ours})
            else:
                for pk in ours:
                    client.post(DESK, {"seen": order, "hide": pk})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(decide, [True, False]))

    said = {}
    for entry in StaffAction.objects.filter(action__in=("approved", "hidden")):
        for pk in (entry.detail or entry.about.removeprefix("signature ")).split(", "):
            assert int(pk) not in said, "decided twice"
            said[int(pk)] = entry.action == "approved"
    assert said == {signature.pk: decided(signature) for signature in signatures}


# Changing a decision.


def test_what_was_approved_can_still_be_hidden(moderator, waiting):
    signature = waiting()
    press(moderator, "approve", signature, value=signature.pk)
    one = reverse("admin:petition_review_change", args=[signature.pk])
    assert 'name="approve"' not in moderator.get(one).content.decode()

    response = moderator.post(one, {"seen": seen(signature), "hide": signature.pk})

    assert decided(signature) is False
    assert response["Location"] == DESK
    assert moderator.get(one).status_code == 404


def test_nobody_else_opens_the_page_of_one(client, make_staff, waiting):
    client.force_login(make_staff("organiser", "editor", "administrator"))

    assert client.get(reverse("admin:petition_review_change", args=[waiting().pk])).status_code == 403


# At any size.


def test_the_queue_is_read_by_its_index_however_many_are_signed(petition, waiting):
    waiting()
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH signed AS (INSERT INTO petition_signature (petition_id, email_digest, language, consent_version,"
            " created_at, confirmed_at) SELECT %s, sha256(n::text::bytea), 'en', 1, hour, hour"
            " FROM generate_series(1, 20000) n, date_trunc('hour', now()) hour RETURNING id, confirmed_at)"
            " INSERT INTO petition_shownwords (signature_id, words, language, asked_at, approved_at)"
            " SELECT id, 'x', 'en', confirmed_at, confirmed_at FROM signed",
            [petition.pk],
        )
        cursor.execute("ANALYZE petition_signature, petition_shownwords")
    waiting_words, held = ShownWords.objects.awaiting_review(), Signature.objects.awaiting_release()
    free = waiting_words.filter(~Exists(ReviewClaim.objects.filter(pk=OuterRef("pk"))))
    for queue, index in (
        (free.order_by("asked_at", "pk")[:26], "words_to_review"),
        (waiting_words.filter(language="en").order_by("asked_at", "pk")[:26], "words_to_review"),
        (waiting_words.order_by()[:1001], "words_to_review"),
        (held.order_by("held_at", "pk")[:50], "signatures_held"),
    ):
        plan = queue.explain()
        assert index in plan, plan
        # The few rows of what colleagues have on their pages may be read as they lie.
        assert not re.search(r"Seq Scan on petition_(signature|shownwords)\b", plan), plan


def test_a_full_page_asks_as_often_as_an_empty_one(moderator, waiting):
    def asked():
        with CaptureQueriesContext(connection) as queries:
            moderator.get(DESK)
        return len(queries)

    empty = asked()
    for _ in range(5):
        waiting()

    assert asked() == empty


# In a browser.


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scripts", [True, False])
def test_a_moderator_decides_with_the_keyboard(browser, tmp_path, waiting, make_staff, scripts):
    # Those of one hour stand by their random numbers.
    signatures = sorted((waiting(words=f"Words {number}") for number in range(4)), key=lambda waits: waits.pk)
    make_staff("moderator", username="vera", password="a long password for a test")
    with server.web(tmp_path / "web.log") as port:
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}", java_script_enabled=scripts)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(DESK)
        page.fill("#id_username", "vera")
        page.fill("#id_password", "a long password for a test")
        follow(page, "#id_password", "Enter")

        def at(signature):
            # The card, not its button: who still holds Return down would approve what nobody has read.
            focused = page.evaluate("document.activeElement.querySelector('[name=seen]')?.value") or ""
            return focused.startswith(f"{signature.pk}:")

        def leads_to(key, message):
            with page.expect_navigation():
                page.keyboard.press(key)
            assert page.get_by_text(message).is_visible()

        if scripts:
            leads_to("a", "1 approved.")
            leads_to("u", "1 waits again.")
            leads_to("a", "1 approved.")
            page.keyboard.press("j")
            page.keyboard.press("h")
            assert page.locator("[name=hide]").nth(1).evaluate("button => button === document.activeElement")
            leads_to("h", "1 hidden.")
            assert at(signatures[3])
            page.keyboard.press("k")
            page.keyboard.press("s")
            assert page.locator("[name=selected]").first.is_checked()
            page.keyboard.press("s")
            assert not page.locator("[name=selected]").first.is_checked()
            page.keyboard.press("x")
            assert page.locator("[name=selected]").first.is_checked()
        else:
            page.locator("[name=approve]").first.focus()
            leads_to("Enter", "1 approved.")
            assert at(signatures[1])
            page.locator("[name=selected]").first.focus()
            page.keyboard.press("Enter")  # decides nothing
            page.locator("[name=hide]").nth(1).focus()
            leads_to("Enter", "1 hidden.")
            assert at(signatures[3])
        context.close()

    assert [decided(signature) for signature in signatures] == [True, None, False, None]
    assert complaints == []
