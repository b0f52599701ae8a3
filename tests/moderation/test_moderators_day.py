"""The day of a moderator, in a real browser and with real processes, with scripts and without."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django_otp.oath import totp

from petition.counts import tally
from petition.models import ShownWords, Signature, StaffAction
from petition.models.signature import this_hour
from petition.staff import second_factor
from tests.support import server
from tests.support.browser import follow, needs_chromium

PASSWORD = "a long password for a test"


@needs_chromium
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_moderator_approves_and_undoes_a_campaign(browser, tmp_path, make_signature, make_staff, scripts):
    vera = make_staff("moderator", username="vera", password=PASSWORD)
    phone = second_factor.begin(vera)
    phone.confirmed = True
    phone.save()
    earlier = this_hour() - timedelta(hours=2)
    shown = make_signature(confirmed_at=earlier, words="Be strong", country="ES")
    for number in range(30):
        make_signature(confirmed=True, country="DE", name=f"Robot {number}")

    with server.web(tmp_path / "web.log", SECOND_FACTOR="1") as port, server.worker(tmp_path / "worker.log"):
        context = browser.new_context(base_url=f"http://127.0.0.1:{port}", java_script_enabled=scripts)
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto("/admin/")
        page.fill("#id_username", "vera")
        page.fill("#id_password", PASSWORD)
        follow(page, "#login-form [type=submit]")
        page.fill("#id_code", f"{totp(phone.bin_key):06}")
        follow(page, ".login-form [type=submit]")
        page.wait_for_selector("#content-main")

        follow(page, "#content-main >> text=Names and words to review")
        follow(page, "[name=approve]")
        page.wait_for_selector("text=1 approved.")

        page.goto("/admin/")
        follow(page, "#content-main .model-invalidationcampaign .addlink")
        page.fill("[name=name]", "robot*")
        page.check("[name=effect][value=invalidate]")
        page.select_option("[name=country]", "DE")
        page.fill("[name=reason]", "Robots at night")
        follow(page, "[name=_save]")
        page.wait_for_selector("text=finds 30 signatures")
        assert "150,031" in page.content()
        assert "150,001" in page.content()
        follow(page, "[value=Apply]")
        page.wait_for_selector("text=30 signatures were invalidated.")
        page.wait_for_selector("[value='Undo the campaign']")
        assert tally.current("chechnya").confirmed_here == 1

        page.fill("[name=reason]", "They were people")
        page.click("[value='Undo the campaign']")
        page.wait_for_selector("text=30 were restored.")
        context.close()

    assert complaints == []
    assert tally.current("chechnya").confirmed_here == 31
    assert ShownWords.objects.get(pk=shown.pk).approved_at
    assert not Signature.objects.exclude(campaign=None).exists()
    assert list(StaffAction.objects.filter(user_id=vera.pk).order_by("pk").values_list("action", "count")) == [
        ("password_accepted", None),
        ("logged_in", None),
        ("approved", 1),
        ("added", None),
        ("campaign_applied", 30),
        ("campaign_finished", 30),
        ("campaign_undone", 30),
        ("campaign_undo_finished", 30),
    ]
    assert User.objects.get() == vera
