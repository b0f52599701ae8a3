import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from parler.models import TranslatableModel

from campaign.models import Figure, Page, Update
from campaign.share import codes
from petition.models import Petition, Source
from petition.staff import roles

CONTENT = Path(__file__).resolve().parents[2] / "content"
PAGES = [
    "home",
    "what-happened",
    "demand",
    "how-to-help",
    "donate",
    "questions",
    "press",
    "counter",
    "about",
    "privacy",
    "accessibility",
    "imprint",
]
UPDATES = ["new-site"]


class Command(BaseCommand):
    help = "Seed the petition, the pages and the roles. Safe to repeat: what people edited stays as it is."

    @transaction.atomic
    def handle(self, **options: Any) -> str:
        loaded = seed_petition() + seed_figures()
        loaded += [text for slug in PAGES for text in seed_text(Page, slug, slug)]
        loaded += [text for slug in UPDATES for text in seed_text(Update, slug, f"updates/{slug}")]
        loaded += seed_poster()
        loaded += [f"{role} (role)" for role in roles.ensure()]
        return f"Loaded {', '.join(loaded)}." if loaded else "Everything was there already; nothing has changed."


def seed_petition() -> list[str]:
    petition, _created = Petition.objects.get_or_create(
        slug="chechnya",
        defaults={"collected_before": 150_000, "collected_before_on": date(2018, 4, 1)},
    )
    return add_missing_languages(petition, "petition", body="demand")


def seed_poster() -> list[str]:
    """The source under which signatures are counted that came by way of paper."""
    _source, is_new = Source.objects.get_or_create(slug=codes.SOURCE, defaults={"title": "Poster"})
    return [f"source {codes.SOURCE}"] if is_new else []


def seed_figures() -> list[str]:
    """Figures whose name is not there yet. Where it is, organisers keep their own values of it."""
    added = []
    for slug, values in tomllib.loads((CONTENT / "figures.toml").read_text()).items():
        texts = {language: values.pop(language) for language, _name in settings.LANGUAGES if language in values}
        facts = {name: value for name, value in values.items() if not isinstance(value, dict)}
        figure = Figure.objects.filter(slug=slug).order_by("pk").first() or Figure.objects.create(slug=slug, **facts)
        added += add_missing(figure, f"figure {slug}", texts)
    return added


def seed_text(model: type[Page | Update], slug: str, name: str) -> list[str]:
    row, _created = model.objects.get_or_create(slug=slug)
    return add_missing_languages(row, name, body="body")


def add_missing_languages(row: TranslatableModel, name: str, body: str) -> list[str]:
    paths = {language: CONTENT / language / f"{name}.md" for language, _name in settings.LANGUAGES}
    texts = {language: read(path, body) for language, path in paths.items() if path.exists()}
    return add_missing(row, name, texts)


def add_missing(row: TranslatableModel, name: str, texts: dict[str, dict[str, str]]) -> list[str]:
    """Translate the row into each language it lacks; what was added, as "name (language)"."""
    missing = [language for language in texts if not row.has_translation(language)]
    for language in missing:
        row.create_translation(language, **texts[language])
    return [f"{name} ({language})" for language in missing]


def read(path: Path, body: str) -> dict[str, str]:
    """The fields in a file: `name: value` lines between two `---`, and the rest under the name `body`."""
    _nothing, head, rest = path.read_text().split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    return {**fields, body: rest.strip()}
