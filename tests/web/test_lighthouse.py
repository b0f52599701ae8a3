"""Lighthouse gives every page full marks for what does not depend on the machine. `make lighthouse` tells speed too."""

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.test import Client

from campaign.models import Page
from tests.support import server, states
from tests.support.browser import CHROMIUM, needs_chromium
from tests.web import test_headers

HERE = Path(__file__).parent / "lighthouse"
NODE = shutil.which("node")
MISSING = None if NODE and (HERE / "node_modules").exists() else "make lighthouse installs what this needs, with npm"
LANGUAGES = ["en", "ru"]

# Speed is judged where nobody else uses the machine.
WITH_SPEED = bool(os.environ.get("LIGHTHOUSE_SPEED"))
FAST = 98

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.skipif(MISSING is not None, reason=MISSING or "")]

tokens = test_headers.tokens


@contextmanager
def listening_chromium(folder):
    """The port on which a Chromium of our own takes orders."""
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command = [CHROMIUM, *arguments, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    with (folder / "chromium.log").open("wb") as log:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        file = folder / "DevToolsActivePort"
        server.wait_until(lambda: file.exists() and file.read_text().strip())
        yield int(file.read_text().split()[0])
    finally:
        started.terminate()
        started.wait(15)


def judged(folder, pages):
    """What Lighthouse says of these pages, each with its categories."""
    folder.mkdir()
    with listening_chromium(folder) as port:
        asked = json.dumps({"port": port, "pages": pages})
        done = subprocess.run([NODE, HERE / "judge.js"], input=asked, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def pages(tokens, make_signature):
    """The public pages by path, with what search engines are told of them."""
    Page.objects.all().delete()
    states.seed(make_signature)

    def pages(language):
        client = Client()
        paths = list(states.seeded(client, language))
        # Each page takes seconds. Those of one moment differ by their words alone, so one language is enough.
        for visit in test_headers.ALL if language == "en" else []:
            if (visit.method, visit.status) == ("GET", 200) and visit.path.startswith("/{language}/"):
                paths.append(visit.path.format(language=language, **tokens))
        found = {path: client.get(path) for path in dict.fromkeys(paths)}
        return {path: answer.content.decode() for path, answer in found.items() if states.is_page(answer)}

    return pages


@needs_chromium
@pytest.mark.usefixtures("list_key")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_has_full_marks(pages, language, tmp_path):
    asked = {}
    with server.web(tmp_path / "web.log") as port:
        for path, html in pages(language).items():
            categories = ["accessibility", "best-practices"]
            if 'name="robots" content="noindex' not in html:
                categories.append("seo")
            if WITH_SPEED:
                categories.append("performance")
            asked[f"http://127.0.0.1:{port}{path}"] = categories
        found = judged(tmp_path / "chromium", [{"url": url, "categories": asked[url]} for url in asked])

    faults = [f"{page['url']} {fault}" for page in found for fault in page["faults"]]
    for page in found:
        path = re.sub(r"(confirm|withdraw)/[^/]{20,}/", r"\1/…/", page["url"].partition(f":{port}")[2])
        wanted = {name: FAST if name == "performance" else 100 for name in asked[page["url"]]}
        scores = {name: page["scores"][name] for name in wanted}
        print("  ".join(f"{name} {score}" for name, score in scores.items()), path)  # noqa: T201
        faults += [f"{path}: {name} {scores[name]}" for name in wanted if (scores[name] or 0) < wanted[name]]
    assert len(found) == len(asked)
    assert faults == []
