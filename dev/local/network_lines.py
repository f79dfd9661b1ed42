"""Put a model of AWS's delays before S3 and DynamoDB (`NETWORK=aws`)."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

from dev.local import processes, tcp_ports
from dev.local.backends import RunningBackends
from dev.local.errors import LocalError
from dev.local.state import StateFolder
from dev.network.aws import SERVICES, AwsDelays
from dev.paths import ROOT

COUNTS_FILE = "network.json"
"""The file in the state folder with the requests and bytes that have passed (`dev.network.aws.read_counts`)."""

_START_TIMEOUT_SECONDS = 30.0
_LOG_NAME = "network"


async def put_before(
    backends: RunningBackends, delays: AwsDelays, state: StateFolder, running: contextlib.AsyncExitStack
) -> RunningBackends:
    """Start both lines, and return the backends with the lines' addresses. Raises `LocalError`.

    A process of its own runs them, so that its processor time is apart from the gateway's.
    """
    ports = dict(zip(SERVICES, tcp_ports.free_ports(len(SERVICES)), strict=True))
    servers = {"s3": backends.s3.port, "dynamodb": backends.dynamodb.port}
    pairs = [text for name, port in ports.items() for text in (f"--{name}", str(port), str(servers[name]))]
    counts = state.folder.resolve() / COUNTS_FILE
    counts.unlink(missing_ok=True)
    child = await processes.start_process(
        [sys.executable, "-m", "dev.network.aws", "--model", delays.to_text(), "--counts", str(counts), *pairs],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        log_name=_LOG_NAME,
        state=state,
    )
    running.push_async_callback(child.stop)
    for port in ports.values():
        if not await tcp_ports.wait_for_listener(port, _START_TIMEOUT_SECONDS, child.is_alive):
            raise LocalError(f"the network model did not start: see {state.log_path(_LOG_NAME)}")
    return replace(backends, lines={name: f"http://{tcp_ports.HOST}:{port}" for name, port in ports.items()})
