"""Amounts of what is measured, and measuring in turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.report import Figure

Lane = Callable[[int], float]
"""One measurement, of so many seconds."""


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Plan:
    """`rows` are numbers of signatures; the most of them is compared with an empty table."""

    rows: tuple[int, ...] = (0, 1_000_000, 10_000_000)
    connections: tuple[int, ...] = (16, 64)
    seconds: int = 4
    repeats: int = 3
    warm_up: int = 1
    mails: int = 3_000
    updates: int = 16_000

    def in_turns(self, lanes: dict[str, Lane], unit: str = "/s") -> dict[str, Figure]:
        """Measure each lane several times, alternating, so that they share the noise of the machine."""
        if self.warm_up:
            for lane in lanes.values():
                lane(self.warm_up)
        values: dict[str, list[float]] = {name: [] for name in lanes}
        for _repeat in range(self.repeats):
            for name, lane in lanes.items():
                values[name].append(lane(self.seconds))
        return {name: Figure(tuple(measured), unit) for name, measured in values.items()}


QUICK = Plan(rows=(20_000,), connections=(16,), seconds=1, repeats=1, warm_up=0, mails=300, updates=1_600)
