"""Pictures to share: a hundred tally marks, the last one in orange, with the demand or a supporter's own words.

They are drawn by code. A supporter's words are neither stored nor logged.
"""

import hashlib
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BytesIO
from typing import IO
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import get_language_bidi, npgettext, override, pgettext
from PIL import Image, ImageDraw, ImageOps

from campaign.share import text_layout

HASHTAG = "#100forjustice"
MARKS = 100
SVG_BUNDLES = 4
PREVIEW = "1200x630"
SMALL = 480
DRAWN = 3  # to be raised when pictures change by more than their words

Colour = tuple[int, int, int]
Point = tuple[float, float]

# The colours of static/site.css.
NIGHT = (0x21, 0x1A, 0x16)
PALE = (0xFB, 0xF6, 0xEF)
STONE = (0x8F, 0x7D, 0x6E)
EMBER = (0xFF, 0x8A, 0x66)

FONT = "NotoSerif-Bold"
SIZES = [round(240 * 0.94**step) for step in range(48)]  # of letters, in pixels: 240 to 13
READABLE = 44  # pixels; words are broken only if the text would have to be smaller than this
SHARPNESS = 4  # marks are drawn so many times larger, then reduced to smooth their edges
SHADES = 4  # of each colour; with the ground the palette has thirteen, which keeps the file small


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    columns: int  # how many bundles of five marks stand beside each other
    marks: Box
    hashtag: Box
    words: Box
    sender: Box


@dataclass(frozen=True)
class Format:
    width: int
    height: int
    campaign: Layout
    own: Layout


# Apps lay their buttons over the top and the bottom of the tall format, so nothing stands there.
FORMATS = {
    "1200x630": Format(
        1200,
        630,
        Layout(10, Box(56, 56, 1088, 146), Box(56, 232, 1088, 170), Box(56, 412, 1088, 130), Box(56, 564, 1088, 30)),
        Layout(20, Box(56, 476, 1088, 40), Box(56, 548, 400, 52), Box(56, 54, 1088, 380), Box(500, 560, 644, 30)),
    ),
    "1080x1080": Format(
        1080,
        1080,
        Layout(10, Box(64, 72, 952, 236), Box(64, 356, 952, 180), Box(64, 566, 952, 380), Box(64, 978, 952, 38)),
        Layout(10, Box(64, 788, 952, 128), Box(64, 936, 952, 54), Box(64, 68, 952, 660), Box(64, 1006, 952, 34)),
    ),
    "1080x1920": Format(
        1080,
        1920,
        Layout(5, Box(84, 250, 912, 540), Box(84, 860, 912, 180), Box(84, 1070, 912, 520), Box(84, 1630, 912, 40)),
        Layout(10, Box(84, 1350, 912, 130), Box(84, 1500, 912, 110), Box(84, 250, 912, 1040), Box(84, 1630, 912, 40)),
    ),
}

WAIT_SECONDS = 5.0
# FreeType must not be used by two threads at once, and drawing takes a processor for a fifth of a second.
drawing = threading.Lock()
# One thread draws and one waits. More would let a crowd that wants pictures take every thread of the process.
places = threading.BoundedSemaphore(2)


class BusyError(Exception):
    """Too many pictures are wanted at once; the supporter may try again in a few seconds."""


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for the turn to draw. Raises BusyError if another thread waits already, or after WAIT_SECONDS."""
    if not places.acquire(blocking=False):
        raise BusyError
    try:
        if not drawing.acquire(timeout=WAIT_SECONDS):
            raise BusyError
        try:
            yield
        finally:
            drawing.release()
    finally:
        places.release()


def demand() -> str:
    # Translators: the large words on the picture. A no-break space keeps words together that should not be parted.
    return pgettext("on the picture", "Investigate the crimes against LGBT people in Chechnya")


@cache
def of_campaign(name: str, language: str) -> bytes:
    """Picture with the demand, as PNG in one of FORMATS. It is drawn once in each process and kept."""
    with drawing, override(language):
        return png(draw(FORMATS[name], FORMATS[name].campaign, demand()), optimize=True)


@lru_cache(maxsize=32)
def of_the_day(language: str, number: int, is_lower_bound: bool = False) -> bytes:
    """Picture with the number of the day, as PNG: what messengers show in place of a bare link."""
    size = FORMATS[PREVIEW]
    with drawing, override(language):
        return png(draw(size, size.campaign, demand(), headline=signatures(number, is_lower_bound)), optimize=True)


def signatures(number: int, is_lower_bound: bool = False) -> str:
    # Translators: the large number on the picture of a link.
    said = npgettext("on the picture", "%(number)s signature", "%(number)s signatures", number)
    if is_lower_bound:
        # Translators: the large number on the picture of a link, of which it is only known that there are more.
        said = npgettext("on the picture", "more than %(number)s signature", "more than %(number)s signatures", number)
    return said % {"number": intcomma(number)}


def small(file: IO[bytes]) -> bytes:
    """An uploaded picture as WebP of at most SMALL pixels each way, without what its camera wrote into it."""
    with Image.open(file) as opened:
        turned = ImageOps.exif_transpose(opened)
        turned.thumbnail((SMALL, SMALL))
        bare = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    kept = BytesIO()
    bare.save(kept, "WEBP", quality=80, method=6)
    return kept.getvalue()


def with_words(name: str, words: str) -> bytes:
    """Picture with a supporter's words, which `WordsForm` has checked, as PNG. Raises BusyError."""
    with one_at_a_time():
        return png(draw(FORMATS[name], FORMATS[name].own, words))


def draw(size: Format, layout: Layout, words: str, headline: str = HASHTAG) -> Image.Image:
    picture = Image.new("RGB", (size.width, size.height), NIGHT)
    *others, last = strokes(layout.marks, layout.columns)
    draw_strokes(picture, layout.marks, others, STONE)
    draw_strokes(picture, layout.marks, [last], EMBER)
    write(picture, layout.hashtag, in_one_line(headline, layout.hashtag.width, layout.hashtag.height), EMBER)
    box = layout.words
    write(picture, box, text_layout.fit(words, FONT, box.width, box.height, SIZES, READABLE), PALE)
    box = layout.sender
    write(picture, box, text_layout.fit(sender(), FONT, box.width, box.height, range(36, 8, -1)), PALE)
    return picture


def sender() -> str:
    """The address to type, and whose campaign it is: in a story or a screenshot nothing else leads to the petition."""
    host = urlsplit(settings.SITE_URL).netloc
    # Translators: stands beside the address of the site.
    organisation = pgettext("on the picture", "Russian LGBT Network")
    return f"{host} · {organisation}"


def version(language: str) -> str:
    """Part of the name of the campaign's pictures. Messengers keep what had the same name, however it looks now."""
    with override(language):
        drawn = f"{DRAWN} {demand()} {sender()}"
    return hashlib.sha256(drawn.encode()).hexdigest()[:8]


@lru_cache(maxsize=32)
def in_one_line(words: str, width: int, height: int) -> text_layout.Block:
    """Words in the largest size that fits, tried pixel by pixel, so that they are as wide as the marks."""
    return text_layout.fit(words.replace(" ", "\u00a0"), FONT, width, height, range(200, 20, -1))


def write(picture: Image.Image, box: Box, block: text_layout.Block, colour: Colour) -> None:
    top = box.y + (box.height - block.height) // 2
    block.draw(ImageDraw.Draw(picture), box.x, top, box.width, colour)


def png(picture: Image.Image, *, optimize: bool = False) -> bytes:
    """PNG with a small palette and no metadata. Optimising saves another tenth and takes ten times as long."""
    shades = [NIGHT, *(shade for colour in (PALE, STONE, EMBER) for shade in towards(colour))]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for shade in shades for part in shade])
    file = BytesIO()
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "PNG", optimize=optimize)
    return file.getvalue()


def towards(colour: Colour) -> list[Colour]:
    """Shades between the ground and a colour, for smooth edges."""

    def mixed(step: int) -> Colour:
        red, green, blue = (dark + (light - dark) * step // SHADES for dark, light in zip(NIGHT, colour, strict=True))
        return red, green, blue

    return [mixed(step) for step in range(1, SHADES + 1)]


# The marks


@dataclass(frozen=True)
class Stroke:
    start: Point
    end: Point
    width: float
    number: int

    def outline(self) -> list[Point]:
        """Polygon of a stroke made by hand: slightly bowed, and thinner towards its end."""
        length = math.dist(self.start, self.end)
        along = ((self.end[0] - self.start[0]) / length, (self.end[1] - self.start[1]) / length)
        one, other = [], []
        for step in range(-3, 18):
            way = min(max(step / 14, 0), 1)
            # Beyond both ends of the line, half a circle closes the stroke.
            beyond = min(max(-step / 3, (step - 14) / 3, 0), 1)
            half = self.width / 2 * (1 - 0.28 * way + 0.1 * chance(self.number * 7 + step))
            ahead = way * length + math.copysign(half * math.sin(beyond * math.pi / 2), step - 7)
            half *= math.cos(beyond * math.pi / 2)
            aside = chance(self.number) * self.width * 3.6 * way * (1 - way)
            x = self.start[0] + along[0] * ahead - along[1] * aside
            y = self.start[1] + along[1] * ahead + along[0] * aside
            one.append((x - along[1] * half, y + along[0] * half))
            other.append((x + along[1] * half, y - along[0] * half))
        return one + other[::-1]


def strokes(box: Box, columns: int) -> Iterator[Stroke]:
    """A hundred tally marks in bundles of five, four upright and one across, in the order of counting."""
    rows = MARKS // 5 // columns
    high = box.height / (rows + (rows - 1) * 0.28)
    wide = box.width / (columns + (columns - 1) * 0.3)
    pitch = wide / 4
    thick = min(pitch * 0.36, high * 0.085)
    for bundle in range(MARKS // 5):
        x = box.x + wide * 1.3 * (bundle % columns)
        y = box.y + high * 1.28 * (bundle // columns)
        for bar in range(4):
            number = bundle * 5 + bar + 1
            foot = x + pitch * (0.5 + bar + 0.18 * chance(number))
            yield Stroke(
                (foot + 0.22 * pitch * chance(number + 50), y + high * (0.09 + 0.08 * chance(number + 9))),
                (foot + 0.30 * pitch * chance(number + 77), y + high * (0.91 + 0.08 * chance(number + 33))),
                thick,
                number,
            )
        number = bundle * 5 + 5
        yield Stroke(
            (x + thick, y + high * (0.70 + 0.08 * chance(number))),
            (x + wide - thick, y + high * (0.30 + 0.08 * chance(number + 5))),
            thick * (1.6 if number == MARKS else 1.05),
            number,
        )


@cache
def marks_as_svg() -> dict[str, object]:
    """The same marks as SVG within 600 by 84, in as few bytes as can be: four bundles are drawn, and then used again.

    `bundles` are the paths of those, `uses` which one stands where; the last bundle is written out, for its `cross`.
    """
    drawn = list(strokes(Box(0, 0, 600, 84), 10))
    bundles = [drawn[start : start + 5] for start in range(0, MARKS, 5)]
    # As `strokes` places them.
    corners = [
        (round(600 / 12.7 * 1.3 * (number % 10)), round(84 / 2.28 * 1.28) * (number // 10)) for number in range(20)
    ]
    *uprights, cross = bundles[-1]
    return {
        "bundles": ["".join(map(_line, bundle)) for bundle in bundles[:SVG_BUNDLES]],
        "uses": [
            ((number * 3 + number // 10) % SVG_BUNDLES, x - corners[(number * 3 + number // 10) % SVG_BUNDLES][0], y)
            for number, (x, y) in enumerate(corners[:-1])
            if number >= SVG_BUNDLES
        ],
        "uprights": "".join(map(_line, uprights)),
        "cross": _line(cross),
    }


def _line(stroke: Stroke) -> str:
    (left, top), (right, bottom) = stroke.start, stroke.end
    return f"M{left:.0f} {top:.0f}L{right:.0f} {bottom:.0f}"


def chance(number: int) -> float:
    """Pseudo-random number between -0.5 and 0.5, the same for the same input: strokes differ, drawings do not."""
    return (math.sin(number * 12.9898) * 43758.5453) % 1 - 0.5


def draw_strokes(picture: Image.Image, box: Box, drawn: Sequence[Stroke], colour: Colour) -> None:
    mask = Image.new("L", (box.width * SHARPNESS, box.height * SHARPNESS))
    canvas = ImageDraw.Draw(mask)
    for stroke in drawn:
        canvas.polygon([((x - box.x) * SHARPNESS, (y - box.y) * SHARPNESS) for x, y in stroke.outline()], fill=255)
    mask = mask.reduce(SHARPNESS)
    if get_language_bidi():
        mask = ImageOps.mirror(mask)
    picture.paste(colour, (box.x, box.y), mask)
