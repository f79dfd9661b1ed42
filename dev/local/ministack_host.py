"""Host ministack in a child process: `python -m dev.local.ministack_host LISTENER`, configured by its environment.

LISTENER is the descriptor of the listening socket.

ministack saves its state on a clean stop only. Here each change is written to a log before it is acknowledged, and a
snapshot replaces the log from time to time: see `dev.local.wal`. ministack takes requests without a signature, so
signatures are verified here.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from dev.local.asgi import Headers, read_body, send_json, serve_connection
from dev.local.die_with_parent import die_with_parent
from dev.local.sigv4 import SignatureVerifier
from dev.local.wal import LogFailedError, WriteAheadLog
from dev.local.wal_files import DamagedStateError

_SERVICES = ("kms", "dynamodb")
_READ_OPERATIONS = ("Get", "Describe", "List", "Query", "Scan", "BatchGet", "TransactGet", "Sign", "Verify")
# Replaying a thousand changes takes about a second.
_SNAPSHOT_THRESHOLD, _SNAPSHOT_CHECK_SECONDS, _SNAPSHOT_RETRY_SECONDS = 1_000, 1.0, 30.0
_MAX_BODY_BYTES = 16 * 1024 * 1024
_UNSIGNED_RESPONSE = {
    "__type": "UnrecognizedClientException",
    "message": "sign the request with the keys in `aws_credentials` of ferry.json, for 127.0.0.1 or localhost",
}
_LOGGED_HEADERS = (b"authorization", b"content-type", b"host", b"x-amz-target")


class MinistackApp:
    """ministack's application without its own startup and shutdown (init scripts, schedulers, containers)."""

    def __init__(self, wal: WriteAheadLog, verifier: SignatureVerifier) -> None:
        self._wal = wal
        self._verifier = verifier
        self.log_failed = asyncio.Event()
        """Set when the log could not be written: the state in memory is ahead of the one on the disk."""
        self._app: Any = importlib.import_module("ministack.app").app
        self._persistence: Any = importlib.import_module("ministack.core.persistence")
        # Importing a service loads its saved state.
        self._services: dict[str, Any] = {
            name: importlib.import_module(f"ministack.services.{name}") for name in _SERVICES
        }

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await serve_connection(scope, receive, send, self._serve)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        # A longer body is cut, and its signature does not match.
        body = await read_body(receive, _MAX_BODY_BYTES)
        if self._verifier.accepts(scope, body):
            await self._handle(scope, body, send)
        else:
            await send_json(send, 403, _UNSIGNED_RESPONSE)

    async def _handle(self, scope: HTTPScope, body: bytes, send: ASGISendCallable) -> None:
        try:
            if _is_read(_operation(scope["headers"])):
                await self._handle_read(scope, body, send)
            else:
                await self._handle_write(scope, body, send)
        except (OSError, LogFailedError) as error:
            if isinstance(error, LogFailedError):
                self.log_failed.set()
            print(f"a change was rejected: {error}", file=sys.stderr, flush=True)
            await send_json(send, 500, {"__type": "InternalServerError", "message": "the disk is full or failing"})

    async def _handle_read(self, scope: HTTPScope, body: bytes, send: ASGISendCallable) -> None:
        async def send_when_durable(event: ASGISendEvent) -> None:
            # What the response shows must not be lost afterwards.
            if event["type"] == "http.response.start":
                await self._wal.commit()
            await send(event)

        await self._app(scope, _receive_once(body), send_when_durable)

    async def _handle_write(self, scope: HTTPScope, body: bytes, send: ASGISendCallable) -> None:
        change = _encode_change(scope["headers"], body)
        reserved = self._wal.reserve(len(change))

        async def log_and_send(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                # Nothing is awaited between the change and this, so the log has the order of the changes.
                if event["status"] == 200:
                    if _operation(scope["headers"]).startswith("TrentService."):
                        # Replaying the request would create another key.
                        self.take_snapshot()
                    else:
                        self._wal.append(change)
                await self._wal.commit()
            await send(event)

        try:
            await self._app(scope, _receive_once(body), log_and_send)
        finally:
            self._wal.release(reserved)

    async def replay(self) -> None:
        """Apply the changes after the snapshot again. Raises `DamagedStateError` when one of them fails."""
        for change in self._wal.pending_changes():
            headers, _, body = change.partition(b"\n")
            # Every condition held when the change was made. Now it may not: rows whose TTL has passed went unlogged.
            status = await self._replay_change(headers, body)
            if status == 400:
                status = await self._replay_change(headers, without_conditions(body))
            if status != 200:
                raise DamagedStateError(self._wal.folder, f"has a change that cannot be repeated (status {status})")

    async def _replay_change(self, headers: bytes, body: bytes) -> int:
        status = 0

        async def send(event: dict[str, Any]) -> None:
            nonlocal status
            status = event.get("status", status)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in json.loads(headers).items()],
        }
        await self._app(scope, _receive_once(body), send)
        return status

    async def snapshot_forever(self) -> None:
        """Take a snapshot after each thousand changes. After a failure the next thousand lead to the next attempt."""
        while True:
            await asyncio.sleep(_SNAPSHOT_CHECK_SECONDS)
            if self._wal.change_count < _SNAPSHOT_THRESHOLD:
                continue
            try:
                generation = self._wal.rotate()
            except OSError as error:
                print(f"no snapshot: {error}", file=sys.stderr, flush=True)
                await asyncio.sleep(_SNAPSHOT_RETRY_SECONDS)
                continue
            except LogFailedError:
                self.log_failed.set()
                return
            # Writing a large state takes seconds, so a fork does it while this process continues to serve.
            _, status = await asyncio.to_thread(os.waitpid, self._fork_snapshot(generation), 0)
            if status == 0:
                self._wal.delete_before(generation)
            else:
                self._wal.discard_snapshot(generation)

    def take_snapshot(self) -> None:
        """Take a snapshot now. Raises `OSError`, `LogFailedError`; the log then has every change but those of keys."""
        generation = self._wal.rotate()
        try:
            self._save_snapshot(generation)
        except OSError:
            self._wal.discard_snapshot(generation)
            raise
        self._wal.delete_before(generation)

    def _save_snapshot(self, generation: int) -> None:
        """Write a snapshot. Raises `OSError`."""
        folder = self._persistence.STATE_DIR = str(self._wal.temporary_folder(generation))
        for name, service in self._services.items():
            self._persistence.save_state(name, service.get_state())
            # ministack itself only logs a failure.
            if not Path(folder, f"{name}.json").exists():
                raise OSError(f"{name} could not be saved in {folder}")
        self._wal.commit_snapshot(generation)

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
            self._save_snapshot(generation)
            status = 0
        except OSError as error:
            print(f"no snapshot: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)


def _operation(headers: Headers) -> str:
    """Return the operation, such as `DynamoDB_20120810.PutItem`."""
    return next((value.decode("latin-1") for name, value in headers if name == b"x-amz-target"), "")


def _is_read(operation: str) -> bool:
    """Return whether the operation changes nothing."""
    return operation.partition(".")[2].startswith(_READ_OPERATIONS)


def _encode_change(headers: Headers, body: bytes) -> bytes:
    """Return a request as the log has it: the headers that matter as one line of JSON, then the body."""
    kept = {name.decode(): value.decode("latin-1") for name, value in headers if name in _LOGGED_HEADERS}
    return json.dumps(kept).encode() + b"\n" + body


def without_conditions(body: bytes) -> bytes:
    """Return a DynamoDB write without its conditions, and without the names and values that only they used."""
    request = json.loads(body)
    if "TransactItems" in request:
        operations = [item for item in request["TransactItems"] if "ConditionCheck" not in item]
        request["TransactItems"] = operations
        request.pop("ClientRequestToken", None)
        writes = [write for item in operations for write in item.values()]
    else:
        writes = [request]
    for write in writes:
        write.pop("ConditionExpression", None)
        used = set(re.findall(r"[#:]\w+", write.get("UpdateExpression", "")))
        for member in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            kept = {name: value for name, value in write.pop(member, {}).items() if name in used}
            if kept:
                write[member] = kept
    return json.dumps(request).encode()


def _receive_once(body: bytes) -> Callable[[], Awaitable[Any]]:
    """Return an ASGI `receive` that gives a whole body."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _main(listener: int) -> None:
    wal = WriteAheadLog(Path(os.environ["STATE_DIR"]))
    os.environ["STATE_DIR"] = str(wal.snapshot_folder)
    host = MinistackApp(wal, SignatureVerifier(os.environ, _SERVICES))
    await host.replay()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    config = Config()
    # hypercorn closes the copy. The socket itself stays open for the next start of this program.
    config.bind = [f"fd://{os.dup(listener)}"]
    config.keep_alive_timeout = 3600.0
    config.graceful_timeout = 1.0
    config.loglevel = "WARNING"
    snapshots = asyncio.create_task(host.snapshot_forever())

    async def wait_for_end() -> None:
        ends = [asyncio.create_task(event.wait()) for event in (stopping, host.log_failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    try:
        await serve(host, config, mode="asgi", shutdown_trigger=wait_for_end)
    finally:
        snapshots.cancel()
        await asyncio.gather(snapshots, return_exceptions=True)
        if not host.log_failed.is_set():
            _take_last_snapshot(host)
    wal.close()
    if host.log_failed.is_set() and not stopping.is_set():
        # This process has changes in memory that the log did not take: begin again with what the log has.
        os.environ["STATE_DIR"] = str(wal.folder)
        os.execv(sys.executable, [sys.executable, "-m", "dev.local.ministack_host", str(listener)])  # noqa: S606


def _take_last_snapshot(host: MinistackApp) -> None:
    try:
        host.take_snapshot()
    except (OSError, LogFailedError) as error:
        print(f"no snapshot: {error}; the log has every change", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Python 3.12 and newer warn about a fork beside threads. This fork takes no lock that another thread could hold.
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    asyncio.run(_main(int(sys.argv[1])))
