"""Start the servers, run the contract tests on them, then the tests of this folder: `make test-backends`.

Options: --without-contracts skips the contract tests. All other options go to the tests of this folder: --rounds=50,
--parts=2000, -k EXPRESSION.
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

WITHOUT_CONTRACTS = "--without-contracts"
SERVER_STARTERS = {
    DYNAMODB_LOCAL: servers.dynamodb_local,
    SEAWEEDFS: servers.seaweedfs,
    LOCALSTACK: servers.localstack_s3,
}


def main(arguments: Sequence[str]) -> int:
    """Return the highest exit code of the suites; 1 if a server does not start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ferry-backends-")))
        env = {**os.environ}
        try:
            for name, start_server in SERVER_STARTERS.items():
                env[environment_variable(name)] = stack.enter_context(start_server(folder))
                sys.stderr.write(f"{name} listens at {env[environment_variable(name)]}\n")
        except (BackendMissingError, LocalError, SamError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        pytest = [sys.executable, "-m", "pytest", "--numprocesses=2"]
        contracts = [*pytest, "tests/contract", "-k", " or ".join(SERVER_STARTERS)]
        # The threads of a race share one process, so that a second file runs beside it.
        options = [option for option in arguments if option != WITHOUT_CONTRACTS]
        backends = [*pytest, "tests/backends", "--dist=loadfile", *options]
        suites = [backends] if WITHOUT_CONTRACTS in arguments else [contracts, backends]
        return max([subprocess.run(suite, env=env, check=False).returncode for suite in suites])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
