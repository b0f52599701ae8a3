"""`python -m bench.profile sign`: where the time of a request goes (sign, open, confirm, page, count, mail)."""

# ruff: noqa: T201, talking is what this program is for
import cProfile
import io
import pstats
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import environment
from config.local.run import PROJECT

REQUESTS = 300
TOP = 10


def main(work: str) -> None:
    with environment.running():
        database = environment.prepare(0)
        profile = cProfile.Profile()
        if work == "mail":
            send(database, profile)
        else:
            serve(work, database, profile)
        environment.clear(database)
    report(work, pstats.Stats(profile))


def send(database: str, profile: cProfile.Profile) -> None:
    from django.conf import settings
    from django.core.mail import get_connection

    from bench import signers
    from petition.mail import queue
    from petition.mail.smtp import Post

    settings.EMAIL_DIGEST_KEY = environment.worker_keys()["EMAIL_DIGEST_KEY"]
    signers.mails(database, 2 * REQUESTS)
    with environment.sink(database) as sink:
        backend = "django.core.mail.backends.smtp.EmailBackend"
        # One connection: the profiler sees no other thread.
        post = Post(lambda: get_connection(backend, host="127.0.0.1", port=sink.port), most=1)
        sent = 0
        while more := queue.deliver_due(post):
            sent += more
            if sent == REQUESTS:
                profile.enable()
        profile.disable()


def serve(work: str, database: str, profile: cProfile.Profile) -> None:
    from bench import signers
    from config.wsgi import application

    paths = signers.links(database, 2 * REQUESTS).file.read_text().split() if work in ("open", "confirm") else []
    requests = list(environs(work, paths))
    for number, request in enumerate(requests):
        if number == REQUESTS:  # The first half warms up.
            profile.enable()
        statuses: list[str] = []
        answer = application(request, lambda status, headers, said=statuses: said.append(status))
        b"".join(answer)
        answer.close()
        if not statuses[0].startswith(("200", "303")):
            raise SystemExit(f"{work} answered {statuses[0]}")
    profile.disable()


def environs(work: str, paths: list[str]) -> Iterator[dict[str, Any]]:
    for number in range(2 * REQUESTS):
        method, path, body = "POST", environment.SIGN, b""
        match work:
            case "sign":
                form = {
                    "email": f"profile.{number}@example.org",
                    "name": "Anna Bench",
                    "country": "DE",
                    "consent": "on",
                }
                body = urlencode(form).encode()
            case "open" | "confirm":
                method, path = "GET" if work == "open" else "POST", paths[number]
            case "page" | "count":
                method, path = "GET", environment.HOME if work == "page" else environment.COUNT
            case _:
                raise SystemExit("sign, open, confirm, page, count or mail")
        yield {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "127.0.0.1",
            "HTTP_ACCEPT_ENCODING": "gzip",
            "HTTP_X_FORWARDED_FOR": f"10.0.{number // 256}.{number % 256}",
            "HTTP_SURROGATE_CAPABILITY": 'nginx="Surrogate/1.0"',
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }


def report(work: str, stats: pstats.Stats) -> None:
    """Two top tens: whose own time it is, and what our own functions cost with all they call.

    Profiling itself makes many small calls look dear; compare runs, not numbers.
    """
    found: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    ours = {key: values for key, values in found.items() if is_ours(key[0])}
    print(f"{work}: {1000 * stats.total_tt / REQUESTS:.2f} ms for one, under the profiler")  # type: ignore[attr-defined]
    for title, column, functions in (("own time", 2, found), ("with what it calls", 3, ours)):
        print(f"\n| {title}, ms | calls | function |\n| ---: | ---: | --- |")
        ordered = sorted(functions.items(), key=lambda item: -item[1][column])
        for (file, line, name), values in ordered[:TOP]:
            where = "" if file == "~" else f" ({'/'.join(file.split('/')[-2:])}:{line})"
            print(f"| {1000 * values[column] / REQUESTS:.3f} | {values[1] / REQUESTS:.1f} | `{name}`{where} |")
    print()


def is_ours(file: str) -> bool:
    room = Path(file).parent
    return PROJECT in room.parents and room != PROJECT / "config" and ".venv" not in room.parts


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sign")
