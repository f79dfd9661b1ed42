"""EventBridge's PutEvents on this machine: each event is a line in a file, and a short one on the terminal.

No rules and no targets: what a consumer would get is what stands in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from dev.local import limits
from dev.local.asgi import handle_lifespan, is_trusted_request, read_body, send_json
from dev.local.stack import ACCOUNT_ID, REGION

PUT_EVENTS_TARGET = b"AWSEvents.PutEvents"
EVENTS_FILE = "events.jsonl"
_MAX_FILE_BYTES = 10 * 1024 * 1024
_REJECTED_ENTRY = {"ErrorCode": "ValidationException", "ErrorMessage": "not an event of this bus"}


class EventBridgeEmulator:
    """An ASGI application.

    Args:
        names: the buses there are.
        folder: where the file goes; one that has grown too long is put aside (`.1`), so there are two at most.
        echo: whether the terminal shows them too: type and upload, no file's name.
    """

    def __init__(self, bus_names: frozenset[str], folder: Path, *, echo: bool) -> None:
        self._bus_names = bus_names
        self._path = folder / EVENTS_FILE
        self._echo = echo

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await handle_lifespan(receive, send)
        elif scope["type"] == "http":
            status, answer = self.put_events(scope, await read_body(receive, limits.MAX_ASYNC_EVENT_BYTES))
            await send_json(send, status, answer)

    def put_events(self, scope: HTTPScope, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of the answer. What was taken is in the file by then."""
        if not is_trusted_request(scope["headers"]):
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
        answers = [self._put_entry(entry) for entry in entries]
        return 200, {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _put_entry(self, entry: Any) -> Mapping[str, str]:
        try:
            event = _build_event(entry)
        except (ValueError, KeyError, TypeError):
            return _REJECTED_ENTRY
        if entry.get("EventBusName") not in self._bus_names or not isinstance(event["detail"], dict):
            return _REJECTED_ENTRY
        if self._path.exists() and self._path.stat().st_size > _MAX_FILE_BYTES:
            self._path.replace(self._path.with_name(f"{EVENTS_FILE}.1"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        if self._echo:
            print(f"event {event['detail-type']} {event['detail'].get('id')}", file=sys.stderr, flush=True)
        return {"EventId": event["id"]}


def _build_event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """As a rule's target gets it."""
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
