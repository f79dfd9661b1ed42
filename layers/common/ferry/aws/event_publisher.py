"""Events on an EventBridge bus (docs/events.md, docs/decisions/0003)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ferry.aws.clock import wall_clock
from ferry.aws.errors import map_errors
from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from ferry.model.uploads import object_key
from ferry.rules.digests import crc32c_to_base64
from ferry.rules.durations import SECOND_MS
from ferry.rules.timestamps import format_rfc3339

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from ferry.model.files import File
    from ferry.model.links import Link
    from ferry.ports.types import Clock

SOURCE = "ferry"
SCHEMA_VERSION = 1
"""Version of docs/events.schema.json. Incremented when a member is removed or changes its meaning."""

COOLDOWN_MS = 10 * SECOND_MS
"""How long no call is made after a failed one, so that an unavailable bus does not slow requests down."""


class EventBridgePublisher:
    """`EventPublisher` over EventBridge.

    Args:
        client_factory: returns the client. Called at the first event, as creating a client is slow.
        bus_name: the name of the bus.
        bucket: the bucket of the files, which events name.
        clock: the current time.
    """

    def __init__(
        self, client_factory: Callable[[], EventBridgeClient], bus_name: str, bucket: str, clock: Clock = wall_clock
    ) -> None:
        self._client_factory = client_factory
        self._bus_name = bus_name
        self._bucket = bucket
        self._clock = clock
        self._cooldown_until = 0

    def publish(self, events: Sequence[Event]) -> None:
        if self._clock() < self._cooldown_until:
            raise BackendUnavailable("The event bus failed a moment ago.")
        try:
            self._put_events([self._to_entry(event) for event in events])
        except BackendUnavailable:
            self._cooldown_until = self._clock() + COOLDOWN_MS
            raise

    def _put_events(self, entries: Sequence[PutEventsRequestEntryTypeDef]) -> None:
        with map_errors():
            response = self._client_factory().put_events(Entries=entries)
        if response["FailedEntryCount"]:
            codes = {entry["ErrorCode"] for entry in response["Entries"] if "ErrorCode" in entry}
            raise BackendUnavailable(f"The event bus rejected events: {', '.join(sorted(codes))}.")

    def _to_entry(self, event: Event) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._bus_name,
            "Source": SOURCE,
            "DetailType": event.kind.value,
            "Time": datetime.fromtimestamp(event.occurred_at / SECOND_MS, UTC),
            "Detail": json.dumps(event_detail(event, self._bucket)),
        }


def event_detail(event: Event, bucket: str) -> dict[str, Any]:
    """Return the detail of an event, as docs/events.schema.json describes it."""
    members: dict[str, Any] = {
        "version": SCHEMA_VERSION,
        "id": event.id,
        "type": event.kind.value,
        "time": format_rfc3339(event.occurred_at),
        "namespace": event.ns,
    }
    if event.link is not None:
        return members | _link_members(event.link)
    members |= {"filename": event.name, "upload_id": event.upload_id, "size": event.size}
    if event.link_id is not None:
        members["link_id"] = event.link_id
    if event.file is not None:
        members |= _file_members(event.file)
    if event.file is not None and event.kind in (EventKind.COMPLETED, EventKind.MOVED, EventKind.RESTORED):
        members |= {
            "content_type": event.file.content_type,
            "metadata": dict(event.file.metadata),
            "object": {"bucket": bucket, "key": object_key(event.upload_id)},
        }
    if event.previous_name is not None:
        members["previous_filename"] = event.previous_name
    if event.replaced_upload_id is not None:
        members["replaced_upload_id"] = event.replaced_upload_id
    return members


def _link_members(link: Link) -> dict[str, Any]:
    """Return the members of a link that never change. What is used of its limits does."""
    members = {
        "link_id": link.link_id,
        "kind": link.kind.value,
        "filename": link.filename,
        "prefix": link.prefix,
        "label": link.label,
        "created_by": link.created_by,
        "expires_at": format_rfc3339(link.expires_at),
    }
    return {name: value for name, value in members.items() if value is not None}


def _file_members(file: File) -> dict[str, Any]:
    return {"etag": file.etag, "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(file.crc32c)}}
