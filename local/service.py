"""Starts everything, says so, and stops everything: the order of a local run."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from ferry.access.keyring import MAX_LIFETIME
from ferry.aws.access_table import AccessTable
from local import bus, clients, objects, provision, schedule, sockets, stack, tables, template, ticker
from local.emulator import Emulator
from local.errors import LocalError
from local.gateway import Gateway
from local.invocations import Invocations
from local.pool import Pool
from local.provision import Backends
from local.reader import Reader
from local.stack import Stack
from local.state import State, secret

_BACKENDS = "backends.json"
_ACCESS_TABLE = "AccessTable"
_WAITING = "MostWaiting"
_REAP_EVERY, _REAP_IDLE = 30.0, 300.0

Application = Gateway | Invocations | Reader | bus.Bus
Applications = Mapping[int, Application]
"""By the file descriptor of the socket that they serve."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who starts it may choose."""

    port: int
    parameters: Mapping[str, str]
    copies: int
    quiet: bool
    template: Path
    state: Path
    record_calls: bool = False


def _read(options: Options) -> tuple[Any, Options]:
    """The template, and the options for it: where a function has few copies, half are for those who do not wait."""
    source = template.load(options.template)
    if _WAITING not in source.get("Parameters", {}):
        return source, options
    fewer = {_WAITING: str(max(1, options.copies // 2))}
    return source, replace(options, parameters=fewer | dict(options.parameters))


async def run(options: Options, *, started: asyncio.Event, stopping: asyncio.Event) -> None:
    """Run until `stopping` is set; `started` is set once all is up. Raises `LocalError`."""
    source, options = _read(options)
    if "Endpoints" in options.parameters:
        raise LocalError("PARAMS: Endpoints is set by the local service itself")
    # Read once before anything starts, so that a mistake is told at once.
    folder = options.template.resolve().parent
    draft = stack.read(source, folder, options.parameters)
    schedules = [(entry, schedule.parse(entry.expression)) for entry in draft.schedules]
    for function in draft.functions.values():
        if not function.code.is_dir():
            raise LocalError(f"{function.name}: there is no folder {function.code}")

    async with contextlib.AsyncExitStack() as running:
        state = running.enter_context(contextlib.closing(State(options.state)))
        known = state.read(_BACKENDS)
        people = clients.recall(state.read("ferry.json"))
        listener, inner, telling, reading = (sockets.listen_near(port) for port in (options.port, 0, 0, 0))
        for opened in (listener, inner, telling, reading):
            running.callback(opened.close)
        access_key = str(known.get("access_key") or f"FERRY{secret()[:16]}")
        secret_key = str(known.get("secret_key") or secret())
        credentials = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
        object_server, table_server = await _start_backends(state, known, credentials, running)
        backends = Backends(object_server.url, table_server.url, table_server.url, access_key, secret_key)
        keys = await asyncio.to_thread(provision.provision, backends, draft, known.get("keys", {}))
        state.write(
            _BACKENDS,
            {
                "access_key": access_key,
                "secret_key": secret_key,
                "keys": keys,
                "object_ports": list(object_server.ports.values()),
                "table_port": table_server.port,
                **_for_operators(draft),
            },
        )
        if _ACCESS_TABLE in draft.tables:
            store = AccessTable(backends.dynamodb_client(), stack.physical_name(_ACCESS_TABLE))
            await asyncio.to_thread(clients.seed, store, people)

        parameters = {**options.parameters}
        if "Endpoints" in source.get("Parameters", {}):
            parameters["Endpoints"] = _endpoints(backends, {"lambda": inner, "events": telling})
        final = stack.read(source, folder, parameters, references=keys)
        pools = _pools(final, state, credentials, options, running)

        async def invoke(name: str, event: bytes, seconds: float | None = None) -> bytes:
            limit = final.functions[name].timeout
            return await pools[name].invoke(event, limit if seconds is None else min(seconds, limit))

        port = listener.getsockname()[1]
        state.write(
            "ferry.json",
            {
                "base_url": f"http://{sockets.HOST}:{port}",
                "s3_endpoint": object_server.url,
                "dynamodb_endpoint": table_server.url,
                "clients": [client.described() for client in people],
            },
        )
        gateway = Gateway(final.routes, final.cors, invoke, {object_server.url: _address(reading)})
        invocations = Invocations({stack.physical_name(name): name for name in pools}, invoke)
        running.push_async_callback(invocations.close)
        # The servers close them, so they must not be closed here as well.
        applications: Applications = {
            listener.detach(): gateway,
            inner.detach(): invocations,
            telling.detach(): bus.Bus(frozenset(final.buses), state.folder, echo=not options.quiet),
            reading.detach(): Reader(object_server.url),
        }
        server = asyncio.create_task(_serve_all(applications, stopping))
        helpers = [asyncio.create_task(ticker.tick_forever(entry, following, invoke)) for entry, following in schedules]
        helpers.append(asyncio.create_task(_reap(pools)))
        watch = asyncio.create_task(_watch({"SeaweedFS": object_server, "ministack": table_server}))
        running.push_async_callback(_cancel, [*helpers, watch])
        _say_ready(options, port, object_server.url, table_server.url)
        started.set()
        done, _ = await asyncio.wait({server, watch}, return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        await server
        if watch in done:
            raise LocalError(f"{watch.result()} ended by itself; see {state.folder / 'logs'}")


def _for_operators(draft: Stack) -> dict[str, Any]:
    """What `ferry-admin --local` asks CloudFormation for elsewhere."""
    return {
        "stack": stack.PSEUDO["AWS::StackName"],
        "region": stack.REGION,
        "resources": {f"{logical}Name": stack.physical_name(logical) for logical in draft.tables},
        "token_lifetime": int(draft.parameters.get("TokenLifetime", MAX_LIFETIME)),
    }


async def _start_backends(
    state: State, known: Mapping[str, Any], credentials: Mapping[str, str], running: contextlib.AsyncExitStack
) -> tuple[objects.ObjectServer, tables.TableServer]:
    """Both at once."""

    def ports(name: str) -> list[int]:
        found = known.get(name, [])
        return [int(port) for port in (found if isinstance(found, list) else [found])]

    starts = await asyncio.gather(
        objects.start(state, credentials, ports("object_ports")),
        tables.start(state, credentials, ports("table_port")),
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


def _address(listener: socket.socket) -> str:
    return f"http://{sockets.HOST}:{listener.getsockname()[1]}"


def _endpoints(backends: Backends, own: Mapping[str, socket.socket]) -> str:
    """The services that run beside this one, and those that it is itself."""
    addresses = [f"{name}={_address(opened)}" for name, opened in own.items()]
    return ",".join([backends.endpoints(), *addresses])


def _pools(
    final: Stack, state: State, credentials: Mapping[str, str], options: Options, running: contextlib.AsyncExitStack
) -> dict[str, Pool]:
    emulator = Emulator(
        state,
        credentials,
        copies=options.copies,
        functions=len(final.functions),
        echo=not options.quiet,
        record=options.record_calls,
    )
    running.callback(emulator.close)
    pools: dict[str, Pool] = {}
    for name, function in final.functions.items():
        pools[name] = Pool(partial(emulator.start, function), options.copies)
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


async def _reap(pools: Mapping[str, Pool]) -> None:
    while True:
        await asyncio.sleep(_REAP_EVERY)
        for pool in pools.values():
            await pool.reap(_REAP_IDLE)


async def _watch(servers: Mapping[str, objects.ObjectServer | tables.TableServer]) -> str:
    """Wait until one of the servers has ended, and say which."""
    while True:
        for name, server in servers.items():
            if not server.alive:
                return name
        await asyncio.sleep(0.5)


async def _cancel(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _say_ready(options: Options, port: int, s3: str, dynamodb: str) -> None:
    taken = f" (port {options.port} is taken)" if port != options.port else ""
    clients_at = options.state / "ferry.json"
    print(
        f"ready http://{sockets.HOST}:{port}{taken} · clients in {clients_at} · S3 {s3} · DynamoDB {dynamodb}",
        flush=True,
    )
