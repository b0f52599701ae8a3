"""The program with which organisers make their key and open the list: one file, Python and PyNaCl, no server."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from nacl.public import PrivateKey, SealedBox

from petition import offline_key
from petition.checks.configuration import mailing_list_key

PROGRAM = Path(settings.BASE_DIR) / "petition/offline_key.py"
PASSPHRASE = "correct horse battery"
SITE = "https://petition.example.org"


def run(folder, *arguments, typed=(PASSPHRASE,)):
    """As on the computer of an organiser: far from the project and its settings."""
    copy = folder / "offline_key.py"
    copy.write_bytes(PROGRAM.read_bytes())
    return subprocess.run(
        [sys.executable, copy, *map(str, arguments)],
        cwd=folder,
        input="".join(f"{line}\n" for line in typed),
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def pair():
    return PrivateKey.generate()


def exported(pair, *subscribers, site=SITE):
    about = json.dumps({"key": offline_key.fingerprint(pair.public_key), "site": site})
    return [about, *(offline_key.as_text(offline_key.Subscriber(*each).seal(pair.public_key)) for each in subscribers)]


def subscriber(address, token="t" * 22, language="en"):
    return address, token, language, 1


def test_an_organiser_makes_a_key_opens_a_list_and_finds_who_has_left(tmp_path):
    made = run(tmp_path, "make-list", "list.key", typed=[PASSPHRASE] * 2)
    public = offline_key.public_half(re.search(r"MAILING_LIST_KEY=(\S+)", made.stdout)[1])
    assert f"Its fingerprint: {offline_key.in_fours(offline_key.fingerprint(public))}" in made.stdout
    assert (tmp_path / "list.key").stat().st_mode & 0o777 == 0o600
    boxes = [
        offline_key.as_text(offline_key.Subscriber(*subscriber(f"{name}@example.org", name[0] * 22, "ru")).seal(public))
        for name in ("anna", "boris")
    ]
    about = json.dumps({"key": offline_key.fingerprint(public), "site": SITE})
    (tmp_path / "old.sealed").write_text("\n".join([about, *boxes]))
    (tmp_path / "new.sealed").write_text("\n".join([about, boxes[1]]))

    for name in ("old", "new"):
        opened = run(tmp_path, "open", "list.key", f"{name}.sealed", f"{name}.csv")
        assert opened.returncode == 0, opened.stderr
    left = run(tmp_path, "left", "old.csv", "new.csv", "left.csv")

    assert "1 addresses are in new.csv" in opened.stdout
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader((tmp_path / "old.csv").open(newline="")))
    assert [row["email"] for row in rows] == ["anna@example.org", "boris@example.org"]
    assert rows[0]["leave"] == f"{SITE}/ru/unsubscribe/{'a' * 22}/"
    # listmonk reads these three columns and no other; Mailtrain asks which column is which field.
    assert json.loads(rows[0]["attributes"])["leave"] == rows[0]["leave"]
    assert list(rows[0])[:3] == ["email", "name", "attributes"]
    assert left.stdout == "1 addresses have left the list; they are in left.csv.\n"
    assert (tmp_path / "left.csv").read_text().split() == ['"email"', '"anna@example.org"']


def test_a_wrong_passphrase_and_another_key_open_nothing(tmp_path, pair):
    run(tmp_path, "make-list", "list.key", typed=[PASSPHRASE] * 2)
    (tmp_path / "export").write_text("\n".join(exported(pair, subscriber("anna@example.org"))))

    wrong = run(tmp_path, "open", "list.key", "export", "new.csv", typed=["another passphrase"])
    other = run(tmp_path, "open", "list.key", "export", "new.csv")

    assert wrong.stderr == "This is not the passphrase.\n"
    assert "sealed to another key" in other.stderr
    assert offline_key.in_fours(offline_key.fingerprint(pair.public_key)) in other.stderr
    assert not (tmp_path / "new.csv").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "list.key").write_text("old")

    made = run(tmp_path, "make-list", "list.key", typed=[PASSPHRASE] * 2)

    assert "File exists" in made.stderr
    assert (tmp_path / "list.key").read_text() == "old"


def test_an_address_in_several_boxes_has_one_line_and_leaves_with_all_of_them(pair):
    lines = exported(pair, subscriber("Anna@example.org", "a" * 22), subscriber("anna@example.org", "b" * 22, "ru"))

    (row,) = offline_key.open_list(pair, lines).rows()

    assert row[4] == f"{SITE}/ru/unsubscribe/{'a' * 22}.{'b' * 22}/"


@pytest.mark.parametrize("address", ["=cmd|'/calc'!A0@example.org", "-1@example.org", "+1@example.org"])
def test_no_line_is_a_formula_on_the_computer_that_has_the_key(pair, address):
    opened = offline_key.open_list(pair, exported(pair, subscriber(address), subscriber("anna@example.org")))

    assert [row[0] for row in opened.rows()] == ["anna@example.org"]
    assert opened.formulas == 1


@pytest.mark.parametrize(
    "text",
    [
        b"anna@example.org",
        b"anna@example.org\nshort\nen\n1",
        b"anna@example.org, eve@example.org\n" + b"t" * 22 + b"\nen\n1",
        b'anna@example.org"\n' + b"t" * 22 + b"\nen\n1",
        b"anna@example.org\n" + b"t" * 22 + b"\n../en\n1",
        b"\xff\xfe",
        b"",
    ],
)
def test_whoever_takes_over_the_server_seals_no_more_than_addresses(pair, text):
    lines = [*exported(pair), offline_key.as_text(SealedBox(pair.public_key).encrypt(text)), "no box"]

    opened = offline_key.open_list(pair, lines)

    assert (list(opened.rows()), opened.unreadable) == ([], 2)


@pytest.mark.parametrize("site", ["=HYPERLINK(1)", "javascript:x", 'https://x"', ""])
def test_links_to_leave_lead_to_a_site(pair, site):
    with pytest.raises(offline_key.OfflineKeyError, match="where one leaves"):
        offline_key.open_list(pair, exported(pair, site=site))


@pytest.mark.parametrize("lines", [[], ["{}"], ["[]"], ["%PDF"]])
def test_another_file_is_no_list(pair, lines):
    with pytest.raises(offline_key.OfflineKeyError, match="no exported mailing list"):
        offline_key.open_list(pair, lines)


# On a server.


def test_manage_py_makes_no_key_on_a_server(tmp_path, settings):
    settings.LOCAL = False

    with pytest.raises(CommandError, match=r"offline_key\.py make-list"):
        call_command("make_mailing_list_key", str(tmp_path / "list.key"))

    assert not list(tmp_path.iterdir())


def test_manage_py_makes_one_elsewhere(tmp_path, settings, monkeypatch, capsys):
    settings.LOCAL = True
    monkeypatch.setattr(offline_key, "ask", lambda what: PASSPHRASE)
    monkeypatch.setattr(offline_key, "OPERATIONS", offline_key.KDF.OPSLIMIT_MIN)
    monkeypatch.setattr(offline_key, "MEMORY", offline_key.KDF.MEMLIMIT_MIN)

    call_command("make_mailing_list_key", str(tmp_path / "list.key"))

    secret = offline_key.read((tmp_path / "list.key").read_text(), PASSPHRASE)
    assert offline_key.as_text(bytes(secret.public_key)) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "backup_key", "expected"),
    [("", "", []), ("x", "", ["petition.E072"]), ("same", "same", ["petition.W071"]), ("same", "", [])],
)
def test_a_wrong_key_stops_the_start(settings, pair, key, backup_key, expected):
    public = offline_key.as_text(bytes(pair.public_key))
    settings.MAILING_LIST_KEY, settings.BACKUP_KEY = key.replace("same", public), backup_key.replace("same", public)

    assert [message.id for message in mailing_list_key(None)] == expected
