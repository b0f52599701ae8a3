"""The whole story, as a newcomer lives it: a browser, the real server, the real worker, and the mail page."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

from petition.models import Signature
from tests.support import server
from tests.support.browser import follow, needs_chromium, visitor

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = {
    "en": {
        "before": "150,000",
        "after": "150,001",
        "sign": "Sign",
        "inbox": "check-inbox",
        "slip": "anna@gmail.com",
    },
    "ru": {
        "before": "150\u00a0000",
        "after": "150\u00a0001",
        "sign": "Подписать",
        "inbox": "check-inbox",
        "slip": "anna@gmail.com",
    },
}


@pytest.fixture
def site(settings, tmp_path):
    for mail in Path(settings.EMAIL_FILE_PATH).glob("*.eml"):
        mail.unlink()
    call_command("load_campaign")
    with server.web(tmp_path / "web.log") as port, server.worker(tmp_path / "worker.log"):
        yield f"http://127.0.0.1:{port}"


def open_mail(page, kind):
    """Look at the mail page until the newest mail carries a link of this kind; that link."""

    def link():
        page.goto("/dev/mail/")
        return page.locator("main section").first.locator(f"a[href*='/{kind}/']").first

    server.wait_until(lambda: link().count())
    # No error happened, whose number could be quoted.
    assert not page.get_by_text("If you write to us about this").count()
    return link().get_attribute("href").replace("http://127.0.0.1:8000", "")


@needs_chromium
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_sign_confirm_see_the_counter_rise_and_withdraw(browser, site, language, script):
    words = WORDS[language]
    with visitor(browser, site, locale=language, java_script_enabled=script) as page:
        counter = page.context.new_page()
        counter.goto("/")
        assert counter.url == f"{site}/{language}/"
        number = counter.locator("[data-number=total]")
        assert number.text_content().strip() == words["before"]

        # She signs.
        page.goto("/")
        page.fill("#id_email", "anna.k@example.org")
        page.click(".more summary")
        page.fill("#id_name", "Анна К.")
        page.check("#id_shows_name")
        page.check("#id_consent")
        follow(page, "form[action$='/sign/'] button")
        assert page.url == f"{site}/{language}/petitions/chechnya/check-inbox/"

        # She opens the mail, and nothing counts before she presses the button.
        page.goto(open_mail(page, "confirm"))
        assert "Анна К." in page.locator("main").text_content()
        assert not Signature.objects.counted().exists()
        follow(page, "main form button")
        assert page.url == f"{site}/{language}/petitions/chechnya/thanks/"

        # The counter shows it: by itself, or when she looks again.
        def shown():
            if not script:
                counter.reload()
            return number.text_content().strip()

        server.wait_until(lambda: shown() == words["after"])

        # She changes her mind.
        follow(page, "footer a[href$='/withdraw/']")
        page.fill("#id_email", "Anna.K+private@example.org")
        follow(page, "main form button")
        page.goto(open_mail(page, f"{language}/withdraw"))
        # It asks twice.
        follow(page, "main form button")
        follow(page, "main form button")
        assert page.url == f"{site}/{language}/petitions/chechnya/withdrawn/"
        assert not Signature.objects.exists()
        server.wait_until(lambda: shown() == words["before"])


@needs_chromium
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_mistakes_keep_what_was_typed_and_move_the_focus(browser, site, script):
    with visitor(browser, site, java_script_enabled=script) as page:
        page.goto("/en/petitions/chechnya/sign/")
        page.fill("#id_email", "anna")
        page.click(".more summary")
        page.fill("#id_name", "=Anna")
        page.fill("#id_words", "With <you>")
        page.fill("#id_country", "Spain")
        with page.expect_response(lambda response: response.status == 422):
            follow(page, "form[action$='/sign/'] button")

        assert page.title().startswith("Error:")
        assert page.locator("#errors:focus, .errors:focus, [autofocus]:focus").count() == 1
        assert page.input_value("#id_name") == "=Anna"
        assert page.input_value("#id_words") == "With <you>"
        assert page.input_value("#id_country") == "Spain"
        page.locator(".errors a, #errors a").first.click()
        assert page.locator("#id_email:focus").count() == 1


@needs_chromium
def test_the_code_works_in_place_of_the_link_and_a_slip_is_asked_about_once(browser, site):
    with visitor(browser, site, java_script_enabled=False) as page:
        page.goto("/en/")
        page.fill("#id_email", "anna@gmial.com")
        page.check("#id_consent")
        follow(page, "form[action$='/sign/'] button")
        assert "anna@gmail.com" in page.locator("main").text_content()
        follow(page, page.get_by_role("button", name="Sign", exact=True))
        assert page.url.endswith("/check-inbox/")
        inbox = page.url

        open_mail(page, "confirm")
        mail = page.locator("main section").first.inner_text()
        code = re.search(r"\b\d{4}-\d{3}-\d{3}\b", mail).group()
        page.goto(inbox)
        page.fill("#id_code", code.replace("-", " "))
        follow(page, "main form button")
        assert page.url.endswith("/thanks/")
        assert Signature.objects.counted().count() == 1


@needs_chromium
@pytest.mark.parametrize(("takes", "recipient"), [(True, "anna@gmail.com"), (False, "anna@gmial.com")])
def test_a_button_takes_the_suggestion_and_the_enter_key_does_not(browser, site, takes, recipient):
    with visitor(browser, site, java_script_enabled=False) as page:
        page.goto("/en/")
        page.fill("#id_email", "anna@gmial.com")
        page.check("#id_consent")
        follow(page, "#id_email", "Enter")
        if takes:
            follow(page, page.get_by_role("button", name="Sign with anna@gmail.com"))
        else:
            follow(page, "#id_email", "Enter")
        assert page.url.endswith("/check-inbox/")

        open_mail(page, "confirm")
        assert recipient in page.locator("main").inner_text()


@needs_chromium
def test_a_double_click_and_a_second_tab_count_once(browser, site):
    with visitor(browser, site) as page:
        page.goto("/en/")
        page.fill("#id_email", "anna@example.org")
        page.check("#id_consent")
        page.locator("form[action$='/sign/'] button").dblclick()
        page.wait_for_url("**/check-inbox/")
        link = open_mail(page, "confirm")
        other = page.context.new_page()
        for tab in (page, other):
            tab.goto(link)
        page.locator("main form button").first.dblclick()
        page.wait_for_url("**/thanks/")
        other.locator("main form button").first.click()
        other.wait_for_url("**/thanks/")
        assert Signature.objects.counted().count() == 1
