"""Bytes and requests of the first view of the home page, counted by the browser."""

from urllib.parse import urlsplit

from bench import environment
from bench.environment import Process
from bench.report import Figure, Report, Row, Target
from tests.support import browser


def weight(front: Process, report: Report) -> None:
    most = {"kB on the wire": 60, "requests": 6, "requests to another host": 0}
    targets = {f"home page: {what}": Target(limit, at_most=True) for what, limit in most.items()}
    if browser.CHROMIUM is None:
        for work, target in targets.items():
            report.add(Row(work, target=target, note="Chromium is not installed"))
        return
    hosts: list[str] = []
    sizes: list[float] = []
    with browser.chromium() as chromium:
        context = chromium.new_context()
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.requestWillBeSent", lambda event: hosts.append(urlsplit(event["request"]["url"]).netloc))
        devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.goto(front.url + environment.HOME, wait_until="networkidle")
        context.close()
    # The browser's own favicon is a request like any other, but one that it hides from here.
    foreign = sum(host != f"127.0.0.1:{front.port}" for host in hosts)
    for (work, target), value in zip(targets.items(), (sum(sizes) / 1000, len(hosts), foreign), strict=True):
        report.add(Row(work, Figure((value,), ""), target=target))
