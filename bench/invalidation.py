"""`python -m bench.invalidation ROWS`: the time that signing takes while a worker invalidates and restores signatures.

People sign at a steady rate, first in peace, then while an invalidation of every seeded signature is applied, then
while it is undone.
"""

# ruff: noqa: T201, talking is what this program is for
import argparse
import http.client
import json
import random
import threading
import time
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlencode

from bench import environment
from bench.spike import percentile

RATE = 20
QUIET_SECONDS = 20
PATIENCE_SECONDS = 3_600


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.invalidation", description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--rate", type=float, default=RATE, help="forms a second")
    chosen = parser.parse_args()
    with environment.running():
        measure(chosen.rows, chosen.rate)


def measure(rows: int, rate: float) -> None:
    from django.utils import timezone

    from petition.counts import tally
    from petition.models import InvalidationCampaign, Petition

    database = environment.prepare(rows)
    result: dict[str, object] = {"machine": environment.machine(), "rows": rows, "rate": rate}
    with ExitStack() as running:
        app, sink = running.enter_context(environment.web(database)), running.enter_context(environment.sink(database))
        mail = environment.worker_keys() | {"EMAIL_URL": f"smtp://127.0.0.1:{sink.port}"}
        running.enter_context(environment.process("worker", "manage.py", "worker", database=database, **mail))
        signers = running.enter_context(closing(Signers(app.port, rate)))
        time.sleep(QUIET_SECONDS)
        result["in peace"] = signers.take("in peace")
        petition = Petition.objects.get(slug="chechnya")
        campaign = InvalidationCampaign.objects.create(petition=petition, reason="A bench", signed_until=timezone.now())
        this = InvalidationCampaign.objects.filter(pk=campaign.pk)
        for name, begin, end in (
            ("while it is applied", this.apply, "finished_at"),
            ("while it is undone", this.undo, "undo_finished_at"),
        ):
            begun = time.monotonic()
            begin(None)
            while not this.filter(**{f"{end}__isnull": False}).exists():
                if time.monotonic() - begun > PATIENCE_SECONDS:
                    raise SystemExit("It did not come to an end.")
                time.sleep(0.5)
            campaign.refresh_from_db()
            lasted = time.monotonic() - begun
            done = campaign.restored if campaign.undone_at else campaign.changed
            result[name] = signers.take(name) | {"signatures": done, "seconds": lasted}
            print(f"  {done:,} signatures in {lasted:.0f} s, {done / lasted:,.0f}/s", flush=True)
    found = tally.recount()
    print(f"Recounted: {found.difference} were missing from the count.")
    (environment.VAR.parent / "invalidation.json").write_text(json.dumps(result, indent=1))
    campaign.delete()
    environment.clear(database)
    if found.difference:
        raise SystemExit("The count was not exact.")


class Signers:
    """People who sign one after the other, each when it is her time, however long the one before takes."""

    def __init__(self, port: int, rate: float) -> None:
        self.port, self.rate = port, rate
        self.word = f"{random.getrandbits(32):x}"
        self.seconds: list[float] = []
        self.refused = 0
        self.going = True
        self.thread = threading.Thread(target=self.come)
        self.thread.start()

    def close(self) -> None:
        self.going = False
        self.thread.join()

    def take(self, name: str) -> dict[str, object]:
        """The times since the last look, in milliseconds."""
        seconds, self.seconds, refused, self.refused = self.seconds, [], self.refused, 0
        times = {f"p{p}": round(1000 * percentile(seconds, p), 1) for p in (50, 95, 99, 100)}
        print(f"{name}: {len(seconds)} signed, {refused} refused; ms {times}", flush=True)
        return {"signed": len(seconds), "refused": refused, "ms": times}

    def come(self) -> None:
        begun, number = time.monotonic(), 0
        people: list[threading.Thread] = []
        while self.going:
            number += 1
            time.sleep(max(0.0, begun + number / self.rate - time.monotonic()))
            person = threading.Thread(target=self.sign, args=[number])
            person.start()
            people = [other for other in people if other.is_alive()] + [person]
        for person in people:
            person.join()

    def sign(self, number: int) -> None:
        form = {"email": f"{self.word}.{number}@example.org", "consent": "on", "website": ""}
        address = environment.visitor_address()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": address}
        begun = time.monotonic()
        status = None
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with suppress(OSError, http.client.HTTPException), closing(web):
            web.request("POST", environment.SIGN, urlencode(form), headers)
            status = web.getresponse().status
        if status == http.HTTPStatus.SEE_OTHER:
            self.seconds.append(time.monotonic() - begun)
        else:
            self.refused += 1


if __name__ == "__main__":
    main()
