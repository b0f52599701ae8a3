"""`make release`: what is published can be made again by anyone, and holds what was committed."""

import subprocess
import tarfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="not a clone")


def clone(folder):
    """A clone in which the tool that lists packages lists nothing: to install it takes the network."""
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder], check=True)
    tools = folder / "var" / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "python").write_text('#!/bin/sh\necho "{}" > "$(echo "$*" | sed "s/.*--output-file //; s/ .*//")"\n')
    (tools / "python").chmod(0o755)
    return folder


def release(folder):
    return subprocess.run(["make", "release"], cwd=folder, capture_output=True, text=True)


def test_two_clones_give_the_same_bytes(tmp_path):
    sums = []
    for name, umask in (("one", 0o022), ("another", 0o077)):
        folder = clone(tmp_path / name)
        done = subprocess.run(["make", "release"], cwd=folder, capture_output=True, text=True, umask=umask)
        assert done.returncode == 0, done.stderr
        sums.append((folder / "var/release/SHA256SUMS").read_text())

    assert sums[0] == sums[1]
    assert ".tar.gz" in sums[0]
    assert ".cdx.json" in sums[0]


def test_the_archive_holds_what_was_committed_below_one_folder(tmp_path):
    folder = clone(tmp_path / "clone")
    assert release(folder).returncode == 0
    committed = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True, check=True).stdout

    (archive,) = (folder / "var" / "release").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        files = [member.name for member in tar.getmembers() if not member.isdir()]

    top = archive.name.removesuffix(".tar.gz")
    assert sorted(files) == sorted(f"{top}/{name}" for name in committed.splitlines())


def test_a_release_of_what_is_not_committed_is_refused(tmp_path):
    folder = clone(tmp_path / "clone")
    (folder / "README.md").write_text("changed")

    done = release(folder)

    assert done.returncode != 0
    assert "commit it first" in done.stdout
    assert not (folder / "var" / "release").exists()
