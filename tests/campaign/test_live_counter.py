"""The number on an open page follows the real one, and is polite to server, battery and screen reader."""

import pytest

from tests.support import server
from tests.support.browser import needs_chromium

pytestmark = pytest.mark.django_db(transaction=True)

HIDE = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
HIDE += " document.dispatchEvent(new Event('visibilitychange')) }"

# The clock of the page can be faster than the network: this is kept when the last question has been answered.
ANSWERED = """
    const ask = window.fetch;
    window.answered = Promise.resolve();
    window.fetch = (...what) => {
        const answer = ask(...what);
        window.answered = answer.then((response) => response.clone().text());
        return answer;
    };
"""


@pytest.fixture
def counter(browser, petition, tmp_path):
    """A home page with a clock of its own, and every question that its script asks. `answer` may be changed."""
    with server.web(tmp_path / "web.log") as port:
        page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
        page.asked = []
        page.answer = {"status": 200, "total": 150_001}

        def reply(route):
            page.asked.append(route.request)
            count = {"total": page.answer["total"], "confirmed_here": page.answer["total"] - 150_000, "goal": 175_000}
            route.fulfill(status=page.answer["status"], json=count)

        page.route("**/count.json", reply)
        page.add_init_script(ANSWERED)
        page.clock.install()
        page.goto("/en/")
        yield page
        page.close()


def minute(page):
    """Let a minute go by; how often the script has asked."""
    before = len(page.asked)
    for _second in range(60):
        page.clock.run_for(1_000)
        page.evaluate("() => window.answered")
        page.evaluate("() => 0")  # and the script has had its turn
    return len(page.asked) - before


@needs_chromium
def test_it_asks_every_few_seconds(counter):
    assert 8 <= minute(counter) <= 16
    assert counter.locator("[data-number=total]").text_content() == "150,001"


@needs_chromium
def test_it_backs_off_while_the_server_is_in_trouble_and_comes_back(counter):
    counter.answer["status"] = 503
    assert minute(counter) <= 5
    assert minute(counter) <= 2
    assert counter.locator("[data-number=total]").text_content() == "150,000"

    counter.answer["status"] = 200
    for _minute in range(6):
        minute(counter)
    assert counter.locator("[data-number=total]").text_content() == "150,001"
    assert minute(counter) >= 8


@needs_chromium
def test_it_rests_in_a_hidden_tab_and_looks_at_once_when_shown(counter):
    counter.evaluate(HIDE, True)
    assert minute(counter) == 0

    with counter.expect_response("**/count.json"):
        counter.evaluate(HIDE, False)
        counter.clock.run_for(1_500)
    assert len(counter.asked) == 1


@needs_chromium
def test_a_screen_reader_hears_of_a_new_number_once_a_minute_at_most(counter):
    spoken = counter.locator("[data-announce]")
    assert spoken.get_attribute("role") == "status"
    assert counter.locator("[data-number=total]").evaluate("number => number.closest('[aria-live]')") is None

    heard = []
    for number in range(150_001, 150_181):
        counter.answer["total"] = number
        counter.clock.run_for(1_000)
        counter.wait_for_timeout(0)
        if (text := spoken.text_content()) and text not in heard[-1:]:
            heard.append(text)

    assert 1 <= len(heard) <= 3
    assert [text for text in heard if not text.endswith(" signatures")] == []
