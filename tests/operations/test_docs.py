"""What the documents promise is what the code has."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands

from campaign import models as campaign_models
from petition import models

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs"
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
OUR_FOLDERS = r"\.ci|\.github|bench|campaign|config|deploy|docs|locale|petition|static|templates|tests"
OF_PEOPLE = [
    models.Signature,
    models.ShownWords,
    models.ReviewClaim,
    models.InvalidationCampaign,
    models.Link,
    models.OutgoingMail,
    models.Lookup,
    models.OutboxKey,
    models.Withdrawn,
    models.AddressMark,
    models.StaffAccount,
    models.AnomalyMark,
    models.ProposedListing,
    models.StaffAction,
    models.Draft,
    models.TextVersion,
    models.PaperSheets,
    models.NamesRead,
    models.ListedNetwork,
    models.ListedDomain,
    campaign_models.Report,
    campaign_models.Testimony,
    campaign_models.Partner,
    models.SeenDomain,
    models.Subscription,
    models.SubscriptionRequest,
]
# What says nothing about anybody.
IMPERSONAL = {"id", "petition"}


@pytest.mark.parametrize("model", OF_PEOPLE, ids=lambda model: model.__name__)
def test_every_stored_field_has_its_line_in_the_privacy_document(model):
    text = (DOCS / "privacy.md").read_text().partition(f"## {model.__name__}\n")[2].partition("\n## ")[0]

    fields = {field.name for field in model._meta.concrete_fields} - IMPERSONAL

    assert fields <= set(re.findall(r"`(\w+)`", text))


def test_every_model_is_known_to_be_about_people_or_not():
    found = apps.get_app_config("petition").get_models()
    about_others = (
        "CannedReason CannedReasonTranslation LanguageApproval Petition PetitionTranslation CountsToken CountsExport"
        " Source Switches SwitchesTranslation KeyFingerprint"
        " DailySalt"
        " Retention Heartbeat Notice ForgottenHour Sample MailTally TallyChange HourTally DayTally TotalTally"
        " PublishedCount PublishedHour PublishedWeek PublishedCell PublishedFunnel"
    )

    # What only shows the rows of another one has no fields of its own.
    assert {model.__name__ for model in found if not model._meta.proxy} == {
        *(model.__name__ for model in OF_PEOPLE if model._meta.app_label == "petition"),
        *about_others.split(),
    }


def test_every_check_stands_in_the_operations_document():
    text = (DOCS / "operations.md").read_text()
    for app in ("petition", "campaign"):
        files = [*(ROOT / app).glob("checks.py"), *(ROOT / app).glob("checks/*.py")]
        code = "".join(path.read_text() for path in files)
        ids = set(re.findall(rf'id="{app}\.([EW]\d+)"', code))

        assert ids
        # One line may stand for several of them: petition.E008, E009.
        lines = "".join(re.findall(rf"^\| {app}\..*$", text, re.MULTILINE))
        assert ids <= set(re.findall(r"[EW]\d{3}", lines))


def test_every_command_of_ours_stands_in_the_operations_document():
    ours = {name for name, app in get_commands().items() if app in ("petition", "campaign")}

    assert ours <= set(re.findall(r"manage\.py (\w+)", (DOCS / "operations.md").read_text()))


def test_commands_that_leave_an_entry_in_the_audit_log_are_named():
    commands = [path for app in ("petition", "campaign") for path in (ROOT / app / "management/commands").glob("*.py")]
    audited = {path.stem for path in commands if "audit.record(" in path.read_text()}

    sentence = re.search(r"Of the commands, (.+?) leave an entry", (DOCS / "operations.md").read_text())
    assert set(re.findall(r"`(\w+)`", sentence[1])) == audited


def test_links_between_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_leads_to_every_document():
    listed = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())

    assert {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]} == {
        "README.md",
        *(target for target in listed if target.endswith(".md")),
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document):
    # `xx` and `<lang>` stand for any language.
    text = document.read_text().replace("<lang>", "xx").replace("xx/", "ru/").replace("xx.", "ru.")
    for path in re.findall(rf"`((?:{OUR_FOLDERS})/[^\s`]*)", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_example_from_the_code_stands_in_the_code(document):
    for path, example in re.findall(r"```python\n# (\S+)\n(.+?)```", document.read_text(), re.DOTALL):
        code = [line.strip() for line in (ROOT / path).read_text().splitlines()]
        assert "\n".join(line.strip() for line in example.splitlines()) in "\n".join(code), f"{path}: {example}"


def test_the_version_stands_in_one_place():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[(\d.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    code = [path for folder in ("bench", "campaign", "config", "petition") for path in (ROOT / folder).rglob("*.py")]
    files = [*code, *(ROOT / "templates").rglob("*.html"), *DOCUMENTS]

    assert newest[1] == version
    # Not within a network like 192.0.2.0.
    alone = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    assert [path.name for path in files if alone.search(path.read_text())] == ["CHANGELOG.md"]


def test_the_product_takes_no_package_under_the_gpl():
    names = set(re.findall(r"^([\w-]+)==", (ROOT / "deploy/requirements.txt").read_text(), re.MULTILINE))
    for name in names - {"tzdata"}:  # which is for Windows
        said = metadata.metadata(name)
        licence = " ".join([said["License-Expression"] or "", said["License"] or "", *said.get_all("Classifier", [])])
        assert not re.search(r"(?<!Lesser )General Public|\bA?GPL", licence), name
