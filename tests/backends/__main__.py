"""`make test-backends`: starts the servers, runs both contract suites on them, and then the tests of this folder.

What follows on the command line is for the latter: --rounds=50, --parts=2000, -k something.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.docker.errors import SamError
from dev.local.errors import LocalError
from tests.backends import servers
from tests.backends.errors import BackendMissingError
from tests.contract.conftest import DYNAMODB_LOCAL, LOCALSTACK, SEAWEEDFS, environment_variable

SERVER_STARTERS = {
    DYNAMODB_LOCAL: servers.dynamodb_local,
    SEAWEEDFS: servers.seaweedfs,
    LOCALSTACK: servers.localstack_s3,
}


def main(arguments: Sequence[str]) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ferry-backends-")))
        env = {**os.environ}
        try:
            for name, started in SERVER_STARTERS.items():
                env[environment_variable(name)] = stack.enter_context(started(folder))
                sys.stderr.write(f"{name} answers at {env[environment_variable(name)]}\n")
        except (BackendMissingError, LocalError, SamError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        pytest = [sys.executable, "-m", "pytest"]
        suites = [
            [*pytest, "tests/contract", "-k", " or ".join(SERVER_STARTERS), "--numprocesses=2"],
            [*pytest, "tests/backends", *arguments],
        ]
        return max([subprocess.run(suite, env=env, check=False).returncode for suite in suites])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
