"""Create a sequential upload."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ferry.errors import BackendUnavailable, FileExists, LengthTooLarge
from ferry.files.free_names import find_free_name
from ferry.files.quotas import check_quota, read_quota
from ferry.model.files import DEFAULT_CONTENT_TYPE, IfExists
from ferry.model.quotas import Quota
from ferry.model.sequential import Protocol, SequentialState
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.outbox import PUBLISH_GRACE_MS, pending_events, publish
from ferry.ports.errors import ConcurrentUpdate, UsageConflict
from ferry.ports.retry import retry_on_conflict
from ferry.resumable.limits import MAX_LENGTH
from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES, ChunkLayout
from ferry.services import Services


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A client's request to create an upload."""

    protocol: Protocol
    """The protocol of the request."""
    name: str | None = None
    """The filename in form C; None: the id of the upload, in `unnamed_folder`."""
    unnamed_folder: str = ""
    """The folder of an upload without a name; ends with `/` unless it is empty."""
    length: int | None = None
    """Bytes of the file; None while they are not known."""
    content_type: str | None = None
    """The media type; None: `DEFAULT_CONTENT_TYPE`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The client's own names and values, kept with the file."""
    if_exists: IfExists = IfExists.RENAME
    """What to do when the name is taken."""
    crc32c: int | None = None
    """CRC32C of the whole file, if known; the completion enforces it."""
    is_partial: bool = False
    """Whether it is a partial upload, which has no name."""
    echoed_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that a HEAD returns as they were sent, by name in lower case."""


def create(services: Services, ns: str, request: CreateRequest) -> Upload:
    """Create an upload without bytes, and return it.

    Raises:
        LengthTooLarge: a sequential upload cannot have that many bytes.
        FileExists: the name has a file, and `if_exists` is `fail`.
        QuotaExceeded: the quota of the namespace has no room.
        InvalidFilename: the name is taken, and too long for a number.
    """
    if request.length is not None and request.length > MAX_LENGTH:
        raise LengthTooLarge
    upload_id = services.new_id()
    return retry_on_conflict(lambda: create_record(services, new_record(services, ns, request, upload_id)))


def new_record(services: Services, ns: str, request: CreateRequest, upload_id: str) -> UploadRecord:
    """Return the record of a new upload, with a name that `if_exists` allows, not counted in a quota."""
    now = services.clock()
    requested_name = request.unnamed_folder + upload_id if request.name is None else request.name
    name = upload_id if request.is_partial else _choose_name(services, ns, requested_name, request.if_exists)
    state = SequentialState(
        protocol=request.protocol,
        last_activity_at=now,
        crc32c=0,
        length=request.length,
        is_partial=request.is_partial,
        echoed_headers=request.echoed_headers,
    )
    return UploadRecord(
        upload_id=upload_id,
        ns=ns,
        name=name,
        layout=plan_layout(request.length),
        state=UploadState.OPEN,
        created_at=now,
        idle_timeout_ms=services.upload_idle_timeout_ms,
        max_age_ms=services.upload_max_age_ms,
        content_type=request.content_type or DEFAULT_CONTENT_TYPE,
        metadata=request.metadata,
        crc32c=request.crc32c,
        if_exists=request.if_exists,
        requested_name=None if request.is_partial or name == requested_name else requested_name,
        file_existed=True,
        event_pending=services.event_publisher is not None and not request.is_partial,
        link_id=services.link_id,
        link_network=services.link_network,
        version=now,
        sequential=state,
    )


def plan_layout(length: int | None) -> ChunkLayout:
    """Return the layout of a file of this length. Without one, parts have the largest size that can be assembled."""
    if length is None:
        return ChunkLayout(0, MAX_CHUNK_BYTES, MAX_ASSEMBLED_PART_BYTES // MAX_CHUNK_BYTES)
    return ChunkLayout.plan(length, MAX_CHUNK_BYTES)


def create_record(services: Services, record: UploadRecord) -> Upload:
    """Store the record of a new upload, publish its start, and return the upload.

    Raises:
        QuotaExceeded: the quota of the namespace has no room.
        UsageConflict: the usage has changed meanwhile.
    """
    quota = read_quota(services, record.ns)
    if quota is not None:
        quota = _check_fresh_quota(services, record)
    record = replace(record, counted_in_quota=quota is not None and quota.tracks_usage)
    upload = Upload(record, ())
    due_at = record.created_at + PUBLISH_GRACE_MS if record.event_pending else upload.expires_at
    due_at = record.lease_expires_at or due_at
    try:
        services.sequential_repository.create_sequential(record, due_at=due_at, quota=quota)
    except UsageConflict:
        _check_fresh_quota(services, record)
        raise
    return _publish_started(services, upload)


def _choose_name(services: Services, ns: str, name: str, if_exists: IfExists) -> str:
    """Return the name, or under `rename` the first free one.

    Under `fail` and `replace` only a file makes a name taken; under `rename` an open upload does, too.
    """
    if if_exists is IfExists.RENAME:
        state = services.file_repository.get_name_states(ns, [name]).get(name)
        return name if state is None or state.is_free else find_free_name(services, ns, name)[0]
    if if_exists is IfExists.FAIL and services.file_repository.get_file(ns, name) is not None:
        raise FileExists
    return name


def _check_fresh_quota(services: Services, record: UploadRecord) -> Quota | None:
    """Return the quota as it is now. Raises `QuotaExceeded` if the upload does not fit."""
    quota = read_quota(services, record.ns, fresh=True)
    if quota is not None:
        check_quota(quota, record.layout.size)
    return quota


def _publish_started(services: Services, upload: Upload) -> Upload:
    """Publish the start. If that fails, the event stays pending and cleanup publishes it."""
    record = upload.record
    if not record.event_pending or not publish(services, pending_events(record)):
        return upload
    with suppress(ConcurrentUpdate, BackendUnavailable):
        services.upload_repository.clear_pending_event(record, due_at=record.lease_expires_at or upload.expires_at)
        return replace(upload, record=replace(record, event_pending=False))
    return upload
