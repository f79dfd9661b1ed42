"""Emulate EventBridge's PutEvents: append each event to a file, as the target of a rule would receive it.

There are no rules and no targets.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from dev.local import limits
from dev.local.asgi import read_body, send_json, serve_connection
from dev.local.sigv4 import SignatureVerifier
from dev.local.stack import ACCOUNT_ID, REGION

PUT_EVENTS_TARGET = b"AWSEvents.PutEvents"
EVENTS_FILE = "events.jsonl"
_MAX_FILE_BYTES = 10 * 1024 * 1024
_REJECTED_ENTRY = {"ErrorCode": "ValidationException", "ErrorMessage": "not an event of this bus"}


class EventBridgeEmulator:
    """An ASGI application.

    Args:
        bus_names: the names of the event buses.
        folder: the folder of the file. A file over 10 MiB is renamed to `events.jsonl.1` first.
        verifier: checks the signatures of requests.
        on_event: called with the type and the id of each stored event; None for no call.
    """

    def __init__(
        self,
        bus_names: frozenset[str],
        folder: Path,
        verifier: SignatureVerifier,
        on_event: Callable[[str, str], None] | None = None,
    ) -> None:
        self._bus_names = bus_names
        self._verifier = verifier
        self._path = folder / EVENTS_FILE
        self._on_event = on_event

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await serve_connection(scope, receive, send, self._serve)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        status, content = self.put_events(scope, await read_body(receive, limits.MAX_ASYNC_EVENT_BYTES))
        await send_json(send, status, content)

    def put_events(self, scope: HTTPScope, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """Store the events of a request, and return the status and the body of the response."""
        if not self._verifier.accepts(scope, body):
            return 403, {"__type": "AccessDeniedException"}
        if scope["method"] != "POST" or dict(scope["headers"]).get(b"x-amz-target") != PUT_EVENTS_TARGET:
            return 400, {"__type": "UnknownOperationException"}
        try:
            entries = json.loads(body)["Entries"]
            total = sum(len(json.dumps(entry).encode()) for entry in entries)
        except (ValueError, KeyError, TypeError):
            return 400, {"__type": "SerializationException"}
        if not 1 <= len(entries) <= limits.MAX_PUT_EVENTS_ENTRIES or total > limits.MAX_PUT_EVENTS_BYTES:
            return 400, {"__type": "ValidationException"}
        results = [self._put_entry(entry) for entry in entries]
        return 200, {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _put_entry(self, entry: Any) -> Mapping[str, str]:
        try:
            event = _build_event(entry)
        except (ValueError, KeyError, TypeError):
            return _REJECTED_ENTRY
        if entry.get("EventBusName") not in self._bus_names or not isinstance(event["detail"], dict):
            return _REJECTED_ENTRY
        try:
            self._store_event(event)
        except OSError as error:
            return {"ErrorCode": "InternalFailure", "ErrorMessage": f"the event cannot be stored: {error.strerror}"}
        if self._on_event is not None:
            self._on_event(event["detail-type"], str(event["detail"].get("id")))
        return {"EventId": event["id"]}

    def _store_event(self, event: Mapping[str, Any]) -> None:
        """Append an event to the file, whole or not at all. Raises `OSError`: the disk is full."""
        if self._path.exists() and self._path.stat().st_size > _MAX_FILE_BYTES:
            self._path.replace(self._path.with_name(f"{EVENTS_FILE}.1"))
        line = json.dumps(event).encode() + b"\n"
        with self._path.open("ab", buffering=0) as file:
            end = file.tell()
            written = 0
            try:
                written = file.write(line)
            finally:
                if written != len(line):
                    file.truncate(end)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _build_event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event in the form that the target of a rule receives."""
    time = datetime.fromtimestamp(entry["Time"], UTC) if "Time" in entry else datetime.now(UTC)
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": str(entry["DetailType"]),
        "source": str(entry["Source"]),
        "account": ACCOUNT_ID,
        "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": list(entry.get("Resources", [])),
        "detail": json.loads(entry["Detail"]),
    }
