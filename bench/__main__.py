"""`make bench`: everything that is measured, in order. The method is in docs/performance.md."""

# ruff: noqa: T201, talking is what this program is for
import argparse
import os
import time
from dataclasses import replace

from bench import environment, load
from bench.plan import QUICK, Plan
from bench.report import Report, Row
from tests.support import nginx


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, print a table, write var/bench.json.")
    parser.add_argument("--quick", action="store_true", help="in a minute: does everything run, not how fast")
    parser.add_argument("--rows", help="numbers of signatures, for example 0,1000000,10000000")
    parser.add_argument(
        "--only", help="parts to measure: pages,signing,confirming,growth,counts,admin,triggers,mail,weight"
    )
    parser.add_argument("--fresh", action="store_true", help="seed anew, even where an earlier bench left its seeds")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else Plan()
    if chosen.rows:
        plan = replace(plan, rows=tuple(sorted(map(int, chosen.rows.split(",")))))
    with environment.running():
        report = Report(environment.machine())
        started = time.monotonic()
        if os.getloadavg()[0] > 1 and not chosen.quick:
            print("The machine is busy with something else: do not trust these figures.", flush=True)
        measure(plan, report, chosen.only.split(",") if chosen.only else None, chosen.fresh)
        report.write(environment.VAR.parent / "bench.json")
        print(f"\n{report.text()}\n\nIn {time.monotonic() - started:.0f} seconds. The same, with every repeat, is in"
              " var/bench.json.")  # fmt: skip


def measure(plan: Plan, report: Report, only: list[str] | None, fresh: bool) -> None:
    # These import the product, which is configured by now.
    from bench import admin, serving, storing, weight

    missing = "wrk is not installed" if load.WRK is None else nginx.MISSING

    def wanted(part: str) -> bool:
        if only and part not in only:
            return False
        if missing and part in ("growth", "pages", "signing", "confirming", "weight"):
            report.add(Row(part, note=f"skipped: {missing}"))
            return False
        return True

    databases = {rows: environment.prepare(rows, fresh) for rows in sorted({0, *plan.rows})}
    empty, full = databases[0], max(plan.rows)
    # First, since what is signed later would weigh on the empty table.
    if wanted("growth"):
        with environment.web(databases[full]) as full_app, environment.web(empty) as empty_app:
            serving.growth(plan, (empty_app, empty), (full_app, databases[full]), full, report)
    for rows in plan.rows:
        database = databases[rows]
        if wanted("counts"):
            storing.counts(plan, database, rows, report)
            storing.export(plan, database, empty, rows, report)
        if rows and wanted("admin"):
            admin.lists(plan, database, rows, report)
            admin.pages(plan, database, rows, report)
        if missing is None:
            with (
                environment.web(database) as app,
                environment.cache(app) as (front, files),
                environment.web(database, "bench.settings") as ceilings,
            ):
                site = serving.Site(rows, database, app, front, files, ceilings)
                if wanted("pages"):
                    serving.pages(plan, site, report)
                if wanted("signing"):
                    serving.signing(plan, site, report)
                if wanted("confirming"):
                    serving.confirming(plan, site, report)
                if rows == full and wanted("weight"):
                    weight.weight(front, report)
    if wanted("admin"):
        # All of them within the days in which anomalies are looked for.
        window = min(1_000_000, full)
        recent = environment.prepare(window, fresh, days=29)
        admin.find_anomalies(plan, recent, window, report)
        environment.clear(recent)
    if wanted("mail"):
        storing.mail(plan, databases[full], full, report)
    if wanted("triggers"):
        storing.triggers(plan, empty, report)
    for database in databases.values():
        environment.clear(database)


if __name__ == "__main__":
    main()
