"""The next version comes, with a migration, while people sign: no request fails."""

import shutil
import signal
import subprocess
import time

from tests.support import nginx, server

MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("petition", {last!r})]
    operations = [migrations.AddField("signature", "next_version", models.CharField(max_length=10, null=True))]
"""
RELOAD_SECONDS = 40


def copied(folder):
    kept = ("bench", "campaign", "config", "deploy", "locale", "petition", "static", "templates", "tests")
    for name in kept:
        shutil.copytree(
            nginx.PROJECT / name, folder / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
        )
    shutil.copy(nginx.PROJECT / "manage.py", folder)
    return folder


def add_migration(project):
    folder = project / "petition" / "migrations"
    last = max(file.stem for file in folder.glob("0*.py"))
    (folder / "9999_the_next_version.py").write_text(MIGRATION.format(last=last))


def migrate_twice(site):
    """At once, as two machines do; what each said."""
    command = [server.PYTHON, "manage.py", "migrate", "--no-input"]
    both = [
        subprocess.Popen(
            command,
            cwd=site.project,
            env=site.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _number in range(2)
    ]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    return said


def test_forward_and_back(site, note):
    site.project = copied(site.folder / "project")
    with site:
        processes = set(site.web.pids())
        with site.crowd(after=5) as signers, signers.broken():
            add_migration(site.project)
            said = migrate_twice(site)
            site.web.kill(signal.SIGHUP)
            for worker in site.workers:
                worker.kill(signal.SIGTERM)
            server.wait_until(
                lambda: not (processes - {site.web.process.pid}) & set(site.web.pids()), RELOAD_SECONDS + 20
            )
            time.sleep(1)
        row = note(site.row(signers, "deploy: two migrate at once, reload, new workers"))
        assert sorted("9999" in text for text in said) == [False, True]
        assert (row.errors, row.told_to_wait, row.repeated) == ({}, 0, 0), row
        assert site.cluster.sql("SELECT next_version FROM petition_signature LIMIT 1")

        with site.crowd(after=5) as signers, signers.broken():
            # The step back: the code first, since the old one bears the new column; then the column.
            site.web.kill(signal.SIGHUP)
            time.sleep(RELOAD_SECONDS)
            site.manage(
                "migrate",
                "petition",
                sorted(file.stem for file in (site.project / "petition" / "migrations").glob("0*.py"))[-1],
            )
        row = note(site.row(signers, "a step back"))
        assert (row.errors, row.told_to_wait, row.repeated) == ({}, 0, 0), row
