"""One signature: a field for its number, its page, and the decisions on it there."""

import pytest
from django.test import Client
from django.urls import reverse

from petition.counts import tally
from petition.models import CannedReason, Signature, StaffAction
from petition.models.signature import this_hour

LIST = reverse("admin:petition_signature_changelist")
HELD = reverse("admin:petition_heldsignature_changelist")

pytestmark = pytest.mark.django_db


def url(signature):
    return reverse("admin:petition_signature_change", args=[signature.pk])


@pytest.fixture
def administrator(make_staff):
    client = Client()
    client.force_login(make_staff("administrator", username="anna"))
    return client


@pytest.mark.parametrize("typed", ["{}", " {} ", "No. {}", "№ {}"])
def test_a_number_opens_its_signature(moderator, make_signature, typed):
    signature = make_signature(confirmed=True)

    assert moderator.get(LIST, {"no": typed.format(signature.pk)})["Location"] == url(signature)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("4711", "There is no signature No. 4711."),
        ("four", "This is no number of a signature."),
        ("", "This is no number of a signature."),
        ("9" * 30, "This is no number of a signature."),
    ],
)
def test_a_wrong_number_is_answered_plainly(moderator, typed, said):
    assert said in moderator.get(LIST, {"no": typed}, follow=True).content.decode()


def test_the_page_of_a_signature_that_is_gone_says_so(moderator):
    gone = reverse("admin:petition_signature_change", args=[4711])

    assert "There is no signature No. 4711." in moderator.get(gone, follow=True).content.decode()


@pytest.mark.parametrize(
    ("action", "before", "state", "entry"),
    [
        ("hold", {}, "held", "held"),
        ("release", {"held_at": this_hour()}, "counted", "released"),
        ("invalidate", {}, "invalidated", "invalidated"),
        ("invalidate", {"held_at": this_hour()}, "invalidated", "invalidated"),
        ("restore", {"invalidated_at": this_hour()}, "counted", "restored"),
    ],
)
def test_it_is_decided_on_its_page_with_a_reason(moderator, make_signature, action, before, state, entry):
    signature = make_signature(confirmed=True, **before)
    assert f'name="action" value="{action}"' in moderator.get(url(signature)).content.decode()

    refused = moderator.post(url(signature), {"action": action, "reason": ""}, follow=True).content.decode()
    assert "Choose a reason, or write one." in refused
    assert not StaffAction.objects.exists()
    moderator.post(url(signature), {"action": action, "reason": "Looked at"})

    assert getattr(Signature.objects, state)().get() == signature
    told = StaffAction.objects.get()
    assert (told.action, told.count, told.reason, told.about) == (entry, 1, "Looked at", f"signature {signature.pk}")
    assert tally.current("chechnya").confirmed_here == (state == "counted")


def test_a_decision_that_does_not_fit_changes_nothing(moderator, make_signature):
    pending, held = make_signature(), make_signature(confirmed=True, held_at=this_hour())

    for signature, action in ((pending, "invalidate"), (held, "hold"), (held, "restore")):
        page = moderator.post(url(signature), {"action": action, "reason": "x"}, follow=True).content.decode()
        assert "Nothing was changed" in page
    assert not StaffAction.objects.exists()


def test_an_administrator_sees_it_without_its_name_and_decides_nothing(administrator, make_signature):
    signature = make_signature(confirmed=True, name="Maria Petrova", words="Be strong", held_at=this_hour())

    page = administrator.get(url(signature)).content.decode()

    assert "held" in page
    for secret in ("Petrova", "Be strong", 'name="action"'):
        assert secret not in page
    assert administrator.post(url(signature), {"action": "release", "reason": "x"}).status_code == 403
    assert administrator.get(LIST).status_code == 403
    assert administrator.get(LIST, {"no": signature.pk}).status_code == 403
    assert Signature.objects.awaiting_release().exists()


def test_a_held_one_has_the_same_page(moderator, make_signature):
    held = make_signature(confirmed=True, held_at=this_hour())

    assert moderator.get(reverse("admin:petition_heldsignature_change", args=[held.pk]))["Location"] == url(held)


# Canned reasons.


def test_a_canned_reason_is_chosen_with_or_without_words_of_ones_own(moderator, make_signature):
    canned = CannedReason.objects.in_order().first()
    for own, kept in (("", "Made by a program"), ("again", "Made by a program: again")):
        signature = make_signature(confirmed=True)

        moderator.post(url(signature), {"action": "hold", "canned_reason": canned.pk, "reason": own})

        signature.refresh_from_db()
        assert signature.held_reason == kept
    assert set(StaffAction.objects.values_list("canned_reason", flat=True)) == {canned.pk}


def test_who_writes_reasons_sees_how_often_each_is_given(administrator, moderator, make_signature):
    canned = CannedReason.objects.in_order().first()
    rows = [make_signature(confirmed=True) for _ in range(3)]
    data = {"action": "hold", "_selected_action": [row.pk for row in rows], "canned_reason": canned.pk, "reason": ""}
    moderator.post(LIST, data)

    page = administrator.get(reverse("admin:petition_cannedreason_changelist")).content.decode()

    assert '<td class="field-how_often">1</td><td class="field-how_many">3</td>' in page


def test_reasons_are_written_in_both_languages(administrator, moderator, make_signature):
    signature = make_signature(confirmed=True)
    add = reverse("admin:petition_cannedreason_add")
    administrator.post(f"{add}?language=en", {"text": "A choir", "position": 1})
    reason = CannedReason.objects.in_order().first()
    change = reverse("admin:petition_cannedreason_change", args=[reason.pk])
    administrator.post(f"{change}?language=ru", {"text": "Хор", "position": 1})

    for language, text in (("en", "A choir"), ("ru", "Хор")):
        page = moderator.get(url(signature), headers={"Accept-Language": language}).content.decode()
        assert f">{text}</option>" in page
