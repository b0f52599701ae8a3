"""A real browser, where Chromium is installed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from tests.support.server import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ("--no-sandbox", "--disable-background-networking", "--disable-quic")
Test = TypeVar("Test", bound=Callable[..., object])


def needs_chromium(test: Test) -> Test:
    """Mark a test that runs where Chromium is installed, and says why where it is not."""
    reason = "Chromium is not installed (Debian's package is called chromium)"
    skipped: Test = pytest.mark.skipif(CHROMIUM is None, reason=reason)(test)
    marked: Test = pytest.mark.browser(skipped)
    return marked


@contextmanager
def chromium() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, and Django would take our own queries for a mistake.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            yield browser
            browser.close()
            # Whoever asks later, outside of the loop, has connections of her own, and would leave these open.
            connections.close_all()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@contextmanager
def another(browser: Browser, *options: str) -> Iterator[Browser]:
    """A second browser beside this one, started with more options."""
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=[*OPTIONS, *options])
    yield started
    started.close()


def follow(page: Page, button: str | Locator, key: str = "") -> None:
    """Click, or press this key there, and wait for the page that it leads to: by themselves they wait for no script."""
    place = page.locator(button).first if isinstance(button, str) else button
    with page.expect_navigation():
        if key:
            place.press(key)
        else:
            place.click()


def is_complaint(message: ConsoleMessage) -> bool:
    # A form to correct comes with status 422, which the browser remarks upon.
    return message.type == "error" and "status of 422" not in message.text


@contextmanager
def visitor(browser: Browser, base_url: str, **options: Any) -> Iterator[Page]:
    """A page of a fresh visitor. On leaving: nothing was blocked or asked of another host, and no cookie was set."""
    context = browser.new_context(base_url=base_url, **options)
    context.set_default_timeout(1_000 * PATIENCE_SECONDS)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: None if request.url.startswith(base_url) else complaints.append(request.url))
    yield context.new_page()
    assert not complaints, "\n".join(complaints)
    assert context.cookies() == []
    context.close()
