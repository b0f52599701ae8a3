"""The rooms stand in one order: none imports from a higher one. `pyproject.toml` says which is where."""

import subprocess
import sys
from pathlib import Path

from tests.support.server import PROJECT


def test_no_room_imports_from_a_higher_one():
    # In a process of its own, since it sets up logging anew.
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=PROJECT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout
