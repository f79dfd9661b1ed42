"""Start the local service in order, serve until it is stopped, and stop everything in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dev.local import (
    clients,
    docker_bridge,
    eventbridge,
    http_server,
    network_lines,
    sam_cli,
    scheduler,
    stack,
    tcp_ports,
)
from dev.local.backends import start_backends
from dev.local.emulator import LambdaEmulator
from dev.local.errors import LocalError
from dev.local.function_url import FunctionUrlGateway
from dev.local.gateway import Gateway
from dev.local.lambda_api import LambdaApiEmulator
from dev.local.pool import Event, InstancePool
from dev.local.s3_range_proxy import S3RangeProxy
from dev.local.sigv4 import SignatureVerifier
from dev.local.startup import ServiceOptions, StartupPlan, read_startup_plan
from dev.local.state import StateFolder
from dev.local.terminal import ReadyInfo, guide, print_event, print_request, progress, ready_line, short_path

_EVICTION_INTERVAL_SECONDS, _MAX_IDLE_SECONDS = 30.0, 300.0
"""How often idle instances are looked for, and after which time one is stopped. Lambda, too, keeps them for minutes."""

Application = Gateway | LambdaApiEmulator | S3RangeProxy | eventbridge.EventBridgeEmulator
Applications = Mapping[int, Application]
"""Applications by the file descriptor of the socket that each one serves."""


@dataclass(frozen=True, slots=True)
class _Listeners:
    """The sockets that this process serves, all on the loopback interface."""

    api: socket.socket
    """The gateway: the only port that is meant for clients."""
    lambda_api: socket.socket
    """Lambda's Invoke API, for functions."""
    eventbridge: socket.socket
    """EventBridge's PutEvents, for functions."""
    s3_proxy: socket.socket
    """A proxy for ranged GETs, which SeaweedFS handles differently from S3."""
    function_url: socket.socket | None
    """The chunk function's URL, the other port for clients; None without one (ChunkEndpoint)."""

    def close(self) -> None:
        for listener in (self.api, self.lambda_api, self.eventbridge, self.s3_proxy, self.function_url):
            if listener is not None:
                listener.close()


async def run(options: ServiceOptions, *, started: asyncio.Event, stopping: asyncio.Event) -> None:
    """Run until `stopping` is set. Set `started` once everything is up. Raises `LocalError`."""
    plan = read_startup_plan(options)
    async with contextlib.AsyncExitStack() as running:
        state = running.enter_context(contextlib.closing(StateFolder(options.state_folder)))
        sam_cli.remove_files(state.folder)
        service = _Service(plan, state, running)
        await service.start()
        await service.serve(started, stopping)
    progress(f"stopped; files and open uploads are in {short_path(options.state_folder)}", quiet=options.quiet)


class _Service:
    """The parts of a run. `running` stops whatever has started, in the reverse order."""

    def __init__(self, plan: StartupPlan, state: StateFolder, running: contextlib.AsyncExitStack) -> None:
        self._plan = plan
        self._options = plan.options
        self._state = state
        self._running = running
        self._clients = clients.load_clients(state.read_json("ferry.json"))
        self._listeners = running.enter_context(contextlib.closing(_listen(plan)))

    async def start(self) -> None:
        """Start the backends and the schedules, and write the files that others read. Raises `LocalError`."""
        progress("starting S3 (SeaweedFS), DynamoDB and KMS (ministack)", quiet=self._options.quiet)
        self._backends = await start_backends(self._state, self._plan.draft, self._clients, self._running)
        if self._options.network is not None:
            self._backends = await network_lines.put_before(
                self._backends, self._options.network, self._state, self._running
            )
            progress(self._options.network.describe(), quiet=self._options.quiet)
        functions_reach = {
            "lambda": _url_of(self._listeners.lambda_api),
            "events": _url_of(self._listeners.eventbridge),
        }
        self._stack = self._plan.resolve(
            self._backends.key_ids,
            {**self._backends.endpoints, **functions_reach},
            _url_of(self._listeners.api),
            "" if self._listeners.function_url is None else _url_of(self._listeners.function_url),
        )
        self._pools = self._create_pools()
        relay = await self._start_relay()
        self._ready = ReadyInfo(
            requested_port=self._options.port,
            port=self._listeners.api.getsockname()[1],
            s3_url=self._backends.endpoints["s3"],
            dynamodb_url=self._backends.endpoints["dynamodb"],
            state_folder=self._options.state_folder,
            clients=self._clients,
            routes=self._stack.routes,
            relay_address=relay.address if relay is not None else None,
        )
        self._write_files()
        tasks = [
            asyncio.create_task(scheduler.run_schedule(entry, next_time, self._invoke))
            for entry, next_time in self._plan.schedules
        ]
        tasks.append(asyncio.create_task(_evict_idle(self._pools)))
        tasks.append(asyncio.create_task(self._backends.recover_from_full_disk()))
        tasks.append(asyncio.create_task(self._backends.record_volumes()))
        self._running.push_async_callback(_cancel_tasks, tasks)

    async def serve(self, started: asyncio.Event, stopping: asyncio.Event) -> None:
        """Print the ready line and serve until `stopping`. Raises `LocalError` when S3 or DynamoDB ends."""
        server = asyncio.create_task(serve_all(self._create_applications(), stopping))
        backend_exit = asyncio.create_task(self._backends.wait_for_exit())
        print(ready_line(self._ready), flush=True)
        progress(guide(self._ready), quiet=self._options.quiet)
        started.set()
        try:
            done, _ = await asyncio.wait({server, backend_exit}, return_when=asyncio.FIRST_COMPLETED)
            # On a new line: the terminal shows `^C` in this one.
            progress("\nstopping", quiet=self._options.quiet)
            stopping.set()
            await server
        finally:
            await _cancel_tasks([backend_exit])
        if backend_exit in done:
            logs = self._state.folder / "logs"
            raise LocalError(f"{backend_exit.result()} ended unexpectedly: see {logs}, then start again")

    async def _invoke(self, name: str, event: Event, timeout_seconds: float | None = None) -> bytes:
        """Invoke a function for at most its own timeout."""
        limit = self._stack.functions[name].timeout_seconds
        return await self._pools[name].invoke(event, limit if timeout_seconds is None else min(timeout_seconds, limit))

    def _create_pools(self) -> dict[str, InstancePool]:
        emulator = LambdaEmulator(
            self._state,
            self._backends.credentials,
            echo=not self._options.quiet,
            record_calls=self._options.record_calls,
        )
        pools: dict[str, InstancePool] = {}
        for name, function in self._stack.functions.items():
            pools[name] = InstancePool(partial(emulator.start, function), self._options.max_instances)
            self._running.push_async_callback(pools[name].close)
        return pools

    async def _start_relay(self) -> docker_bridge.BridgeRelay | None:
        """Relay S3 and DynamoDB to containers where Docker runs. Raises `LocalError`."""
        try:
            relay = await docker_bridge.start_relay((self._backends.s3.port, self._backends.dynamodb.port))
        except OSError as error:
            raise LocalError(
                f"cannot relay S3 and DynamoDB to Docker's containers ({error}): free the port, or stop Docker"
            ) from None
        if relay is not None:
            self._running.push_async_callback(relay.close)
        return relay

    def _write_files(self) -> None:
        """Write what clients (`ferry.json`), curl (`netrc`) and SAM CLI (`sam-*.json`) read."""
        content = {
            "base_url": self._ready.base_url,
            "s3_endpoint": self._ready.s3_url,
            "dynamodb_endpoint": self._ready.dynamodb_url,
            "aws_credentials": self._backends.client_options,
            "clients": [client.to_dict() for client in self._clients],
        }
        self._state.write_json("ferry.json", content)
        clients.write_netrc(self._state, self._clients[0])
        environment = sam_cli.container_environment(
            self._stack.functions, self._ready.s3_url, self._ready.dynamodb_url, self._backends.credentials
        )
        sam_cli.write_files(self._state, environment, sam_cli.container_template(self._plan.source, self._plan.folder))
        self._running.callback(sam_cli.remove_files, self._state.folder)

    def _create_applications(self) -> Applications:
        gateway = Gateway(
            self._stack.routes,
            self._stack.cors,
            self._invoke,
            proxy_origins={self._backends.endpoints["s3"]: _url_of(self._listeners.s3_proxy)},
            on_response=None if self._options.quiet else print_request,
            storage_is_low=self._backends.storage_is_low,
        )
        physical_names = {stack.physical_name(name): name for name in self._stack.functions}
        credentials = self._backends.credentials
        lambda_api = LambdaApiEmulator(physical_names, self._invoke, SignatureVerifier(credentials, {"lambda"}))
        self._running.push_async_callback(lambda_api.close)
        bus_names = frozenset(self._stack.event_buses)
        bus = eventbridge.EventBridgeEmulator(
            bus_names,
            self._state.folder,
            SignatureVerifier(credentials, {"events"}),
            on_event=None if self._options.quiet else print_event,
        )
        s3_proxy = S3RangeProxy(self._backends.endpoints["s3"])
        # Detached: Hypercorn closes the sockets, so `_Listeners.close` must not.
        applications: dict[int, Application] = {
            self._listeners.api.detach(): gateway,
            self._listeners.lambda_api.detach(): lambda_api,
            self._listeners.eventbridge.detach(): bus,
            self._listeners.s3_proxy.detach(): s3_proxy,
        }
        if self._listeners.function_url is not None:
            [url] = self._stack.function_urls
            applications[self._listeners.function_url.detach()] = FunctionUrlGateway(
                url,
                self._invoke,
                on_response=None if self._options.quiet else print_request,
                storage_is_low=self._backends.storage_is_low,
            )
        return applications


def _listen(plan: StartupPlan) -> _Listeners:
    """Listen on the API's port, else on one of the next that `sam local start-api` does not need, and on free ports."""
    api = tcp_ports.listen_near(plan.options.port, avoid=sam_cli.API_PORT)
    lambda_api, eventbridge_api, s3_proxy = (tcp_ports.listen_near(0) for _ in range(3))
    function_url = tcp_ports.listen_near(0) if plan.draft.function_urls else None
    return _Listeners(api, lambda_api, eventbridge_api, s3_proxy, function_url)


def _url_of(listener: socket.socket) -> str:
    return f"http://{tcp_ports.HOST}:{listener.getsockname()[1]}"


async def serve_all(applications: Applications, stopping: asyncio.Event) -> None:
    http_server.install()
    await asyncio.gather(
        *(http_server.serve_socket(each, listener, stopping) for listener, each in applications.items())
    )


async def _evict_idle(pools: Mapping[str, InstancePool]) -> None:
    """Stop idle instances, again and again until this is cancelled."""
    while True:
        await asyncio.sleep(_EVICTION_INTERVAL_SECONDS)
        for pool in pools.values():
            await pool.evict_idle(_MAX_IDLE_SECONDS)


async def _cancel_tasks(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
