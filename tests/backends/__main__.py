"""Start the servers, run the tests of this folder, then the contract tests on them: `make test-backends`.

Options: --without-contracts skips the contract tests, and LocalStack, which they alone use. All other options go to the
tests of this folder: --rounds=50, --parts=2000, --rows=100000, -k EXPRESSION.
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
from tests.backends.background import BackgroundServer
from tests.backends.errors import BackendMissingError
from tests.contract.conftest import DYNAMODB_LOCAL, LOCALSTACK, SEAWEEDFS, environment_variable

WITHOUT_CONTRACTS = "--without-contracts"
SERVER_STARTERS = {
    DYNAMODB_LOCAL: servers.dynamodb_local,
    SEAWEEDFS: servers.seaweedfs,
    LOCALSTACK: servers.localstack_s3,
}
BACKEND_SERVERS = (DYNAMODB_LOCAL, SEAWEEDFS)
"""The servers that the tests of this folder use."""

PYTEST = (sys.executable, "-m", "pytest", "--numprocesses=2")


def main(arguments: Sequence[str]) -> int:
    """Return the highest exit code of the suites; 1 if a server does not start."""
    has_contracts = WITHOUT_CONTRACTS not in arguments
    names = [name for name in SERVER_STARTERS if has_contracts or name in BACKEND_SERVERS]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ferry-backends-")))
        # All start at once. LocalStack, whose installation takes longest, has the time of the first suite.
        running = {name: stack.enter_context(BackgroundServer(SERVER_STARTERS[name], folder)) for name in names}
        try:
            # The threads of a race share one process, so that a second file runs beside it.
            options = [option for option in arguments if option != WITHOUT_CONTRACTS]
            backends = [*PYTEST, "tests/backends", "--dist=loadfile", *options]
            codes = [_run(backends, {name: running[name] for name in BACKEND_SERVERS})]
            if has_contracts:
                contracts = [*PYTEST, "tests/contract", "-k", " or ".join(SERVER_STARTERS)]
                codes.append(_run(contracts, running))
        except (BackendMissingError, LocalError, SamError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        return max(codes)


def _run(suite: Sequence[str], running: dict[str, BackgroundServer]) -> int:
    """Run a suite once its servers listen, and return its exit code. Raises the error of a server."""
    addresses = {name: server.wait_until_ready() for name, server in running.items()}
    for name, address in addresses.items():
        sys.stderr.write(f"{name} listens at {address}\n")
    environment = {**os.environ, **{environment_variable(name): address for name, address in addresses.items()}}
    return subprocess.run(suite, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
