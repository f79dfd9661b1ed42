"""A service behind a line that is cut, whose processes are killed, while a client uploads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from dev.docker import start_api
from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from dev.local.tcp_ports import free_ports
from dev.network.model import Network
from dev.network.proxy import NetworkProxy

_HOST = "127.0.0.1"
_CLIENT_ID = "demo"
_POLL_SECONDS = 0.05
_LINGER_SECONDS = 2.0
_KILL_TIMEOUT_SECONDS = 60


class Disruption(StrEnum):
    """What happens to an upload."""

    CUT = "cut"
    """The connection that carries the upload's bytes is reset."""
    KILL = "kill"
    """Every process of the service is killed with SIGKILL; the service starts again."""


class RunningService(Protocol):
    """A service that runs."""

    @property
    def connection_info(self) -> dict[str, Any]:
        """The addresses and the clients, as `ferry.json` has them."""

    def stop(self) -> object:
        """Stop it."""

    def kill(self) -> object:
        """Kill it with SIGKILL, so that another one can be started."""


class _DisruptedProxy(NetworkProxy):
    """A proxy that calls a function once so many bytes have passed to the server."""

    def __init__(self, target_port: int) -> None:
        super().__init__(_HOST, target_port, Network())
        # Some clients open a connection for each request, and the gateway keeps those that they have closed.
        self.linger_seconds = _LINGER_SECONDS
        self.disruptions: list[tuple[int, Disruption]] = []
        """What is still to happen, each with its count of bytes, the first one first."""
        self.kill_due, self.killed = threading.Event(), threading.Event()

    def count(self, size_bytes: int, *, is_up: bool) -> None:
        """Count bytes. Raises `ConnectionResetError` where they reach a disruption; the bytes are then lost."""
        super().count(size_bytes, is_up=is_up)
        if is_up and self.disruptions and self.bytes_up >= self.disruptions[0][0]:
            _, disruption = self.disruptions.pop(0)
            if disruption is Disruption.KILL:
                self.kill_due.set()
                # The connection stays as it is until the service is dead, as it would without the proxy.
                self.killed.wait(_KILL_TIMEOUT_SECONDS)
            raise ConnectionResetError


class DisruptedService:
    """A running service, and the proxy in front of it. `base_url` is the proxy's."""

    def __init__(self, start: Callable[[int, str], RunningService]) -> None:
        """Start the proxy and the service.

        Args:
            start: starts the service on a port of the loopback interface, with an address for its URLs.
        """
        self._start_on = start
        [self._port] = free_ports(1)
        self._proxy = _DisruptedProxy(self._port)
        self._proxy.__enter__()
        self.base_url = f"http://{_HOST}:{self._proxy.port}"
        """The address that clients use, also in `Location`."""
        self.service = self._start()
        """The service. It is another object after a kill."""

    def _start(self) -> RunningService:
        return self._start_on(self._port, self.base_url)

    def stop(self) -> None:
        """Stop the service and the proxy."""
        self._proxy.__exit__()
        self.service.stop()

    @property
    def bytes_sent(self) -> int:
        """Bytes that have passed to the service, headers and repeated bytes included."""
        return self._proxy.bytes_up

    def log_in(self) -> FerryClient:
        """Return a client of the API with a token. It does not use the proxy."""
        connection_info = self.service.connection_info
        secret = next(
            entry["client_secret"] for entry in connection_info["clients"] if entry["client_id"] == _CLIENT_ID
        )
        return FerryClient(connection_info["base_url"]).authenticate(_CLIENT_ID, secret)

    def run(self, upload: Callable[[], None], disruptions: Sequence[tuple[int, Disruption]] = ()) -> None:
        """Run an upload to its end, disrupted after so many bytes each. Raise what it raises.

        Raises:
            AssertionError: the upload ended before the last disruption.
        """
        errors: list[BaseException] = []

        def run_upload() -> None:
            try:
                upload()
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)

        self._proxy.disruptions = [(self.bytes_sent + count, kind) for count, kind in disruptions]
        thread = threading.Thread(target=run_upload, daemon=True)
        thread.start()
        # The service ends with the thread that has started it, so this thread starts it again.
        while thread.is_alive():
            if self._proxy.kill_due.wait(_POLL_SECONDS):
                self._restart()
        if errors:
            raise errors[0]
        assert not self._proxy.disruptions, f"the upload ended before {self._proxy.disruptions}"

    def _restart(self) -> None:
        self._proxy.kill_due.clear()
        self.service.kill()
        self._proxy.killed.set()
        self.service = self._start()
        self._proxy.killed.clear()


@contextmanager
def disrupted_service(state_folder: Path, parameters: str = "") -> Iterator[DisruptedService]:
    """Run a local service while the context lasts. A kill ends all its processes, its backends, too."""

    def start(port: int, public_url: str) -> LocalService:
        return LocalService(
            state_folder,
            parameters=parameters,
            options=("--port", str(port)),
            environment={"FERRY_PUBLIC_URL": public_url},
        )

    with _stopped(DisruptedService(start)) as service:
        yield service


@contextmanager
def disrupted_sam_service(state_folder: Path, parameters: str = "") -> Iterator[DisruptedService]:
    """Run `sam local start-api` on the built functions while the context lasts. Docker's daemon must run.

    A kill ends SAM CLI and the containers of the functions. The backends are those of a local service, which stays.
    """
    with ExitStack() as stack:

        def start(port: int, public_url: str) -> SamApi:
            if not connection_info:
                connection_info.update(stack.enter_context(start_api.backends(state_folder, parameters, public_url)))
            return SamApi(port, state_folder, connection_info)

        connection_info: dict[str, Any] = {}
        yield stack.enter_context(_stopped(DisruptedService(start)))


@contextmanager
def _stopped(service: DisruptedService) -> Iterator[DisruptedService]:
    try:
        yield service
    finally:
        service.stop()


class SamApi:
    """A running `sam local start-api` beside the local service of a state folder."""

    def __init__(self, port: int, state_folder: Path, connection_info: Mapping[str, Any]) -> None:
        """Start it, and return once it responds. Raises `SamError`."""
        self.connection_info = {**connection_info, "base_url": f"http://{_HOST}:{port}"}
        self._stack = ExitStack()
        self._process = self._stack.enter_context(start_api.functions_served(port, state_folder))

    def stop(self) -> None:
        """Stop it, and remove the containers of its functions. Idempotent."""
        self._stack.close()

    def kill(self) -> None:
        """Kill it, and then the containers of its functions, with SIGKILL."""
        self._process.kill()
        self._process.wait()
        # `docker rm --force` sends SIGKILL.
        self._stack.close()


def spread(size_bytes: int, kinds: Sequence[Disruption]) -> list[tuple[int, Disruption]]:
    """Return disruptions at even distances within an upload of so many bytes."""
    return [(size_bytes * number // (len(kinds) + 1), kind) for number, kind in enumerate(kinds, 1)]
