import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults import rig
from tests.faults.ledger import Row, table
from tests.support import nginx

ROWS: list[Row] = []


@pytest.fixture(scope="session")
def made_cluster():
    if rig.MISSING:
        pytest.skip(rig.MISSING)
    folder = Path(tempfile.mkdtemp(prefix="petition-faults-"))
    folder.chmod(0o755)
    yield rig.make_cluster(folder / "postgres")
    shutil.rmtree(folder)


@pytest.fixture
def site(made_cluster):
    """A site that is not started: `with site:` does that, after what the test changes."""
    return rig.Site(made_cluster)


@pytest.fixture(scope="module")
def running_site(made_cluster):
    """A site for all tests of a module, each of which leaves it whole."""
    with rig.Site(made_cluster) as running:
        yield running


@pytest.fixture
def note(request):
    """Put a row into the table, whatever comes of the assertions after it; what must hold of every row is asserted."""

    def noted(row: Row) -> Row:
        ROWS.append(row)
        if request.path.name != "test_in_short.py":
            keep(row)
        assert row.lost == 0, row
        assert row.acknowledged, row
        assert not row.seen.get("recount"), row
        return row

    return noted


def keep(row: Row) -> None:
    """Write it to var/faults.json; what was not run now stays there as it was."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=nginx.PROJECT)
    run = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.strip(),
        "load": os.getloadavg()[0],
    }
    file = nginx.PROJECT / "var" / "faults.json"
    rows = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(rows | {row.fault: run | asdict(row)}, indent=1))


def pytest_terminal_summary(terminalreporter):
    if ROWS:
        terminalreporter.write_line("\n" + table(ROWS))
