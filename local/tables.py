"""DynamoDB and KMS on this machine: ministack, in a child process (`local.tables_host`) that keeps its state saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import children, sockets
from local.children import Child
from local.errors import LocalError
from local.state import State

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
DAMAGED = 3
"""The child's exit code when its saved state cannot be read."""


class TableServer:
    """The running server: DynamoDB and KMS on one port."""

    def __init__(self, child: Child, port: int) -> None:
        self._child = child
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{sockets.HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._child.alive

    async def stop(self) -> None:
        """Stop it; it saves its state first."""
        await self._child.stop(_STOP_SECONDS)


async def start(state: State, credentials: Mapping[str, str], preferred: Sequence[int]) -> TableServer:
    """Raises `LocalError`."""
    port = next((port for port in preferred if sockets.is_free(port)), None) or sockets.free_ports(1)[0]
    folder = state.folder / "tables"
    folder.mkdir(exist_ok=True)
    child = await children.start(
        [sys.executable, "-m", "local.tables_host"],
        env=environment(folder, port, credentials),
        cwd=Path(__file__).parent.parent,
        log="tables",
        state=state,
    )
    if not await sockets.listening(port, _START_SECONDS, lambda: child.alive):
        await child.stop()
        if child.returncode == DAMAGED:
            raise LocalError(f"the saved tables in {folder} are damaged: start anew with `python -m local --reset`")
        raise LocalError(f"ministack did not start; see {state.log_file('tables')}")
    return TableServer(child, port)


def environment(folder: Path, port: int, credentials: Mapping[str, str]) -> dict[str, str]:
    """Settings of ministack: only the two services, and nothing of Docker, for it would tidy away containers."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "SERVICES": "dynamodb,kms",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": sockets.HOST,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "DOCKER_HOST": "unix:///nonexistent",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        **credentials,
    }
