"""Open data: the series that everybody may have as files, and the one description of them (a Data Package).

They hold what is published to staff as well (`petition.counts.publication`): how the number moved by day, and the
countries and languages of ended weeks. Partners' links and what became of signatures are for staff alone. Whoever
changes a column or its meaning makes a new version beside this one.
"""

import json
from io import BytesIO
from typing import Any

from django.conf import settings
from django.urls import reverse

from petition.counts import export, tally
from petition.counts.breakdown import Question
from petition.models import Petition

VERSION = "1"
DESCRIPTION = "datapackage.json"
FORMATS = ("csv", "json")
SERIES = {
    "days": (("day",), "By how much the published number moved on each day, UTC."),
    "weeks-countries": (
        ("week", "country"),
        "Counted signatures by the country that was stated (ISO 3166-1, empty: not stated), in ended weeks.",
    ),
    "weeks-languages": (("week", "language"), "The same by the language in which people signed (BCP 47)."),
}
TYPES = {"day": "date", "week": "date", "country": "string", "language": "string"}
HOW = (
    "The number moves in steps of a random size and once a week with what is left, so that nobody can see when a single"
    " person confirms. A week is named by its Monday (UTC). Numbers by country and language are rounded to tens, up or"
    " down at random, and are never revised; where few cells make up a week they are told with those of the next. Sums"
    " do not agree with the total. What was collected before this site opened is in none of these files."
)
LICENCE = {"name": "CC0-1.0", "path": "https://creativecommons.org/publicdomain/zero/1.0/", "title": "CC0 1.0"}


def file(petition: Petition, name: str) -> tuple[bytes, str] | None:
    """The content of a file, and its type; None if there is none of this name."""
    if name == DESCRIPTION:
        said = json.dumps(description(petition), ensure_ascii=False, indent=1) + "\n"
        return said.encode(), "application/json"
    stem, _dot, ending = name.rpartition(".")
    if stem not in SERIES or ending not in FORMATS:
        return None
    by, _said = SERIES[stem]
    content = BytesIO()
    with tally.snapshot():
        export.write(export.public_table(petition, Question(petition.pk, by)), ending, content)
    return content.getvalue(), export.FORMATS[ending].content_type


def description(petition: Petition) -> dict[str, Any]:
    """All that a program or a journalist has to know, as the standard of Data Packages has it."""
    petition.set_current_language(settings.LANGUAGE_CODE)
    return {
        "profile": "data-package",
        "name": f"{petition.slug}-counts",
        "version": VERSION,
        "title": petition.safe_translation_getter("title", any_language=True),
        "description": HOW,
        "homepage": f"{settings.SITE_URL}{reverse('open-data-file', args=[petition.slug, DESCRIPTION])}",
        "licenses": [LICENCE],
        "resources": [_resource(name, ending) for name in SERIES for ending in FORMATS],
    }


def _resource(name: str, ending: str) -> dict[str, Any]:
    by, said = SERIES[name]
    fields = [{"name": column, "type": TYPES[column]} for column in by] + [{"name": "amount", "type": "integer"}]
    made = {"name": f"{name}-{ending}", "path": f"{name}.{ending}", "format": ending, "description": said}
    if ending == "csv":
        return made | {"mediatype": "text/csv", "encoding": "utf-8", "schema": {"fields": fields}}
    return made | {"mediatype": "application/json", "description": f"{said} The rows stand under “rows”."}
