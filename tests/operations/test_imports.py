"""The rooms stand in one order: none imports from a higher one. `pyproject.toml` says which is where."""

from importlinter import cli


def test_no_room_imports_from_a_higher_one(capsys):
    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS, capsys.readouterr().out
