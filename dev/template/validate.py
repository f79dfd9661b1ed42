"""Run `sam validate --lint` on each template in one process: `python -m dev.template.validate TEMPLATE...`.

Loading SAM CLI and the rules of cfn-lint takes longer than linting a template.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from samcli.cli.main import cli

ENVIRONMENT = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}


def main(templates: Sequence[str]) -> int:
    """Return the exit code of the first validation that fails, or 0."""
    os.environ |= ENVIRONMENT
    for template in templates:
        try:
            cli.main(["validate", "--lint", "--template", template], prog_name="sam")
        except SystemExit as end:
            if end.code:
                return int(end.code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
