"""The QR code that leads from paper to the petition."""

from functools import cache
from io import BytesIO

import segno
from django.conf import settings

SOURCE = "poster"  # the source that signatures from paper are counted under


def address(language: str) -> str:
    return f"{settings.SITE_URL}/{language}/?from={SOURCE}"


def code(language: str) -> segno.QRCode:
    # Error correction "q": it is still read if a quarter is dirty, torn or badly printed.
    return segno.make(address(language), error="q", micro=False, boost_error=False)


@cache
def code_svg(language: str) -> bytes:
    file = BytesIO()
    code(language).save(file, kind="svg", scale=8, border=4, light="#fff", svgclass=None, lineclass=None)
    return file.getvalue()


@cache
def code_png(language: str) -> bytes:
    file = BytesIO()
    code(language).save(file, kind="png", scale=20, border=4)
    return file.getvalue()
