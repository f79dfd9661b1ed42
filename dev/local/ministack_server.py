"""Run DynamoDB and KMS: ministack in a child process (`dev.local.ministack_host`) that saves each change."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.local import processes, tcp_ports
from dev.local.errors import LocalError
from dev.local.processes import ManagedProcess
from dev.local.state import START_ANEW, StateFolder
from dev.local.wal_files import DamagedStateError, read_state
from dev.paths import ROOT

_START_TIMEOUT_SECONDS = 30.0
_STOP_GRACE_SECONDS = 10.0


class MinistackServer:
    """The running server: DynamoDB and KMS on one port."""

    def __init__(self, process: ManagedProcess, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        """The address of DynamoDB and KMS."""
        return f"http://{tcp_ports.HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.alive

    async def stop(self) -> None:
        """Stop the server, which saves its state first."""
        await self._process.stop(_STOP_GRACE_SECONDS)

    async def kill(self) -> None:
        """End the server at once."""
        await self._process.stop()


async def start(state: StateFolder, credentials: Mapping[str, str], preferred_ports: Sequence[int]) -> MinistackServer:
    """Start the server, on a preferred port where one is free. Raises `LocalError`."""
    folder = state.folder / "dynamodb"
    folder.mkdir(exist_ok=True)
    check_state(folder)
    # The child gets the listening socket: a port that is merely found free may be taken before the child listens on it.
    with tcp_ports.listen_on_any(preferred_ports) as listener:
        port = listener.getsockname()[1]
        child = await processes.start_process(
            [sys.executable, "-m", "dev.local.ministack_host", str(listener.fileno())],
            env=server_environment(folder, port, credentials),
            cwd=ROOT,
            log_name="dynamodb",
            state=state,
            inherited_descriptors=(listener.fileno(),),
        )
    if not await tcp_ports.wait_for_response(port, _START_TIMEOUT_SECONDS, lambda: child.alive):
        await child.stop()
        raise LocalError(f"ministack did not start: see {state.log_path('dynamodb')}")
    return MinistackServer(child, port)


def check_state(folder: Path) -> None:
    """Check the saved tables and keys, and report what is repaired. Raises `LocalError` when something is lost."""
    try:
        notes = read_state(folder).notes
    except DamagedStateError as error:
        raise LocalError(
            f"{error}. With it the records of files, uploads and clients and the signing key are lost. "
            f"Put it back from a copy, or delete all state and start with none: {START_ANEW}"
        ) from None
    for note in notes:
        print(f"ferry: {note}", file=sys.stderr, flush=True)


def server_environment(folder: Path, port: int, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return ministack's settings: two services, and no Docker, whose containers it would remove."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "SERVICES": "dynamodb,kms",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": tcp_ports.HOST,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "DOCKER_HOST": "unix:///nonexistent",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        **credentials,
    }
