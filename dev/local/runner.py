"""Starts everything, says so, and stops everything: the order of a local run."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from dev.local import (
    clients,
    dynamodb_server,
    eventbridge,
    provision,
    s3_server,
    schedule,
    scheduler,
    stack,
    tcp_ports,
    template,
)
from dev.local.emulator import LambdaEmulator
from dev.local.errors import LocalError
from dev.local.gateway import Gateway
from dev.local.lambda_api import LambdaApiEmulator
from dev.local.pool import InstancePool
from dev.local.provision import Backends
from dev.local.s3_range_proxy import S3RangeProxy
from dev.local.stack import Stack
from dev.local.state import StateFolder, new_secret
from ferry.auth.key_cache import MAX_TOKEN_TTL_SECONDS

_BACKENDS_FILE = "backends.json"
_AUTH_TABLE = "AuthTable"
_MAX_LONG_POLLS_PARAMETER = "MaxConcurrentLongPolls"
_ENDPOINTS_VARIABLE = "FERRY_ENDPOINTS"
_EVICTION_INTERVAL_SECONDS, _MAX_IDLE_SECONDS = 30.0, 300.0

Application = Gateway | LambdaApiEmulator | S3RangeProxy | eventbridge.EventBridgeEmulator
Applications = Mapping[int, Application]
"""By the file descriptor of the socket that they serve."""


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the person who starts it may choose."""

    port: int
    parameters: Mapping[str, str]
    max_instances: int
    quiet: bool
    template_path: Path
    state_folder: Path
    record_calls: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    """Values for environment variables that the template declares."""


def _read_template(options: ServiceOptions) -> tuple[Any, ServiceOptions]:
    """The template, and the options for it: where a function has few copies, half are for those who do not wait."""
    source = template.load_template(options.template_path)
    if _MAX_LONG_POLLS_PARAMETER not in source.get("Parameters", {}):
        return source, options
    fewer = {_MAX_LONG_POLLS_PARAMETER: str(max(1, options.max_instances // 2))}
    return source, replace(options, parameters=fewer | dict(options.parameters))


async def run(options: ServiceOptions, *, started: asyncio.Event, stopping: asyncio.Event) -> None:
    """Run until `stopping` is set; `started` is set once all is up. Raises `LocalError`."""
    source, options = _read_template(options)
    # Read once before anything starts, so that a mistake is told at once.
    folder = options.template_path.resolve().parent
    draft = stack.resolve_stack(source, folder, options.parameters)
    _check_environment(options.environment, draft)
    schedules = [(entry, schedule.parse(entry.expression)) for entry in draft.schedules]
    for function in draft.functions.values():
        if not function.code_folder.is_dir():
            raise LocalError(f"{function.name}: there is no folder {function.code_folder}")

    async with contextlib.AsyncExitStack() as running:
        state = running.enter_context(contextlib.closing(StateFolder(options.state_folder)))
        known = state.read_json(_BACKENDS_FILE)
        people = clients.load_clients(state.read_json("ferry.json"))
        listener, inner, telling, reading = (tcp_ports.listen_near(port) for port in (options.port, 0, 0, 0))
        for opened in (listener, inner, telling, reading):
            running.callback(opened.close)
        access_key = str(known.get("access_key") or f"FERRY{new_secret()[:16]}")
        secret_key = str(known.get("secret_key") or new_secret())
        credentials = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
        object_server, table_server = await _start_backends(state, known, credentials, running)
        backends = Backends(object_server.url, table_server.url, table_server.url, access_key, secret_key)
        keys = await asyncio.to_thread(provision.provision, backends, draft, known.get("keys", {}))
        state.write_json(
            _BACKENDS_FILE,
            {
                "access_key": access_key,
                "secret_key": secret_key,
                "keys": keys,
                "s3_ports": list(object_server.ports.values()),
                "dynamodb_port": table_server.port,
                **_admin_info(draft),
            },
        )
        if _AUTH_TABLE in draft.tables:
            store = clients.ClientTable(backends.dynamodb_client(), stack.physical_name(_AUTH_TABLE))
            await asyncio.to_thread(clients.seed_clients, store, people)

        endpoints = _endpoints_variable(backends, {"lambda": inner, "events": telling})
        environment = {**options.environment, _ENDPOINTS_VARIABLE: endpoints}
        final = stack.resolve_stack(source, folder, options.parameters, references=keys, environment=environment)
        pools = _create_pools(final, state, credentials, options, running)

        async def invoke(name: str, event: bytes, seconds: float | None = None) -> bytes:
            limit = final.functions[name].timeout_seconds
            return await pools[name].invoke(event, limit if seconds is None else min(seconds, limit))

        port = listener.getsockname()[1]
        state.write_json(
            "ferry.json",
            {
                "base_url": f"http://{tcp_ports.HOST}:{port}",
                "s3_endpoint": object_server.url,
                "dynamodb_endpoint": table_server.url,
                "clients": [client.to_dict() for client in people],
            },
        )
        gateway = Gateway(final.routes, final.cors, invoke, {object_server.url: _url_of(reading)})
        invocations = LambdaApiEmulator({stack.physical_name(name): name for name in pools}, invoke)
        running.push_async_callback(invocations.close)
        # The servers close them, so they must not be closed here as well.
        applications: Applications = {
            listener.detach(): gateway,
            inner.detach(): invocations,
            telling.detach(): eventbridge.EventBridgeEmulator(
                frozenset(final.event_buses), state.folder, echo=not options.quiet
            ),
            reading.detach(): S3RangeProxy(object_server.url),
        }
        server = asyncio.create_task(_serve_all(applications, stopping))
        helpers = [
            asyncio.create_task(scheduler.run_schedule(entry, following, invoke)) for entry, following in schedules
        ]
        helpers.append(asyncio.create_task(_evict_idle_forever(pools)))
        watch = asyncio.create_task(_wait_for_exit({"SeaweedFS": object_server, "ministack": table_server}))
        running.push_async_callback(_cancel_tasks, [*helpers, watch])
        _print_ready(options, port, object_server.url, table_server.url)
        started.set()
        done, _ = await asyncio.wait({server, watch}, return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        await server
        if watch in done:
            raise LocalError(f"{watch.result()} ended by itself; see {state.folder / 'logs'}")


def _check_environment(environment: Mapping[str, str], draft: Stack) -> None:
    """Raise `LocalError` for a variable that the local service sets, or that no function declares."""
    declared = {name for function in draft.functions.values() for name in function.environment}
    for name in environment:
        if name == _ENDPOINTS_VARIABLE:
            raise LocalError(f"--env: the local service sets {name}; leave it out")
        if name not in declared:
            raise LocalError(
                f"--env: the template declares no variable {name}; it declares {', '.join(sorted(declared))}"
            )


def _admin_info(draft: Stack) -> dict[str, Any]:
    """What `ferry-admin --local` asks CloudFormation for elsewhere."""
    return {
        "stack": stack.PSEUDO_PARAMETERS["AWS::StackName"],
        "region": stack.REGION,
        "outputs": {f"{logical}Name": stack.physical_name(logical) for logical in draft.tables},
        "token_ttl_seconds": int(draft.parameters.get("TokenTtlSeconds", MAX_TOKEN_TTL_SECONDS)),
    }


async def _start_backends(
    state: StateFolder, known: Mapping[str, Any], credentials: Mapping[str, str], running: contextlib.AsyncExitStack
) -> tuple[s3_server.S3Server, dynamodb_server.DynamoDBServer]:
    """Both at once."""

    def ports(name: str) -> list[int]:
        found = known.get(name, [])
        return [int(port) for port in (found if isinstance(found, list) else [found])]

    starts = await asyncio.gather(
        s3_server.start(state, credentials, ports("s3_ports")),
        dynamodb_server.start(state, credentials, ports("dynamodb_port")),
        return_exceptions=True,
    )
    for server in starts:
        if not isinstance(server, BaseException):
            running.push_async_callback(server.stop)
    object_server, table_server = starts
    if isinstance(object_server, BaseException):
        raise object_server
    if isinstance(table_server, BaseException):
        raise table_server
    return object_server, table_server


def _url_of(listener: socket.socket) -> str:
    return f"http://{tcp_ports.HOST}:{listener.getsockname()[1]}"


def _endpoints_variable(backends: Backends, emulators: Mapping[str, socket.socket]) -> str:
    """Return FERRY_ENDPOINTS: the backends, and the emulators inside this process."""
    addresses = [f"{name}={_url_of(opened)}" for name, opened in emulators.items()]
    return ",".join([backends.endpoints_variable(), *addresses])


def _create_pools(
    final: Stack,
    state: StateFolder,
    credentials: Mapping[str, str],
    options: ServiceOptions,
    running: contextlib.AsyncExitStack,
) -> dict[str, InstancePool]:
    emulator = LambdaEmulator(
        state,
        credentials,
        max_instances=options.max_instances,
        function_count=len(final.functions),
        echo=not options.quiet,
        record_calls=options.record_calls,
    )
    running.callback(emulator.close)
    pools: dict[str, InstancePool] = {}
    for name, function in final.functions.items():
        pools[name] = InstancePool(partial(emulator.start, function), options.max_instances)
        running.push_async_callback(pools[name].close)
    return pools


async def _serve_all(applications: Applications, stopping: asyncio.Event) -> None:
    await asyncio.gather(*(_serve(each, listener, stopping) for listener, each in applications.items()))


async def _serve(application: Application, listener: int, stopping: asyncio.Event) -> None:
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.include_server_header = False
    config.keep_alive_timeout = 75.0
    config.graceful_timeout = 1.0
    config.h11_max_incomplete_size = 256 * 1024
    config.loglevel = "WARNING"
    config.accesslog = None
    await serve(application, config, mode="asgi", shutdown_trigger=stopping.wait)


async def _evict_idle_forever(pools: Mapping[str, InstancePool]) -> None:
    while True:
        await asyncio.sleep(_EVICTION_INTERVAL_SECONDS)
        for pool in pools.values():
            await pool.evict_idle(_MAX_IDLE_SECONDS)


async def _wait_for_exit(servers: Mapping[str, s3_server.S3Server | dynamodb_server.DynamoDBServer]) -> str:
    """Wait until one of the servers has ended, and say which."""
    while True:
        for name, server in servers.items():
            if not server.alive:
                return name
        await asyncio.sleep(0.5)


async def _cancel_tasks(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _print_ready(options: ServiceOptions, port: int, s3: str, dynamodb: str) -> None:
    taken = f" (port {options.port} is taken)" if port != options.port else ""
    clients_at = options.state_folder / "ferry.json"
    print(
        f"ready http://{tcp_ports.HOST}:{port}{taken} · clients in {clients_at} · S3 {s3} · DynamoDB {dynamodb}",
        flush=True,
    )
