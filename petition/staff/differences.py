"""Differences between two texts, by lines and within them by words."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

WORDS = re.compile(r"\s+|\S+")
# Of what is alike on both sides, so many lines are shown around a change.
AROUND = 2
GAP = "\n…\n"


class Piece(NamedTuple):
    """A part of both texts; of one of them, if it is `old` or `new`."""

    kind: str
    text: str


def between(old: str, new: str) -> list[Piece]:
    """The pieces that make up both texts, without long stretches that are alike."""
    return list(by_lines(old.splitlines(keepends=True), new.splitlines(keepends=True)))


def by_lines(old: list[str], new: list[str]) -> Iterator[Piece]:
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = old[start:end], new[new_start:new_end]
        if tag == "equal":
            short = "".join(before[:AROUND]) + GAP + "".join(before[-AROUND:])
            yield Piece("both", short if len(before) > 2 * AROUND + 1 else "".join(before))
        else:
            yield from by_words(WORDS.findall("".join(before)), WORDS.findall("".join(after)))


def by_words(old: list[str], new: list[str]) -> Iterator[Piece]:
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            yield Piece("both", "".join(old[start:end]))
            continue
        if start < end:
            yield Piece("old", "".join(old[start:end]))
        if new_start < new_end:
            yield Piece("new", "".join(new[new_start:new_end]))
