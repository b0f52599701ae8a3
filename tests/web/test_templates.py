"""Templates read well: their lines are short, and `djhtml` has indented them (`make check`)."""

from pathlib import Path

from django.conf import settings

TEMPLATES = Path(settings.BASE_DIR) / "templates"
LONGEST = 120


def test_no_line_of_a_template_is_longer_than_a_screen():
    pages = list(TEMPLATES.rglob("*.html"))
    long = [
        f"{path.relative_to(TEMPLATES)}:{number}"
        for path in pages
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LONGEST
    ]

    assert pages
    assert long == []
