"""This machine: clock, disks, memory, and what the kernel allows."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from petition import clock
from petition.backup import postgres_tools

from .findings import Finding, fail, ok, warn

PROC = Path("/proc")
WARN_FREE, FAIL_FREE = 0.15, 0.05
CLOCK_SECONDS = 5
LEAST_BACKLOG, LEAST_FILES = 4_096, 16_384
SERVERS = ("nginx", "granian")


def examine() -> Iterator[Finding]:
    yield from disks()
    yield from memory()
    yield from kernel()


def of_the_clock() -> Finding:
    ahead = clock.seconds_ahead()
    said = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    advice = "Run timedatectl set-ntp true on both machines, and look at timedatectl."
    if abs(ahead) > clock.TOLERANCE_SECONDS:
        return fail("clock", f"{said}: workers delete and publish nothing here", advice)
    return warn("clock", said, advice) if abs(ahead) > CLOCK_SECONDS else ok("clock", said)


def disks() -> Iterator[Finding]:
    places = {"PostgreSQL": postgres_tools.disk(), "backups": settings.BACKUP_DIR, "the site": settings.VAR_DIR}
    seen = set()
    for name, place in places.items():
        path = next((each for each in (Path(place), *Path(place).parents) if each.exists()), None) if place else None
        if path is None or path.stat().st_dev in seen:
            continue
        seen.add(path.stat().st_dev)
        usage = shutil.disk_usage(path)
        share = usage.free / usage.total
        said = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.0f} ({share:.0%})"
        advice = "Make room: nobody can sign on a full disk. docs/operations.md says what grows."
        judge = fail if share < FAIL_FREE else warn if share < WARN_FREE else None
        yield judge(f"disk of {name}", said, advice) if judge else ok(f"disk of {name}", said)


def memory() -> Iterator[Finding]:
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read("meminfo"), re.MULTILINE))
    if "MemAvailable" in found:
        available, total = int(found["MemAvailable"]), int(found["MemTotal"])
        said = f"{available / 1e6:.1f} GB available of {total / 1e6:.1f}"
        if available < total / 10:
            yield warn("memory", said, "The kernel may kill a server soon: look at what uses it, or get more.")
        else:
            yield ok("memory", said)
    overcommit = _read("sys/vm/overcommit_memory").strip()
    if overcommit == "1" and "Postgres" in settings.CACHES["default"]["BACKEND"]:
        yield warn(
            "memory overcommit",
            "vm.overcommit_memory is 1: instead of being refused memory, PostgreSQL is killed",
            "sysctl -w vm.overcommit_memory=2, or 0; only Redis asks for 1.",
        )
    elif overcommit:
        yield ok("memory overcommit", f"vm.overcommit_memory is {overcommit}")


def kernel() -> Iterator[Finding]:
    if backlog := _read("sys/net/core/somaxconn").strip():
        said = f"net.core.somaxconn is {backlog}"
        if int(backlog) < LEAST_BACKLOG:
            advice = f"sysctl -w net.core.somaxconn={LEAST_BACKLOG}: what does not fit is a connection that hangs."
            yield warn("connections that wait", said, advice)
        else:
            yield ok("connections that wait", said)
    for name, files in sorted(open_files().items()):
        said = f"{name} may have {files} at a time"
        if files < LEAST_FILES:
            advice = f"LimitNOFILE={LEAST_FILES} in its unit; for nginx worker_rlimit_nofile in nginx.conf."
            yield warn("open files", said, advice)
        else:
            yield ok("open files", said)


def open_files() -> dict[str, int]:
    """How many files the servers that run here may have open, the least of each name."""
    found: dict[str, int] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            if name in SERVERS and (limit := re.search(r"Max open files\s+(\d+)", (folder / "limits").read_text())):
                found[name] = min(int(limit[1]), found.get(name, int(limit[1])))
        except OSError:
            continue
    return found


def _read(name: str) -> str:
    """A file of the kernel; empty on a system that has none."""
    path = PROC / name
    return path.read_text() if os.access(path, os.R_OK) else ""
