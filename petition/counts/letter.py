"""The letter for the addressee: the demand and the counts, as a PDF.

A `Letter` holds the petition's own texts and numbers. Nothing else gets into the file, so no name can.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from django.conf import settings
from django.utils import translation
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from markdown_it import MarkdownIt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, HRFlowable, KeepTogether, Paragraph, SimpleDocTemplate, Table

from petition import countries
from petition.counts import breakdown, tally
from petition.counts.breakdown import Question
from petition.dates import season
from petition.models import Petition

FONTS = Path(__file__).resolve().parent / "fonts"
FONT, BOLD, ITALIC = "NotoSerif-Regular", "NotoSerif-Bold", "NotoSerif-Italic"
MARGIN = 25 * mm
PADDING = 6  # of reportlab's frame, inside the margin
ROOM_UNDER_HEADING = 40 * mm
ROOM_TO_SIGN = 18 * mm
GREY, RULE = colors.HexColor("#555555"), colors.HexColor("#bbbbbb")

BODY = ParagraphStyle("body", fontName=FONT, fontSize=11, leading=16.5, spaceAfter=8, splitLongWords=1)
QUOTE = ParagraphStyle("quote", BODY, fontName=ITALIC, leftIndent=8 * mm)
ITEM = ParagraphStyle("item", BODY, leftIndent=8 * mm, bulletIndent=2 * mm, bulletFontName=FONT, bulletFontSize=11)
SMALL_PRINT = ParagraphStyle("small", BODY, fontSize=9, leading=13.5, spaceAfter=5)
CELL = ParagraphStyle("cell", SMALL_PRINT, leading=11, spaceAfter=0)
KICKER = ParagraphStyle("kicker", BODY, fontSize=10, textColor=GREY, spaceAfter=4)
TITLE = ParagraphStyle("title", BODY, fontName=BOLD, fontSize=22, leading=29, spaceAfter=14)
HEADING = ParagraphStyle("heading", BODY, fontName=BOLD, fontSize=13, leading=18, spaceBefore=12, spaceAfter=6)
NUMBER = ParagraphStyle("number", BODY, fontName=BOLD, fontSize=34, leading=42, spaceAfter=0)

_markdown = MarkdownIt("commonmark", {"html": False})


@dataclass(frozen=True)
class Letter:
    """`countries` are codes with their numbers, rounded to tens; "" is not stated.

    `before_opening` is only known to be more than it says, so the total is as well.
    """

    language: str
    title: str
    addressee: str
    demand: str
    before_opening: int
    collected_before_on: date | None
    collected_before_source: str
    on_paper: int
    confirmed_here: int
    countries: tuple[tuple[str, int], ...]
    as_of: datetime
    sender: str
    contact: str
    site: str

    @property
    def total(self) -> int:
        return self.before_opening + self.on_paper + self.confirmed_here


def compose(petition: Petition, language: str) -> Letter:
    """The letter of this moment. Raises ObjectDoesNotExist if the petition has no text in this language."""
    text = petition.get_translation(language)
    with tally.snapshot():
        count = tally.current(petition.slug)
        if count is None:
            raise Petition.DoesNotExist
        rows = list(breakdown.rows(Question.ask(petition.pk, ["country"])))
    by_country = [(str(code), amount) for (code,), amount in rows if amount > 0]
    return Letter(
        language=language,
        title=text.title,
        addressee=text.addressee,
        demand=text.demand,
        before_opening=count.before_opening,
        collected_before_on=petition.collected_before_on,
        collected_before_source=text.collected_before_source,
        on_paper=count.on_paper,
        confirmed_here=count.confirmed_here,
        countries=tuple(sorted(by_country, key=lambda row: (row[0] == "", -row[1], row[0]))),
        as_of=count.as_of,
        sender=settings.CONTROLLER,
        contact=settings.CONTACT_EMAIL,
        site=urlsplit(settings.SITE_URL).netloc,
    )


def write_pdf(letter: Letter, file: IO[bytes]) -> None:
    _register_fonts()
    with translation.override(letter.language):
        document = SimpleDocTemplate(
            file,
            pagesize=A4,
            leftMargin=MARGIN - PADDING,
            rightMargin=MARGIN - PADDING,
            topMargin=MARGIN - PADDING,
            bottomMargin=MARGIN - PADDING,
            title=letter.title,
            subject=_subject(letter),
            lang=letter.language,
            displayDocTitle=True,
        )
        document.build(
            [*_demand(letter), *_numbers(letter), *_sender(letter), *_method(letter), *_countries(letter)],
            canvasmaker=_numbered(letter),
        )


def _subject(letter: Letter) -> str:
    total = {"total": _number(letter.total)}
    if letter.before_opening:
        return _("Petition with more than %(total)s signatures") % total
    return _("Petition with %(total)s signatures") % total


def _demand(letter: Letter) -> Iterator[Flowable]:
    yield Paragraph(_text(_("Petition")), KICKER)
    yield Paragraph(_text(letter.title), TITLE)
    if letter.addressee:
        yield Paragraph(_text(_("To: %(addressee)s") % {"addressee": letter.addressee}), BODY)
    yield from _paragraphs(letter.demand)


def _numbers(letter: Letter) -> Iterator[Flowable]:
    said = [
        _before_opening(letter) if letter.before_opening else "",
        _on_paper(letter) if letter.on_paper else "",
        _confirmed_here(letter),
    ]
    number, words = _number(letter.total), ngettext("signature in all", "signatures in all", letter.total)
    if letter.before_opening:
        # Translators: the large number of the letter. A part of it is only known to be more, and so is the sum.
        number = _("More than %(number)s") % {"number": number}
    yield KeepTogether(
        [
            HRFlowable(width="100%", color=RULE, spaceBefore=10, spaceAfter=10),
            Paragraph(_text(number), NUMBER),
            Paragraph(_text(words), KICKER),
            *(Paragraph(_text(text), BODY) for text in said if text),
        ]
    )


def _before_opening(letter: Letter) -> str:
    said = _("More than %(number)s were collected before this site opened") % {"number": _number(letter.before_opening)}
    if letter.collected_before_on:
        said += f", {season(letter.collected_before_on)}"
    if letter.collected_before_source:
        said += ". " + _("Source: %(source)s") % {"source": letter.collected_before_source}
    return said + "."


def _on_paper(letter: Letter) -> str:
    return ngettext("%(number)s was collected on paper.", "%(number)s were collected on paper.", letter.on_paper) % {
        "number": _number(letter.on_paper)
    }


def _confirmed_here(letter: Letter) -> str:
    return ngettext(
        "%(number)s was confirmed on this site by email.",
        "%(number)s were confirmed on this site by email.",
        letter.confirmed_here,
    ) % {"number": _number(letter.confirmed_here)}


def _method(letter: Letter) -> Iterator[Flowable]:
    said = [
        _(
            "Each signature confirmed on this site was confirmed by a person who opened a link sent to her mailbox and "
            "pressed a button. One mailbox can sign once. What was withdrawn, what is still under review, and what was "
            "found to be fake does not count."
        ),
        _(
            "The country is what signers chose to state. The numbers of countries are those of ended weeks, each "
            "rounded to tens, up or down at random, so that none gives away a single person. They do not add up to the "
            "total."
        ),
        _(
            "The signatures collected before this site opened are taken over as their source states them. They are not "
            "part of the table."
        )
        if letter.before_opening
        else "",
        _(
            "The signatures on paper were counted on their sheets by one person and checked by another. The sheets are "
            "kept, and can be shown. They are not part of the table."
        )
        if letter.on_paper
        else "",
        _("People who signed can be in danger for it. This letter holds numbers, and no name or address of anybody."),
    ]
    # It flows on: kept together, it would leave the page before half empty.
    yield CondPageBreak(ROOM_UNDER_HEADING)
    yield Paragraph(_text(_("How the number was made")), HEADING)
    yield from (Paragraph(_text(text), SMALL_PRINT) for text in said if text)


def _countries(letter: Letter) -> Iterator[Flowable]:
    if letter.countries:
        yield CondPageBreak(ROOM_UNDER_HEADING)
        yield Paragraph(_text(_("Confirmed on this site, by country, rounded to tens")), HEADING)
        yield _country_table(letter.countries)


def _country_table(rows: tuple[tuple[str, int], ...]) -> Flowable:
    """The largest first, two beside each other in each line, so that it can go on on the next page anywhere."""
    not_stated = _("Country not stated")
    cells: list[Any] = []
    for code, amount in rows:
        name = countries.name(code) if code else not_stated
        cells += [Paragraph(_text(name), CELL), _number(amount), ""]
    cells += [""] * (-len(cells) % 6)
    table = Table(
        [cells[start : start + 5] for start in range(0, len(cells), 6)],
        colWidths=[56 * mm, 20 * mm, 8 * mm, 56 * mm, 20 * mm],
    )
    table.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), FONT, 9),
            ("ALIGN", (1, 0), (1, -1), "RIGHT"),
            ("ALIGN", (4, 0), (4, -1), "RIGHT"),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LINEBELOW", (0, 0), (1, -1), 0.4, RULE),
            ("LINEBELOW", (3, 0), (4, -1), 0.4, RULE),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    return table


def _sender(letter: Letter) -> Iterator[Flowable]:
    """Who hands it over, with a line to sign on."""
    said = [text for text in (letter.sender, letter.contact, letter.site) if text]
    yield KeepTogether(
        [
            HRFlowable(width="45%", hAlign="LEFT", color=colors.black, thickness=0.6, spaceBefore=ROOM_TO_SIGN),
            Paragraph(_text(_("Place, date, signature of the sender")), SMALL_PRINT),
            *(Paragraph(_text(text), CELL) for text in said),
        ]
    )


def _numbered(letter: Letter) -> type[Canvas]:
    """A canvas that writes under each page who sends it, when this was counted, and which of how many pages it is."""
    counted = _("Counted on %(day)s at %(time)s UTC") % {
        "day": date_format(letter.as_of, "j E Y"),
        "time": date_format(letter.as_of, "H:i"),
    }

    class NumberedCanvas(Canvas):
        """Pages are kept until the last one is there, since only then their number is known."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802
            self.pages.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]

        def save(self) -> None:
            pages = self.pages
            for number, page in enumerate(pages, start=1):
                self.__dict__.update(page)
                self.setFont(FONT, 8)
                self.setFillColor(GREY)
                self.drawString(MARGIN, 12 * mm, counted)
                self.drawString(MARGIN, 8 * mm, _fitting(" · ".join(filter(None, (letter.sender, letter.contact)))))
                page_of = _("Page %(number)s of %(all)s") % {"number": number, "all": len(pages)}
                self.drawRightString(A4[0] - MARGIN, 12 * mm, page_of)
                super().showPage()
            super().save()

    return NumberedCanvas


def _fitting(text: str) -> str:
    """As much of it as fits one line of the foot."""
    return simpleSplit(text, FONT, 8, A4[0] - 2 * MARGIN)[0] if text else ""


def _paragraphs(markdown: str) -> Iterator[Flowable]:
    """Plain paragraphs, or Markdown with its headings, lists and quotations."""
    style, bullet = BODY, ""
    for token in _markdown.parse(markdown):
        match token.type:
            case "heading_open":
                style = HEADING
            case "blockquote_open":
                style = QUOTE
            case "list_item_open":
                style, bullet = ITEM, f"{token.info}." if token.info else "•"
            case "heading_close" | "blockquote_close" | "list_item_close":
                style, bullet = BODY, ""
            case "inline":
                if style is HEADING:
                    yield CondPageBreak(ROOM_UNDER_HEADING)
                yield Paragraph(_inline(token.children or []), style, bulletText=bullet or None)
                bullet = ""
            case "fence" | "code_block":
                yield Paragraph(_text(token.content), BODY)


def _inline(tokens: list[Any]) -> str:
    """The little XML that reportlab reads. A link is followed by where it leads, since paper cannot be clicked."""
    marks = {"strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>"}
    said, links = "", []
    for token in tokens:
        if token.type in marks:
            said += marks[token.type]
        elif token.type in ("softbreak", "hardbreak"):
            said += "<br/>"
        elif token.type == "link_open":
            links.append(token.attrGet("href"))
        elif token.type == "link_close":
            said += _text(f" ({links.pop()})")
        else:
            said += _text(token.content)
    return said


def _text(text: str) -> str:
    return escape(text)


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


@cache
def _register_fonts() -> None:
    for name in (FONT, BOLD, ITALIC):
        pdfmetrics.registerFont(TTFont(name, FONTS / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=ITALIC, boldItalic=BOLD)
