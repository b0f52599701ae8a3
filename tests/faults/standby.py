"""The primary is killed and its synchronous standby promoted: no acknowledged write is lost."""

import time

from tests.faults.rig import Cluster

BACK_SECONDS = 10


def test_promoted(site, note):
    standby = Cluster(site.folder / "standby", site.logs / "standby.log")
    primary = site.cluster
    site.variables["DATABASE_URL"] = (
        f"postgresql://petition@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/petition?target_session_attrs=read-write"
    )
    standby.make_folder()
    primary.start()
    primary.run(
        "pg_basebackup", "-h", primary.folder, "-p", str(primary.port), "-U", "postgres", "-D", standby.data, "-R"
    )
    standby.start()
    primary.reload(synchronous_standby_names="*")
    try:
        with site:
            with site.crowd(before=5, after=15) as signers, signers.broken():
                primary.kill()
                # As whoever watches them does, with synchronous_standby_names emptied: there is no other standby.
                standby.configure(synchronous_standby_names="")
                standby.run("pg_ctl", "promote", "-D", standby.data)
                site.cluster = standby
                time.sleep(1)
            row = note(site.row(signers, "primary killed, synchronous standby promoted"))
    finally:
        standby.stop()
    assert not row.errors, row
    assert row.recovered < BACK_SECONDS, row
