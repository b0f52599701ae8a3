"""`make soak`: everything that changes the count at once, on many connections, while it is proven to stay exact.

Processes with threads sign, confirm, withdraw, moderate, purge and fold on one database (`bench.actions`). Meanwhile
one connection compares the rows with all that is shown, one snapshot after the other (`bench.invariants`), and another
recounts.
"""

# ruff: noqa: S603, T201, every command here is our own, and talking is what this program is for
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import django

from config.local import postgres
from config.local.run import PROJECT

CONNECTIONS = 64
PROCESSES = 4
# A process that is slower than that hangs.
OPERATIONS_PER_SECOND = 25
START_SECONDS = 120
ERRORS_SHOWN = 10
# The few addresses get mail again and again, and a network is soon so busy that its signatures are held.
LIMITS = {"MAILS_PER_ADDRESS": "0/d", "HOLD_PER_NETWORK": "20/h"}


@dataclass
class Soaked:
    """The result: actions done and signatures changed by name, errors, and mistakes, times the count was not exact."""

    seconds: float = 0
    done: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    probes: int = 0
    recounts: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)

    def add(self, part: dict[str, Any]) -> None:
        self.seconds = max(self.seconds, part.pop("seconds"))
        for name, value in part.items():
            if isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    @property
    def deadlocks(self) -> int:
        return sum(number for error, number in self.errors.items() if "deadlock detected" in error)

    @property
    def is_exact(self) -> bool:
        return not self.errors and not self.mistakes

    def text(self) -> str:
        operations = sum(self.done.values())
        lines = [
            f"{operations:,} operations in {self.seconds:.0f} seconds, {operations / self.seconds:,.0f} a second.",
            "",
            "| operation | number | a second | changed |",
            "| --- | ---: | ---: | ---: |",
        ]
        for name, number in self.done.most_common():
            lines.append(f"| {name} | {number:,} | {number / self.seconds:,.1f} | {self.changed[name]:,} |")
        lines += [
            "",
            f"{self.probes:,} probes, {self.recounts:,} recounts, {self.deadlocks} deadlocks,"
            f" {sum(self.errors.values()) - self.deadlocks} other errors,"
            f" {sum(self.mistakes.values())} times the count was not exact.",
        ]
        for found in (self.mistakes, self.errors):
            lines += [f"{number} x {what}" for what, number in found.most_common(ERRORS_SHOWN)]
        return "\n".join(lines)


def soak(seconds: float, operations: int, environment: Mapping[str, str], connections: int = CONNECTIONS) -> Soaked:
    """Do it for so long, and at least so often, on a database that holds one petition and nothing else."""
    soaked, processes = Soaked(), min(PROCESSES, connections)
    patience = START_SECONDS + max(seconds, operations / OPERATIONS_PER_SECOND)
    writers = [
        _start(environment, "write", connections // processes, seconds, operations // processes, seed)
        for seed in range(processes)
    ]
    watcher = _start(environment, "watch")
    try:
        with ThreadPoolExecutor(processes) as reading:
            for part in reading.map(lambda writer: _finish(writer, patience), writers):
                soaked.add(part)
        # What failed half-way has told nobody what it did.
        soaked.add(_finish(watcher, patience, json.dumps({} if soaked.errors else soaked.changed)))
    finally:
        for process in (*writers, watcher):
            process.kill()
            process.wait()
    return soaked


def _finish(process: subprocess.Popen[str], patience: float, told: str = "") -> dict[str, Any]:
    said, _nothing = process.communicate(told, timeout=patience)
    if process.returncode:
        raise RuntimeError("A part of the soak has ended with an error.")
    part: dict[str, Any] = json.loads(said)
    return part


def _start(environment: Mapping[str, str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.soak", *map(str, arguments)],
        cwd=PROJECT,
        env={**environment, **LIMITS, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(postgres.end_with, os.getpid(), signal.SIGKILL),
    )


def write(connections: int, seconds: float, operations: int, seed: int) -> Soaked:
    """One action after the other on each connection of this process."""
    from bench.actions import WEIGHTS, Actions, prepare

    prepare()
    soaked, lock, started = Soaked(), threading.Lock(), time.monotonic()
    weights = [weight for weight, _action in WEIGHTS.values()]

    def go_on(number: int) -> None:
        actions, chance = Actions(f"{seed}.{number}"), Random(f"{seed}.{number}")  # noqa: S311, as there
        while time.monotonic() < started + seconds or sum(soaked.done.values()) < operations:
            (name,) = chance.choices(list(WEIGHTS), weights)
            changed = _noting_errors(soaked, name, partial(WEIGHTS[name][1], actions))
            with lock:
                soaked.done[name] += changed is not None
                soaked.changed[name] += changed or 0

    _in_threads([partial(go_on, number) for number in range(connections)])
    soaked.seconds = time.monotonic() - started
    return soaked


def watch() -> Soaked:
    """Prove that the count is exact until all is written, and then that it is what people were told."""
    from bench import invariants
    from bench.actions import TOLD
    from petition.counts import tally

    soaked, done = Soaked(), threading.Event()

    def probe() -> None:
        with tally.snapshot():
            soaked.mistakes.update(invariants.mistakes())
        soaked.probes += 1

    def recount() -> None:
        found = tally.recount()
        if found.difference or found.hours or found.days:
            soaked.mistakes[f"recount found {found}"] += 1
        soaked.recounts += 1

    def repeat(name: str, work: Callable[[], None], pause: float) -> None:
        while not done.wait(pause):
            _noting_errors(soaked, name, work)

    watching = [partial(repeat, "probe", probe, 0.02), partial(repeat, "recount", recount, 0.2)]
    with ThreadPoolExecutor(1) as waiting:
        told = waiting.submit(sys.stdin.read)
        told.add_done_callback(lambda told: done.set())
        _in_threads(watching)
    while tally.fold():
        pass
    for check in (recount, probe):
        check()
    series = invariants.kept()
    for measure, names in TOLD.items() if (changed := json.loads(told.result() or "{}")) else ():
        if (happened := series.total(measure)) != (heard := sum(changed.get(name, 0) for name in names)):
            soaked.mistakes[f"{heard} times somebody was told that it was {measure}, and it was {happened} times"] += 1
    return soaked


def _noting_errors(soaked: Soaked, name: str, work: Callable[[], int | None]) -> int | None:
    """The value of `work`, or None when it fails, which is noted; the next one then has a new connection."""
    from django.db import connection

    try:
        return work()
    except Exception as error:  # noqa: BLE001, whatever goes wrong is what we look for
        connection.close()
        where = traceback.extract_tb(error.__traceback__)
        place = next((f"{step.name}:{step.lineno}" for step in reversed(where) if "/petition/" in step.filename), "")
        # Numbers of processes and rows differ each time.
        soaked.errors[re.sub(r"\d+", "N", f"{name} at {place}: {type(error).__name__}: {error}")] += 1
        return None


def _in_threads(works: Sequence[Callable[[], None]]) -> None:
    from django.db import connections

    def work(one: Callable[[], None]) -> None:
        try:
            one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work, one) for one in works]:
            done.result()


def main() -> None:
    match sys.argv[1:]:
        case ["write", connections, seconds, operations, seed]:
            django.setup()
            print(json.dumps(vars(write(int(connections), float(seconds), int(operations), int(seed)))))
        case ["watch"]:
            django.setup()
            print(json.dumps(vars(watch())))
        case _:
            run()


def run() -> None:
    from bench import environment

    parser = argparse.ArgumentParser(prog="make soak", description="Prove the count under load; write var/soak.json.")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--operations", type=int, default=100_000, help="go on until so many are done")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    chosen = parser.parse_args()
    with environment.running():
        database = environment.prepare(0)
        soaked = soak(
            60 * chosen.minutes,
            chosen.operations,
            environment.variables(database, **environment.worker_keys()),
            chosen.connections,
        )
        print(soaked.text())
        result = {"machine": environment.machine(), **vars(soaked)}
        (environment.VAR.parent / "soak.json").write_text(json.dumps(result, indent=1))
        environment.clear(database)
    if not soaked.is_exact:
        raise SystemExit("Something went wrong.")


if __name__ == "__main__":
    main()
