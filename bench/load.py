"""The load generators, wrk for HTTP and pgbench for SQL, and reading what they print."""

# ruff: noqa: S603, every command here is our own
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from config.local import postgres

HERE = Path(__file__).resolve().parent
WRK = shutil.which("wrk")
THREADS = 2
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


class LoadError(Exception):
    """The load was answered with errors, or not at all, so its figure would mean nothing."""


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    refused: int = 0
    """Answers of 400 and above."""
    broken: int = 0
    """Connections that failed or timed out."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk(url: str, script: str, *arguments: str, connections: int, seconds: int) -> Load:
    """Load a URL with one of the scripts in lua/. Raises LoadError if any answer was an error."""
    if WRK is None:
        raise LoadError("wrk is not installed (Debian's package is called wrk).")
    command = [
        *(WRK, "--threads", str(THREADS), "--connections", str(connections), "--duration", f"{seconds}s"),
        *("--timeout", "10s", "--script", str(HERE / "lua" / script), url, "--", *arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"wrk failed: {done.stdout}{done.stderr}")
    load = read_wrk(done.stdout)
    if not load.requests:
        raise LoadError(f"Nothing was answered within {seconds} s at {url}: is the machine busy?")
    if load.refused or load.broken:
        raise LoadError(f"{load.refused} answers were errors and {load.broken} connections failed at {url}")
    return load


def read_wrk(printed: str) -> Load:
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", printed)
    if total is None:
        raise LoadError(f"wrk said: {printed}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    return Load(
        requests=int(total[1]),
        seconds=float(total[2]) * SECONDS[total[3]],
        refused=int(refused[1]) if refused else 0,
        broken=sum(map(int, broken.groups())) if broken else 0,
    )


def pgbench(database_url: str, script: str, *options: str, clients: int) -> float:
    """Transactions per second. `options` say how long, with -T seconds or -t transactions for each client."""
    command = [
        *(postgres.binary("pgbench"), "--no-vacuum", "--client", str(clients), "--jobs", str(THREADS)),
        *("--file", str(HERE / "sql" / script), *options, database_url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=postgres.environment())
    if done.returncode:
        raise LoadError(f"pgbench failed: {done.stderr}")
    return read_pgbench(done.stdout)


def read_pgbench(printed: str) -> float:
    tps = re.search(r"^tps = ([\d.]+)", printed, re.MULTILINE)
    failed = re.search(r"number of failed transactions: (\d+)", printed)
    if tps is None or (failed and int(failed[1])):
        raise LoadError(f"pgbench said: {printed}")
    return float(tps[1])
