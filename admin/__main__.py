"""`python -m admin`, which `./ferry-admin` calls with the right paths."""

from __future__ import annotations

import sys

from admin.cli import main

if __name__ == "__main__":
    sys.exit(main())
