"""`make spike`: the busiest afternoon, simulated on one machine.

nginx, app, two workers, PostgreSQL and a mail server take 2,000 full journeys a minute while 10,000 polls and page
views a second come in. `--raise` then multiplies the journeys step by step, to see what gives way first.
"""

# ruff: noqa: T201, talking is what this program is for
import argparse
import asyncio
import json
import os
import re
import resource
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import environment, load
from bench.journeys import TURNED_AWAY, Crowd, Diary
from bench.sink import Sink
from tests.support import nginx

JOURNEYS_PER_MINUTE = 2_000
WATCHERS_PER_SECOND = 10_000
WATCHING_CONNECTIONS = 64
STEPS = (1, 2, 3, 4, 6, 8, 10)
QUIET_SECONDS = 10


@dataclass
class Step:
    """One rate of signing, and what came of it. Times are seconds at p50, p95 and p99; processor time is in cores.

    `told` is how many people saw their confirmation taken, `counted` by how many the number grew meanwhile: more, when
    the answer came too late for somebody.
    """

    times: float
    journeys: int
    finished: int
    seconds: dict[str, list[float]]
    errors: dict[str, int]
    watched_per_second: float
    watch_errors: int
    watch_seconds: list[float]
    cores: dict[str, float]
    counted: int = 0
    told: int = 0
    ages: dict[str, float] = field(default_factory=dict)
    unsent: int = 0

    def complaints(self) -> list[str]:
        """Targets that this step missed, in words."""
        found = [f"{number} x {name}" for name, number in self.errors.items()]
        if self.watch_errors:
            found.append(f"{self.watch_errors} watchers got an error")
        if self.watched_per_second < 0.95 * WATCHERS_PER_SECOND:
            found.append(f"{self.watched_per_second:,.0f} instead of {WATCHERS_PER_SECOND:,} views a second")
        for name, value, most in (
            ("mail p95", self.seconds.get("mail", [0, 0, 0])[1], 5),
            ("sign p99", self.seconds.get("sign", [0, 0, 0])[2], 2),
            ("being told to try again p99", self.seconds.get(TURNED_AWAY, [0, 0, 0])[2], 2),
            ("oldest number", max(self.ages.values(), default=0), 10),
        ):
            if value > most:
                found.append(f"{name} {value:.1f} s, more than {most} s")
        if self.counted < self.told:
            found.append(f"{self.told:,} people were told that they are counted, {self.counted:,} are")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="make spike", description="Simulate an afternoon; write var/spike.json.")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--times", type=int, default=1, choices=STEPS, help="so many times as many journeys")
    parser.add_argument("--raise", dest="higher", action="store_true", help="one step after the other, up to ten times")
    parser.add_argument("--rows", type=int, default=0, help="how many signatures there are before")
    chosen = parser.parse_args()
    if missing := "wrk is not installed" if load.WRK is None else nginx.MISSING:
        raise SystemExit(f"The spike needs wrk and nginx: {missing}.")
    with environment.running():
        run(60 * chosen.minutes, STEPS if chosen.higher else (chosen.times,), chosen.rows)


def run(seconds: float, steps: tuple[int, ...], rows: int) -> None:
    from petition.counts import tally

    database = environment.prepare(rows)
    mail_port = environment.free_port()
    mail = environment.worker_keys() | {"EMAIL_URL": f"smtp://127.0.0.1:{mail_port}"}
    done: list[Step] = []
    with ExitStack() as running:
        app = running.enter_context(environment.web(database))
        front, _files = running.enter_context(environment.cache(app))
        parts = {"nginx": front.pid, "app": app.pid, "postgresql": environment.postgres_pid()}
        for name in ("worker 1", "worker 2"):
            worker = running.enter_context(environment.process(name, "manage.py", "worker", database=database, **mail))
            parts[name] = worker.pid
        for times in steps:
            before = confirmed_here()
            step, diary = asyncio.run(
                one_step(times, seconds if times == 1 else min(seconds, 60), parts, front, mail_port)
            )
            step.counted, step.told = confirmed_here() - before, len(diary.counted_at)
            step.ages = {where: max(diary.ages(where, before), default=0) for where in diary.shown}
            ((step.unsent,),) = environment.sql(database, "SELECT count(*) FROM petition_outgoingmail")
            done.append(step)
            show(step)
            if step.told != step.journeys:
                time.sleep(QUIET_SECONDS)  # what is left of this step must not weigh on the next
    found = tally.recount()
    print(f"\nRecounted {found.counted:,} signatures: {found.difference} were missing from the count.")
    result = {"machine": environment.machine(), "steps": [asdict(step) for step in done], "recount": asdict(found)}
    (environment.VAR.parent / "spike.json").write_text(json.dumps(result, indent=1))
    environment.clear(database)
    if found.difference or found.hours or found.days:
        raise SystemExit("The count was not exact.")


def confirmed_here() -> int:
    from petition.counts import tally

    count = tally.exact("chechnya")
    return count.confirmed_here if count else 0


async def one_step(
    times: float, seconds: float, parts: dict[str, int], front: environment.Process, mail_port: int
) -> tuple[Step, Diary]:
    crowd = Crowd(front.port)
    server = await Sink(crowd.take_mail).serve(mail_port)
    used, begun = processor_seconds(parts), time.monotonic()
    watchers = await asyncio.create_subprocess_exec(
        *(str(load.WRK), "--threads", str(load.THREADS), "--connections", str(WATCHING_CONNECTIONS)),
        *("--duration", f"{seconds:.0f}s", "--timeout", "10s", "--script", str(load.HERE / "lua" / "watch.lua")),
        *(front.url, "--", str(WATCHERS_PER_SECOND / load.THREADS)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.look(begun + seconds))
        people = tasks.create_task(crowd.come(times * JOURNEYS_PER_MINUTE, seconds))
        watched, _nothing = await watchers.communicate()
        lasted = time.monotonic() - begun
        cores = {name: (seconds - used[name]) / lasted for name, seconds in processor_seconds(parts).items()}
        await people
    # What is sent after everybody has gone is late, but it is not lost.
    server.close()
    load_of_watchers = load.read_wrk(watched.decode())
    percentiles = re.search(r"percentiles (\S+) (\S+) (\S+)", watched.decode())
    diary = crowd.diary
    step = Step(
        times=times,
        journeys=diary.started,
        finished=diary.finished,
        seconds={name: [percentile(values, p) for p in (50, 95, 99)] for name, values in diary.seconds.items()},
        errors=dict(diary.errors),
        watched_per_second=load_of_watchers.per_second,
        watch_errors=load_of_watchers.refused + load_of_watchers.broken,
        watch_seconds=[float(value) for value in percentiles.groups()] if percentiles else [],
        cores=cores,
    )
    return step, diary


def processor_seconds(parts: dict[str, int]) -> dict[str, float]:
    """Processor time of each part so far, the load itself included, and what nobody has used."""
    idle, waiting_for_disk = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[4:6])
    return {name: environment.cpu_seconds(pid) for name, pid in parts.items()} | {
        "people": time.process_time(),
        "watchers": resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        + resource.getrusage(resource.RUSAGE_CHILDREN).ru_stime,
        "left over": (idle + waiting_for_disk) / os.sysconf("SC_CLK_TCK"),
    }


def percentile(values: list[float], p: int) -> float:
    """The value that p percent are not above; 0 if there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) * p // 100, len(ordered) - 1)] if ordered else 0.0


def show(step: Step) -> None:
    print(
        f"\n{step.times} x {JOURNEYS_PER_MINUTE:,} journeys a minute: {step.finished:,} of {step.journeys:,} finished"
    )
    print("\n| step | p50 ms | p95 ms | p99 ms |\n| --- | ---: | ---: | ---: |")
    for name, values in (step.seconds | {f"watching, {step.watched_per_second:,.0f}/s": step.watch_seconds}).items():
        print(f"| {name} | " + " | ".join(f"{1000 * value:,.0f}" for value in values) + " |")
    print("\noldest number shown: " + ", ".join(f"{where} {age:.1f} s" for where, age in step.ages.items()))
    print("cores: " + ", ".join(f"{name} {used:.2f}" for name, used in step.cores.items()))
    lasted = step.journeys * 60 / (step.times * JOURNEYS_PER_MINUTE)
    milliseconds = {name: 1000 * used * lasted / max(step.finished, 1) for name, used in step.cores.items()}
    print(
        "milliseconds of a core for each journey: " + ", ".join(f"{name} {ms:.1f}" for name, ms in milliseconds.items())
    )
    print(f"counted {step.counted:,}, told so {step.told:,}; mails left {step.unsent:,}")
    print("gave way: " + ("; ".join(step.complaints()) or "nothing"), flush=True)


if __name__ == "__main__":
    main()
