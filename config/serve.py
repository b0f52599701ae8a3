"""The web server: granian, as it serves us everywhere.

    python -m config.serve --uds /run/petition/web.sock

What follows the name is granian's own. Killed, it would leave its workers behind, and its socket, at which it could not
be started again. So its workers end with it, and a socket at which nobody answers is removed first.
"""

import argparse
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from config.local.postgres import end_with

# On a busy machine a new worker needs some seconds to import the site, so on a reload the old one stays for ten.
GRANIAN = (
    *("granian", "config.wsgi:application", "--interface", "wsgi", "--no-ws", "--workers", "2"),
    *("--blocking-threads", "4", "--respawn-failed-workers", "--workers-kill-timeout", "10"),
)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--uds", type=Path)
    if uds := parser.parse_known_args()[0].uds:
        remove_if_stale(uds)
    granian = os.getpid()

    def in_worker() -> None:
        # Until a worker has imported the product it has granian's own handler, which notes the signal and goes on.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end_with(granian, signal.SIGKILL)

    os.register_at_fork(after_in_child=in_worker)
    sys.argv[:1] = GRANIAN
    runpy.run_module("granian", run_name="__main__", alter_sys=True)


def remove_if_stale(path: Path) -> None:
    """Remove this socket if nobody answers at it. Any other file is left, for granian to complain about."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            if path.is_socket():
                with suppress(FileNotFoundError):
                    path.unlink()
        except OSError:
            return


if __name__ == "__main__":
    main()
