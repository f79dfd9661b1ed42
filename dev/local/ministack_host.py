"""Host ministack in a child process: `python -m dev.local.ministack_host`, configured by its environment.

ministack saves its state on a clean stop only. Here each change is written to a log before it is acknowledged, and a
snapshot replaces the log from time to time: see `dev.local.wal`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from dev.local.asgi import Headers, handle_lifespan, is_trusted_request, send_empty
from dev.local.die_with_parent import die_with_parent
from dev.local.ministack_server import STATE_DAMAGED_EXIT_CODE
from dev.local.wal import WriteAheadLog

_SERVICES = ("kms", "dynamodb")
_READ_OPERATIONS = ("Get", "Describe", "List", "Query", "Scan", "BatchGet", "TransactGet", "Sign", "Verify")
# Replaying a thousand changes takes about a second.
_SNAPSHOT_THRESHOLD, _SNAPSHOT_CHECK_SECONDS = 1_000, 1.0
_LOGGED_HEADERS = (b"authorization", b"content-type", b"host", b"x-amz-target")


class MinistackApp:
    """ministack's application without its own startup and shutdown (init scripts, schedulers, containers)."""

    def __init__(self, wal: WriteAheadLog) -> None:
        self._wal = wal
        self._app: Any = importlib.import_module("ministack.app").app
        self._persistence: Any = importlib.import_module("ministack.core.persistence")
        # Importing a service loads its saved state.
        self._services: dict[str, Any] = {
            name: importlib.import_module(f"ministack.services.{name}") for name in _SERVICES
        }

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await handle_lifespan(receive, send)
        elif scope["type"] == "http":
            if not is_trusted_request(scope["headers"]):
                await send_empty(send, 403)
            elif _is_read(_operation(scope["headers"])):
                await self._app(scope, receive, send)
            else:
                await self._handle_write(scope, receive, send)

    async def _handle_write(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        body = bytearray()

        async def receive_and_keep() -> ASGIReceiveEvent:
            event = await receive()
            if event["type"] == "http.request":
                body.extend(event["body"])
            return event

        async def log_and_send(event: ASGISendEvent) -> None:
            # Nothing is awaited between the change and this, so the log has the order of the changes.
            if event["type"] == "http.response.start" and event["status"] == 200:
                if _operation(scope["headers"]).startswith("TrentService."):
                    # Replaying the request would create another key.
                    self.take_snapshot()
                else:
                    kept = {
                        name.decode(): value.decode() for name, value in scope["headers"] if name in _LOGGED_HEADERS
                    }
                    self._wal.append({"headers": kept, "body": body.decode()})
            await send(event)

        await self._app(scope, receive_and_keep, log_and_send)

    async def replay(self) -> None:
        """Apply the changes after the snapshot again."""
        for change in self._wal.pending_changes():
            status = await self._replay_change(change)
            if status != 200:
                print(f"a change could not be replayed ({status}): {change['body'][:500]}", file=sys.stderr, flush=True)

    async def _replay_change(self, change: dict[str, Any]) -> int:
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": change["body"].encode(), "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            nonlocal status
            status = event.get("status", status)

        headers = [(name.encode(), value.encode()) for name, value in change["headers"].items()]
        await self._app(
            {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}, receive, send
        )
        return status

    async def snapshot_forever(self) -> None:
        """Take a snapshot after each thousand changes."""
        while True:
            await asyncio.sleep(_SNAPSHOT_CHECK_SECONDS)
            if self._wal.change_count >= _SNAPSHOT_THRESHOLD:
                generation = self._wal.rotate()
                # Writing a large state takes seconds, so a fork does it while this process goes on serving.
                _, status = await asyncio.to_thread(os.waitpid, self._fork_snapshot(generation), 0)
                if status == 0:
                    self._wal.delete_before(generation)

    def take_snapshot(self) -> None:
        """Take a snapshot now."""
        generation = self._wal.rotate()
        if self._save_snapshot(generation):
            self._wal.delete_before(generation)

    def _save_snapshot(self, generation: int) -> bool:
        """Write a snapshot, and return whether that worked: ministack itself only logs a failure."""
        folder = self._persistence.STATE_DIR = str(self._wal.temporary_folder(generation))
        for name, service in self._services.items():
            self._persistence.save_state(name, service.get_state())
            if not Path(folder, f"{name}.json").exists():
                print(f"{name} could not be saved in {folder}", file=sys.stderr, flush=True)
                return False
        self._wal.commit_snapshot(generation)
        return True

    def _fork_snapshot(self, generation: int) -> int:
        """Take a snapshot in a fork of this process, and return its pid. The fork exits with 0 on success."""
        parent = os.getpid()
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            # The fork must not write beside the next process that uses this folder.
            die_with_parent(parent)
            status = 0 if self._save_snapshot(generation) else 1
        finally:
            os._exit(status)


def _operation(headers: Headers) -> str:
    """Return the operation, such as `DynamoDB_20120810.PutItem`."""
    return next((value.decode("latin-1") for name, value in headers if name == b"x-amz-target"), "")


def _is_read(operation: str) -> bool:
    """Return whether the operation changes nothing."""
    return operation.partition(".")[2].startswith(_READ_OPERATIONS)


def _require_readable_state(wal: WriteAheadLog) -> None:
    """Exit with `STATE_DAMAGED_EXIT_CODE` when the saved state is not readable: ministack would start empty."""
    try:
        for path in wal.snapshot_folder.glob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        for _ in wal.pending_changes():
            pass
    except ValueError as error:
        print(f"the saved state is damaged: {error}", file=sys.stderr, flush=True)
        sys.exit(STATE_DAMAGED_EXIT_CODE)


async def _main() -> None:
    wal = WriteAheadLog(Path(os.environ["STATE_DIR"]))
    _require_readable_state(wal)
    os.environ["STATE_DIR"] = str(wal.snapshot_folder)
    host = MinistackApp(wal)
    await host.replay()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 3600.0
    config.graceful_timeout = 1.0
    config.loglevel = "WARNING"
    snapshots = asyncio.create_task(host.snapshot_forever())
    try:
        await serve(host, config, mode="asgi", shutdown_trigger=stopping.wait)
    finally:
        snapshots.cancel()
        await asyncio.gather(snapshots, return_exceptions=True)
        host.take_snapshot()


if __name__ == "__main__":
    # Python 3.12 and newer warn about a fork beside threads. This fork takes no lock that another thread could hold.
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    asyncio.run(_main())
