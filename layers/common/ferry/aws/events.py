"""Events on an EventBridge bus (docs/events.md, docs/decisions/0003)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ferry.aws.clock import wall_clock
from ferry.aws.errors import translated
from ferry.digests import crc_to_base64
from ferry.errors import BackendUnavailable
from ferry.model import Event, EventKind, File, object_key
from ferry.ports import Clock
from ferry.times import rfc3339

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "ferry"
VERSION = 1
"""Of the events' schema (docs/events.schema.json): grows when a member goes or changes its meaning."""
QUIET = 10_000
"""Milliseconds for which a bus that has just failed is not asked again."""


class BusEvents:
    """`ferry.outbound.Events` over EventBridge.

    Args:
        client: gives the client, which takes its time to be made: not before there is something to tell.
        bus: the name of the bus.
        bucket: where the files are.
        clock: the time.
    """

    def __init__(
        self, client: Callable[[], EventBridgeClient], bus: str, bucket: str, clock: Clock = wall_clock
    ) -> None:
        self._client = client
        self._bus = bus
        self._bucket = bucket
        self._clock = clock
        self._quiet_until = 0

    def publish(self, events: Sequence[Event]) -> None:
        if self._clock() < self._quiet_until:
            raise BackendUnavailable("the event bus has just failed")
        try:
            self._put([self._entry(event) for event in events])
        except BackendUnavailable:
            self._quiet_until = self._clock() + QUIET
            raise

    def _put(self, entries: Sequence[PutEventsRequestEntryTypeDef]) -> None:
        with translated():
            answer = self._client().put_events(Entries=entries)
        if answer["FailedEntryCount"]:
            codes = {entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry}
            raise BackendUnavailable(f"the event bus refused: {', '.join(sorted(codes))}")

    def _entry(self, event: Event) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": event.kind.value,
            "Time": datetime.fromtimestamp(event.time / 1000, UTC),
            "Detail": json.dumps(detail(event, self._bucket)),
        }


def detail(event: Event, bucket: str) -> dict[str, Any]:
    """What the event says, as docs/events.schema.json has it."""
    members: dict[str, Any] = {
        "version": VERSION,
        "id": event.id,
        "type": event.kind.value,
        "time": rfc3339(event.time),
        "namespace": event.ns,
        "filename": event.name,
        "upload_id": event.upload_id,
        "size": event.size,
    }
    if event.file is not None:
        members |= _of_file(event.file)
    if event.file is not None and event.kind is EventKind.COMPLETED:
        members |= {
            "content_type": event.file.content_type,
            "metadata": dict(event.file.metadata),
            "object": {"bucket": bucket, "key": object_key(event.upload_id)},
        }
    if event.replaced is not None:
        members["replaced_upload_id"] = event.replaced
    return members


def _of_file(file: File) -> dict[str, Any]:
    return {"etag": file.etag, "checksum": {"algorithm": "crc32c", "value": crc_to_base64(file.crc32c)}}
