"""Poster to print as PDF. Loading what writes PDFs takes longer than a page, so whoever needs one imports this then."""

from collections.abc import Sequence
from functools import cache
from io import BytesIO

from django.conf import settings
from django.utils.translation import get_language, get_language_bidi, override, pgettext
from PIL import Image, ImageDraw
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from campaign.share import codes, pictures, text_layout
from campaign.share.pictures import Box

BOLD, REGULAR = "NotoSerif-Bold", "NotoSerif-Regular"
# Wide enough for printers that leave up to five millimetres at the edge white.
MARGIN = 18 * mm
INK = HexColor("#000000")
# The last mark is also thicker than the others, so that it stands out on a printer without colours.
RED = HexColor("#8a2813")
GREY = HexColor("#8a8a8a")


@cache
def a4(language: str) -> bytes:
    """Poster as PDF, made once in each process and kept."""
    # It measures fonts, which two threads must not do at once.
    with pictures.drawing, override(language):
        return draw()


def draw() -> bytes:
    for name in (BOLD, REGULAR):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, text_layout.FONTS / f"{name}.ttf"))
    file = BytesIO()
    # `invariant` leaves the time and the name of the machine out of the file.
    page = Canvas(file, pagesize=A4, invariant=True, lang=get_language())
    page.setTitle(pictures.HASHTAG)
    width, height = (int(side) for side in A4)
    left, wide = int(MARGIN), width - 2 * int(MARGIN)
    marks(page, Box(left, int(MARGIN), wide, 92), height)
    write(page, pictures.HASHTAG, BOLD, Box(left, 162, wide, 92), range(100, 20, -1))
    write(page, pictures.demand(), BOLD, Box(left, 270, wide, 200), range(64, 20, -1))
    write(page, sentence(), REGULAR, Box(left, 504, wide, 88), range(20, 10, -1))
    side = 190
    row = height - int(MARGIN) - side
    x = left + wide - side if get_language_bidi() else left
    qr(page, x, height - row - side, side)
    beside = left if get_language_bidi() else left + side + 24
    write(page, invitation(), BOLD, Box(beside, row + 14, wide - side - 24, 100), range(30, 12, -1))
    write(
        page,
        f"{settings.SITE_URL}/{get_language()}/",
        REGULAR,
        Box(beside, row + 126, wide - side - 24, 50),
        range(17, 5, -1),
    )
    page.save()
    return file.getvalue()


def sentence() -> str:
    return pgettext(
        "on the poster",
        "We demand that these crimes be investigated, and that all those responsible for the arrests, the torture and"
        " the killings be brought to justice.",
    )


def invitation() -> str:
    # Translators: beside a square code that phones can read.
    return pgettext("on the poster", "Sign the petition. Point the camera of your phone here.")


def marks(page: Canvas, box: Box, height: int) -> None:
    *others, last = pictures.strokes(box, columns=10)
    for drawn, colour in ((others, GREY), ([last], RED)):
        for stroke in drawn:
            outline = [(mirrored(x, box), height - y) for x, y in stroke.outline()]
            path = page.beginPath()
            path.moveTo(*outline[0])
            for point in outline[1:]:
                path.lineTo(*point)
            path.close()
            page.setFillColor(colour)
            page.drawPath(path, stroke=0, fill=1)


def mirrored(x: float, box: Box) -> float:
    return 2 * box.x + box.width - x if get_language_bidi() else x


def write(page: Canvas, text: str, name: str, box: Box, sizes: Sequence[int]) -> None:
    if text_layout.has_right_to_left(text):
        paint(page, text, name, box, sizes)
        return
    block = text_layout.fit(text, name, box.width, box.height, sizes)
    page.setFillColor(INK)
    page.setFont(name, block.font.size)
    for line in block.lines:
        page.drawString(box.x, A4[1] - box.y - line.baseline, line.text)


def paint(page: Canvas, text: str, name: str, box: Box, sizes: Sequence[int]) -> None:
    """Write by an image of 288 dots per inch: reportlab neither joins Arabic letters nor sets right-to-left lines."""
    width, height = box.width * 4, box.height * 4
    picture = Image.new("L", (width, height), 255)
    block = text_layout.fit(text, name, width, height, [size * 4 for size in sizes])
    block.draw(ImageDraw.Draw(picture), 0, 0, width, 0)
    page.drawImage(ImageReader(picture), box.x, A4[1] - box.y - box.height, box.width, box.height)


def qr(page: Canvas, x: float, y: float, side: float) -> None:
    """Draw the QR code. The white margin that readers need is that of the paper around it."""
    rows = list(codes.code(get_language()).matrix)
    module = side / len(rows)
    path = page.beginPath()
    for number, row in enumerate(rows):
        for column, dark in enumerate(row):
            if dark:
                path.rect(x + column * module, y + side - (number + 1) * module, module, module)
    page.setFillColor(INK)
    page.drawPath(path, stroke=0, fill=1)
