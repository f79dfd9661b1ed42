"""`python -m admin`, which `./ferry-admin` calls with the right import path."""

from __future__ import annotations

import signal
import sys


def _run() -> int:
    # Ctrl-C during the imports would print a traceback; afterwards `main` handles it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from admin.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


if __name__ == "__main__":
    sys.exit(_run())
