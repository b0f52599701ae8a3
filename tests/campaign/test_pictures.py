"""Pictures, poster and fonts: whatever is written on them fits, is shaped rightly, and leaves no trace."""

import json
import struct
import threading
from hashlib import sha256
from io import BytesIO
from itertools import pairwise

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.utils import translation
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from campaign.forms import FORMATS, WordsForm
from campaign.share import codes, pictures, poster, text_layout
from campaign.share.pictures import FONT, READABLE, SIZES, Box
from tests.support import server

LANGUAGES = [code for code, _name in settings.LANGUAGES]
needs_fribidi = pytest.mark.skipif(
    not text_layout.can_shape(), reason="Arabic and Hebrew need FriBiDi (Debian's package is called libfribidi0)"
)

# For each script something that people write, and what is hard.
HARD = {
    "latin": "They cannot make anyone listen alone. I am listening.",
    "vietnamese": "Công lý cho mọi người: hãy điều tra những tội ác này, ngay bây giờ.",
    "cyrillic": "Не молчите. " * 20 + "Справедливость.",
    "greek": "Δικαιοσύνη για όλους. Ἐν ἀρχῇ ᾧ ᾗ.",
    "arabic": "العدالة لكل إنسان، وتحقيق نزيه في جرائم عام 2017 ومحاسبة المسؤولين عنها.",
    "arabic with marks": "الْعَدْلُ أَسَاسُ الْمُلْكِ، وَالصَّمْتُ ظُلْمٌ.",
    "persian": "نمی‌خواهیم سکوت کنیم: ۱۰۰ صدا",
    "hebrew": "כל אדם ראוי לביטחון. אני דורש חקירה אמיתית.",
    "hebrew with points": "צֶדֶק צֶדֶק תִּרְדֹּף",
    "hebrew with latin": "אני דורש Investigation אמיתית, ב-2017 וגם היום!",
    "latin with arabic": "The word is العدالة, and it means justice (100%).",
    "wide letters": "W" * 280,
    "the widest letters": "Ǆ" * 280,
    "one long word": "расследование" * 21 + "расслед",
    "one long arabic word": "العدالة" * 40,
    "marks on every letter": "W\u0324\u0303\u0308\u0304" * 56,
    "lines": "a\n" * 139 + "a",
    "wide lines": "W\n" * 139 + "W",
    "one letter": "a",
    "a point": ".",
    "a lonely mark": "\u0301a",
}


def cleaned(words, size="1200x630"):
    form = WordsForm({"words": words, "size": size})
    assert form.is_valid(), form.errors
    return form.cleaned_data["words"]


def set_words(words, box):
    return text_layout.fit(words, FONT, box.width, box.height, SIZES, READABLE)


def ink(block, box, rim=300):
    """Where there is ink when the block is drawn into the box, as seen from the box."""
    canvas = Image.new("L", (box.width + 2 * rim, box.height + 2 * rim))
    block.draw(ImageDraw.Draw(canvas), rim, rim, box.width, 255)
    found = canvas.getbbox() or (rim, rim, rim, rim)
    return tuple(edge - rim for edge in found)


def check_that_all_fits(words):
    for size in pictures.FORMATS.values():
        box = size.own.words
        block = set_words(words, box)
        left, top, right, bottom = ink(block, box)
        assert left >= 0
        assert top >= 0
        assert right <= box.width
        assert bottom <= box.height
        # And nothing of it is missing.
        assert "".join("".join(line.text for line in block.lines).split()) == "".join(words.split())


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in HARD.items()])
def test_words_never_leave_their_box_and_none_is_lost(words):
    if text_layout.has_right_to_left(words) and not text_layout.can_shape():
        pytest.skip("Arabic and Hebrew need FriBiDi (Debian's package is called libfribidi0)")
    check_that_all_fits(cleaned(words))


LETTERS = st.sampled_from(sorted(text_layout.alphabet()))
# Written by people: words of one script, with blanks between them.
SCRIPTS = st.sampled_from(
    ["abcWMij", "абвЩЮ", "αβγΩᾧ", "עבריתם", "العربيةگچ", "0123456789", "\u0301\u0324\u05b8\u064e", ".,!?«»()—", " \n"]
)
WRITTEN = st.lists(SCRIPTS.flatmap(lambda script: st.text(script, min_size=1, max_size=30)), max_size=20).map("".join)


@given(words=st.one_of(WRITTEN, st.text(LETTERS, max_size=280)).map(lambda text: text[:280]))
@hypothesis_settings(max_examples=60)
def test_whatever_is_accepted_fits(words):
    form = WordsForm({"words": words, "size": "1200x630"})
    if form.is_valid():
        check_that_all_fits(form.cleaned_data["words"])


@given(words=st.text(max_size=400), size=st.sampled_from([*pictures.FORMATS, "", "1x1"]))
@hypothesis_settings(max_examples=200)
def test_whatever_is_typed_is_accepted_or_refused_with_a_reason(words, size):
    form = WordsForm({"words": words, "size": size})

    assert form.is_valid() or all(errors for errors in form.errors.values())


@pytest.mark.parametrize("name", pictures.FORMATS)
def test_nothing_is_drawn_outside_the_boxes(name):
    drawn = Image.open(BytesIO(pictures.with_words(name, cleaned(HARD["wide letters"])))).convert("RGB")
    size = pictures.FORMATS[name]
    for box in (size.own.marks, size.own.hashtag, size.own.words, size.own.sender):
        drawn.paste(pictures.NIGHT, (box.x, box.y, box.x + box.width, box.y + box.height))

    assert drawn.getcolors() == [(size.width * size.height, pictures.NIGHT)]


@pytest.mark.parametrize(
    "layout", [layout for size in pictures.FORMATS.values() for layout in (size.campaign, size.own)]
)
def test_boxes_do_not_touch(layout):
    boxes = sorted([layout.marks, layout.hashtag, layout.words], key=lambda box: box.y)

    assert all(upper.y + upper.height < lower.y for upper, lower in pairwise(boxes))


def test_the_formats_of_the_form_are_those_that_can_be_drawn():
    assert [name for name, _label in FORMATS] == list(pictures.FORMATS)


def test_there_are_a_hundred_marks_and_each_stays_in_its_box():
    for size in pictures.FORMATS.values():
        for layout in (size.campaign, size.own):
            box = layout.marks
            strokes = list(pictures.strokes(box, layout.columns))
            assert len(strokes) == 100
            for stroke in strokes:
                for x, y in stroke.outline():
                    assert box.x <= x <= box.x + box.width
                    assert box.y <= y <= box.y + box.height


# Size of letters, and ends of lines.


def test_few_words_are_large_and_many_are_small():
    box = Box(0, 0, 1088, 380)

    sizes = [set_words("Justice now. " * count, box).font.size for count in (1, 4, 20)]

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 100
    assert sizes[-1] < 60


def test_a_word_is_broken_only_where_it_does_not_fit_at_a_readable_size():
    box = Box(0, 0, 1088, 380)

    assert [line.text for line in set_words("Rechtsschutzversicherungsgesellschaften", box).lines] == [
        "Rechtsschutzversicherungsgesellschaften"
    ]
    assert len(set_words("Rechtsschutzversicherungsgesellschaften" * 4, box).lines) > 1


def test_a_letter_is_never_parted_from_its_marks():
    block = set_words("W\u0324\u0303\u0308\u0304" * 56, Box(0, 0, 1088, 380))

    assert len(block.lines) > 1
    assert not any(text_layout.is_mark(line.text[0]) for line in block.lines)


def test_lines_stay_as_typed_while_they_fit():
    assert [line.text for line in set_words("one\ntwo three\nfour", Box(0, 0, 1088, 380)).lines] == [
        "one",
        "two three",
        "four",
    ]


def test_marks_that_climb_make_room_between_lines():
    flat, climbing = (
        set_words(f"{letter}\n{letter}\n{letter}", Box(0, 0, 1088, 380))
        for letter in ("x", "x\u0303\u0308\u0304\u030c")
    )

    assert climbing.font.size < flat.font.size
    for above, below in pairwise(climbing.lines):
        assert above.baseline + above.bottom <= below.baseline + below.top


# Right to left.


def picture_of(text, way):
    face = text_layout.font(FONT, 60)
    width = int(face.getbbox(text, anchor="ls", direction=way)[2])
    canvas = Image.new("L", (width, 200))
    ImageDraw.Draw(canvas).text((0, 120), text, font=face, fill=255, anchor="ls", direction=way)
    return canvas


def starts_with(picture, part):
    """Whether the left end of a picture is this one, but for the rim where the next letter begins."""
    width = part.width - 4
    return picture.crop((0, 0, width, 200)).tobytes() == part.crop((0, 0, width, 200)).tobytes()


@needs_fribidi
@pytest.mark.parametrize(
    ("text", "last"), [("שלום ABC", "ABC"), ("عام 2017", "2017"), ("سلام (ABC", "ABC"), ("عدد ٢٠١٧", "٢٠١٧")]
)
def test_a_line_from_right_to_left_ends_at_the_left_with_what_is_read_last(text, last):
    assert text_layout.direction(text) == "rtl"
    assert starts_with(picture_of(text, "rtl"), picture_of(last, "ltr"))


@needs_fribidi
def test_letters_from_right_to_left_run_so_inside_a_latin_line():
    assert text_layout.direction("ABC אבג") == "ltr"
    assert starts_with(picture_of("אבג", "ltr"), picture_of("ג", "ltr"))
    assert starts_with(picture_of("ABC אבג", "ltr"), picture_of("ABC", "ltr"))


@needs_fribidi
def test_arabic_letters_are_joined():
    face = text_layout.font(FONT, 60)

    assert face.getlength("ببب", direction="rtl") < 3 * face.getlength("ب") * 0.8
    assert face.getlength("لا", direction="rtl") < face.getlength("ل") + face.getlength("ا")


@needs_fribidi
@pytest.mark.parametrize(
    ("words", "at_the_right"), [("العدالة", True), ("צדק ABC", True), ("ABC צדק", False), ("Да", False)]
)
def test_a_line_starts_on_the_side_of_its_first_letter(words, at_the_right):
    box = Box(0, 0, 1088, 380)
    left, _top, right, _bottom = ink(set_words(f"{words}\n{words} {words}", box), box)

    assert (box.width - right < 20) == at_the_right
    assert (left < 20) == (not at_the_right)


@needs_fribidi
def test_points_stand_at_their_letters():
    face = text_layout.font(FONT, 60)

    assert face.getlength("צֶדֶק", direction="rtl") == face.getlength("צדק", direction="rtl")
    assert face.getbbox("צֶ", anchor="ls", direction="rtl")[3] > face.getbbox("צ", anchor="ls", direction="rtl")[3]


def test_without_the_library_a_start_warns_and_arabic_is_refused(monkeypatch):
    monkeypatch.setattr(text_layout, "can_shape", lambda: False)

    (warning,) = [found for found in run_checks() if found.id == "campaign.W001"]
    assert "libfribidi0" in warning.hint
    assert "Arabic or Hebrew" in str(WordsForm({"words": "العدالة", "size": "1200x630"}).errors["words"])
    text_layout.font.cache_clear()
    check_that_all_fits(cleaned(HARD["cyrillic"]))
    text_layout.font.cache_clear()


@needs_fribidi
def test_with_the_library_a_start_does_not_warn():
    assert not [found for found in run_checks() if found.id == "campaign.W001"]


# What may be written.


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("  Hold \t on\r\n\r\n\r\nnow  ", "Hold on\nnow"),
        ("e\u0301", "é"),
        ("no\u00a0break\u202fhere", "no\u00a0break\u00a0here"),
        ("one\u2028two\x85three\vfour", "one\ntwo\nthree\nfour"),
        # Invisible marks, above all those that turn the writing, are taken out.
        ("\u202eabc\u202c \u2067def\u2069 \u200eghi\u200f \u061cjkl", "abc def ghi jkl"),
        ("\ufeffsoft\u00adhyphen\u200b\u2060", "softhyphen"),
        ("text\ufe0f", "text"),
        # Persian needs this one.
        ("نمی\u200cخواهیم", "نمی\u200cخواهیم"),
    ],
)
@needs_fribidi
def test_what_cannot_be_seen_is_taken_out(words, kept):
    assert cleaned(words) == kept


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Love ❤", "❤"),
        ("Love 👩‍👩‍👧", "👩"),
        ("公道", "公"),
        ("न्याय", "न"),
        ("a\u093f", "U+093F"),
        ("სამართალი", "ს"),
        ("🏳️‍🌈", "🏳"),
        ("a\u0488", "U+0488"),  # encloses its neighbours
        ("\ufdfa", "\ufdfa"),  # as wide as a line
        ("a\U000e0041", "U+E0041"),
    ],
)
def test_a_character_that_the_fonts_lack_is_named(words, named):
    (error,) = WordsForm({"words": words, "size": "1200x630"}).errors["words"]

    assert f"“{named}”" in error


@pytest.mark.parametrize("words", ["a\x00", "a\x07b", "a\x1b", "\ufffd", "\ue000", "\U0010ffff"])
def test_control_characters_and_what_is_broken_are_refused(words):
    assert WordsForm({"words": words, "size": "1200x630"}).errors["words"]


@pytest.mark.parametrize("words", ["", " ", "\n\n", "\u200b", "\u00a0", "\u202e\u202c", None])
def test_empty_words_are_refused(words):
    assert WordsForm({"words": words, "size": "1200x630"}).errors["words"] == ["Write your words first."]


@pytest.mark.parametrize("words", ["\u200b\u200c\u200d", "\u0301", "\u2800", "\u3164"])
def test_words_that_show_nothing_are_refused(words):
    (error,) = WordsForm({"words": words, "size": "1200x630"}).errors["words"]

    assert "can be seen" in error


@pytest.mark.parametrize(("count", "is_valid"), [(280, True), (281, False)])
@pytest.mark.parametrize("letter", ["W", "é", "e\u0301", "ע"])
def test_280_characters_are_counted_as_they_are_written(count, is_valid, letter):
    if text_layout.can_shape() or letter != "ע":
        assert WordsForm({"words": letter * count, "size": "1200x630"}).is_valid() == is_valid


@pytest.mark.parametrize(("count", "is_valid"), [(4, True), (5, False), (279, False)])
@pytest.mark.parametrize("mark", ["\u0324", "\u200d"])
def test_marks_do_not_pile_up(count, is_valid, mark):
    assert WordsForm({"words": "x" + mark * count, "size": "1200x630"}).is_valid() == is_valid


# The file.


def chunks(png):
    """The names of the parts of a PNG."""
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        yield png[place + 4 : place + 8].decode()
        place += 12 + length


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", pictures.FORMATS)
def test_a_picture_is_small_has_its_size_and_nothing_else_in_it(name, language):
    for png in (pictures.of_campaign(name, language), pictures.with_words(name, "Justice")):
        image = Image.open(BytesIO(png))
        assert f"{image.width}x{image.height}" == name
        assert image.info == {}
        assert set(chunks(png)) == {"IHDR", "PLTE", "IDAT", "IEND"}
        assert len(png) < 60_000


def test_each_language_has_a_picture_of_its_own_that_is_drawn_once():
    english, russian = (pictures.of_campaign("1200x630", language) for language in ("en", "ru"))

    assert english != russian
    assert pictures.of_campaign("1200x630", "en") is english


def test_the_same_words_make_the_same_file():
    assert pictures.with_words("1200x630", "Justice") == pictures.with_words("1200x630", "Justice")


def test_a_language_from_right_to_left_counts_from_there():
    size = pictures.FORMATS["1200x630"]
    drawn = {}
    for language in ("en", "ar"):
        with translation.override(language):
            drawn[language] = pictures.draw(size, size.campaign, "Justice")
    box = size.campaign.marks
    place = (box.x, box.y, box.x + box.width, box.y + box.height)

    mirrored = drawn["ar"].crop(place).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert mirrored.tobytes() == drawn["en"].crop(place).tobytes()


# One at a time.


def test_one_draws_one_waits_and_a_third_is_sent_away():
    drew = []
    with pictures.one_at_a_time():
        waiting = threading.Thread(target=lambda: drew.append(pictures.with_words("1200x630", "Justice")))
        waiting.start()
        server.wait_until(lambda: not pictures.places._value)
        with pytest.raises(pictures.BusyError):
            pictures.with_words("1200x630", "Justice")
        assert drew == []
    waiting.join()

    assert len(drew) == 1
    assert pictures.with_words("1200x630", "Justice") == drew[0]


def test_waiting_has_an_end(monkeypatch):
    monkeypatch.setattr(pictures, "WAIT_SECONDS", 0.01)
    with pictures.drawing, pytest.raises(pictures.BusyError):
        pictures.with_words("1200x630", "Justice")

    assert pictures.with_words("1200x630", "Justice")


# On paper.


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_poster_is_one_page_with_its_fonts_in_it(language):
    pdf = poster.a4(language)

    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Type /Page\n") == 1
    assert b"NotoSerif-Bold" in pdf
    assert len(pdf) < 100_000
    # Neither a time nor the name of whoever made it.
    assert b"2000" in pdf.partition(b"/CreationDate")[2][:20]
    assert poster.a4(language) is pdf


def test_a_poster_is_the_same_each_time():
    with pictures.drawing, translation.override("ru"):
        assert poster.draw() == poster.draw()


def test_a_poster_in_a_language_from_right_to_left_can_be_made():
    with pictures.drawing, translation.override("ar"):
        assert poster.draw().startswith(b"%PDF-")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_leads_to_the_petition_and_says_that_it_came_from_paper(language):
    assert codes.address(language) == f"{settings.SITE_URL}/{language}/?from=poster"
    assert codes.code_svg(language).startswith(b"<?xml")
    assert b"class=" not in codes.code_svg(language)
    image = Image.open(BytesIO(codes.code_png(language)))
    # Four modules of white around it, or cameras may not find it.
    side = image.width // 20
    modules = [[image.getpixel((x * 20 + 10, y * 20 + 10)) for x in range(side)] for y in range(side)]
    assert [[cell == 0 for cell in row[4:-4]] for row in modules[4:-4]] == [
        [bool(cell) for cell in row] for row in codes.code(language).matrix
    ]


# The fonts.

RECORD = json.loads((text_layout.FONTS / "sources.json").read_text())


@pytest.mark.parametrize("name", RECORD["fonts"])
def test_a_font_is_the_recorded_one_and_has_the_listed_letters(name):
    file = text_layout.FONTS / name
    font = TTFont(file)

    assert sha256(file.read_bytes()).hexdigest() == RECORD["fonts"][name]["sha256"]
    assert {chr(number) for number in font.getBestCmap()} == text_layout.alphabet()
    scripts = {record.ScriptTag for record in font["GPOS"].table.ScriptList.ScriptRecord}
    assert {"arab", "cyrl", "grek", "hebr", "latn"} <= scripts


def test_fonts_are_few_small_and_come_with_their_licence():
    assert {file.name for file in text_layout.FONTS.glob("*.ttf")} == set(RECORD["fonts"])
    assert sum(file.stat().st_size for file in text_layout.FONTS.glob("*.ttf")) < 600_000
    licence = (text_layout.FONTS / "LICENSE").read_text()
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert licence.count("The Noto Project Authors") == len(RECORD["packages"])
    assert all(len(package["sha256"]) == 64 and package["version"] for package in RECORD["packages"])
