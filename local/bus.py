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

from local import limits
from local.asgi import acceptable, answer_json, body_of, lifespan
from local.stack import ACCOUNT, REGION

TARGET = b"AWSEvents.PutEvents"
FILE = "events.jsonl"
_FILE_BYTES = 10 * 1024 * 1024
_REFUSED = {"ErrorCode": "ValidationException", "ErrorMessage": "not an event of this bus"}


class Bus:
    """An ASGI application.

    Args:
        names: the buses there are.
        folder: where the file goes; one that has grown too long is put aside (`.1`), so there are two at most.
        echo: whether the terminal shows them too: type and upload, no file's name.
    """

    def __init__(self, names: frozenset[str], folder: Path, *, echo: bool) -> None:
        self._names = names
        self._path = folder / FILE
        self._echo = echo

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            status, answer = self.accept(scope, await body_of(receive, limits.EVENT))
            await answer_json(send, status, answer)

    def accept(self, scope: HTTPScope, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of the answer. What was taken is in the file by then."""
        if not acceptable(scope["headers"]):
            return 403, {"__type": "AccessDeniedException"}
        if scope["method"] != "POST" or dict(scope["headers"]).get(b"x-amz-target") != TARGET:
            return 400, {"__type": "UnknownOperationException"}
        try:
            entries = json.loads(body)["Entries"]
            total = sum(len(json.dumps(entry).encode()) for entry in entries)
        except (ValueError, KeyError, TypeError):
            return 400, {"__type": "SerializationException"}
        if not 1 <= len(entries) <= limits.EVENTS_AT_ONCE or total > limits.EVENTS_BYTES:
            return 400, {"__type": "ValidationException"}
        answers = [self._take(entry) for entry in entries]
        return 200, {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _take(self, entry: Any) -> Mapping[str, str]:
        try:
            event = _event(entry)
        except (ValueError, KeyError, TypeError):
            return _REFUSED
        if entry.get("EventBusName") not in self._names or not isinstance(event["detail"], dict):
            return _REFUSED
        if self._path.exists() and self._path.stat().st_size > _FILE_BYTES:
            self._path.replace(self._path.with_name(f"{FILE}.1"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
        if self._echo:
            print(f"event {event['detail-type']} {event['detail'].get('id')}", file=sys.stderr, flush=True)
        return {"EventId": event["id"]}


def _event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """As a rule's target gets it."""
    time = datetime.fromtimestamp(entry["Time"], UTC) if "Time" in entry else datetime.now(UTC)
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": str(entry["DetailType"]),
        "source": str(entry["Source"]),
        "account": ACCOUNT,
        "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": list(entry.get("Resources", [])),
        "detail": json.loads(entry["Detail"]),
    }
