"""Text layout on pictures: the letters our fonts have, line breaks, and the largest size that fits a box."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont, features

from petition.validators import JOINERS, is_mark

FONTS = Path(__file__).resolve().parent / "fonts"

LEADING = 1.16  # from one baseline to the next, as a multiple of the size; more where accents need it

# Characters that programs leave in texts and nobody sees: they turn the direction of writing, join words, or choose
# the look of a sign. The direction of a text follows from its letters.
INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
LINE_ENDS = re.compile("\r\n|[\r\n\v\f\x85\u2028\u2029]")
HARD_SPACES = re.compile("[\u2007\u202f]")
SPACES = re.compile("[ \t\u1680\u2000-\u200a\u205f\u3000]+")


def tidy(text: str) -> str:
    """The text without invisible characters, surplus spaces and empty lines, its lines separated by "\\n"."""
    visible = INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    lines = [SPACES.sub(" ", HARD_SPACES.sub("\u00a0", line)).strip() for line in LINE_ENDS.split(visible)]
    return "\n".join(line for line in lines if line)


@cache
def alphabet() -> frozenset[str]:
    """Characters that the fonts have: Latin, Cyrillic, Greek, Arabic, Hebrew, digits and punctuation."""
    ranges = [line.split("-") for line in (FONTS / "alphabet.txt").read_text().split()]
    return frozenset(chr(number) for first, last in ranges for number in range(int(first, 16), int(last, 16) + 1))


def unknown(text: str) -> str | None:
    """The first character of a tidy text that the fonts lack; None if they have all of them."""
    return next((letter for letter in text if letter != "\n" and letter not in alphabet()), None)


def can_shape() -> bool:
    """Whether Pillow can write Arabic and Hebrew, for which it needs the library FriBiDi."""
    return bool(features.check("raqm"))


def is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left, which is the rule of Unicode."""
    return next(
        (kind in ("R", "AL") for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False
    )


def has_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in text)


@lru_cache(maxsize=128)
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Font in one size. Two threads must not use it at once: callers draw one at a time."""
    engine = ImageFont.Layout.RAQM if can_shape() else ImageFont.Layout.BASIC
    return ImageFont.truetype(FONTS / f"{name}.ttf", size, layout_engine=engine)


def direction(text: str) -> str | None:
    return None if not can_shape() else "rtl" if is_right_to_left(text) else "ltr"


@dataclass(frozen=True)
class Line:
    text: str
    direction: str | None
    left: int
    top: int
    right: int
    bottom: int
    baseline: int = 0

    @property
    def width(self) -> int:
        return self.right - self.left


@dataclass(frozen=True)
class Block:
    """Lines in one size. Width and height are those of the ink, accents and slanted strokes included."""

    font: ImageFont.FreeTypeFont
    lines: tuple[Line, ...]

    @property
    def width(self) -> int:
        return max(line.width for line in self.lines)

    @property
    def height(self) -> int:
        return self.lines[-1].baseline + self.lines[-1].bottom

    def draw(self, canvas: ImageDraw.ImageDraw, x: int, y: int, width: int, fill: int | tuple[int, int, int]) -> None:
        """Draw each line from x, or if it runs from right to left, so that it ends at x + width."""
        for line in self.lines:
            start = x + width - line.right if line.direction == "rtl" else x - line.left
            canvas.text(
                (start, y + line.baseline),
                line.text,
                fill=fill,
                font=self.font,
                anchor="ls",
                direction=line.direction,
            )


def fit(words: str, name: str, width: int, height: int, sizes: Iterable[int], readable: int = 0) -> Block:
    """The words in the largest of `sizes` that fits the box.

    Words are broken only if the text would have to be smaller than `readable` otherwise, and line breaks are given up
    only if it does not fit with them at the smallest size.
    """
    sizes = list(sizes)
    # No line of Russian begins with a dash.
    words = re.sub(r" (?=[—–] )", "\u00a0", words)
    flowing = words.replace("\n", " ")
    tries = [(words, readable, False), (words, 0, True), (flowing, 0, True)]
    for text, smallest, breaks in tries:
        for size in sizes:
            if size >= smallest and (block := set_in(text, font(name, size), width, height, breaks)):
                return balanced(text, block, width, height, breaks)
    raise ValueError("The smallest size is too large for this box.")


def set_in(text: str, face: ImageFont.FreeTypeFont, width: int, height: int, breaks: bool) -> Block | None:
    """Block of lines no wider than `width`; None if it is higher than `height` or a word is too long."""
    lines: list[Line] = []
    for paragraph in text.split("\n"):
        way = direction(paragraph)
        for piece in wrap(paragraph, face, width, way, breaks):
            left, top, right, bottom = face.getbbox(piece, anchor="ls", direction=way)
            line = Line(piece, way, int(left), int(top), int(right), int(bottom))
            lines.append(line)
            if line.width > width or (len(lines) - 1) * face.size * LEADING > height:
                return None
    block = Block(face, stacked(lines, face.size))
    return block if block.height <= height else None


def stacked(lines: list[Line], size: float) -> tuple[Line, ...]:
    """The lines with their baselines, further apart where accents or descenders would touch."""
    placed: list[Line] = []
    for line in lines:
        if placed:
            before = placed[-1]
            room = before.bottom - line.top + round(size * 0.06)
            baseline = before.baseline + max(round(size * LEADING), room)
        else:
            baseline = -line.top
        placed.append(Line(line.text, line.direction, line.left, line.top, line.right, line.bottom, baseline))
    return tuple(placed)


def balanced(text: str, block: Block, width: int, height: int, breaks: bool) -> Block:
    """The text in the narrowest column that keeps the number of lines, so that no last line is a single word."""
    narrow, wide = 0, width
    while wide - narrow > 4:
        middle = (narrow + wide) // 2
        tried = set_in(text, block.font, middle, height, breaks)
        if tried and len(tried.lines) == len(block.lines):
            block, wide = tried, middle
        else:
            narrow = middle
    return block


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int, way: str | None, breaks: bool) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if face.getlength(longer, direction=way) <= width:
            line = longer
            continue
        # A generator, since the caller stops as soon as there are too many lines.
        for piece in pieces(word, face, width, way) if breaks else [word]:
            if line:
                yield line
            line = piece
    yield line


def pieces(word: str, face: ImageFont.FreeTypeFont, width: int, way: str | None) -> Iterator[str]:
    """A word in as few pieces as fit the width. A piece is at least one letter with its accents."""
    rest = list(clusters(word))
    while rest:
        low, high = 1, len(rest)
        while low < high:
            middle = (low + high + 1) // 2
            if face.getlength("".join(rest[:middle]), direction=way) <= width:
                low = middle
            else:
                high = middle - 1
        yield "".join(rest[:low])
        rest = rest[low:]


def clusters(word: str) -> Iterator[str]:
    cluster = ""
    for letter in word:
        if cluster and not (is_mark(letter) or letter in JOINERS):
            yield cluster
            cluster = ""
        cluster += letter
    yield cluster
