"""Create a final upload: one file of the bytes of several partial uploads (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ferry.errors import BackendUnavailable, InvalidPartial, LengthTooLarge, UploadExpired, UploadNotFound
from ferry.model.sequential import Source
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.retry import retry_on_conflict
from ferry.resumable.append import AppendResult, result_of
from ferry.resumable.create import CreateRequest, create_record, new_record
from ferry.resumable.finish import finish, finish_under_lease
from ferry.resumable.limits import MAX_LENGTH
from ferry.resumable.lookup import find_sequential
from ferry.rules.layout import MIN_PART_BYTES
from ferry.services import Services
from ferry.uploads.build_final import sources_crc


def create_final(services: Services, ns: str, request: CreateRequest, partial_ids: Sequence[str]) -> AppendResult:
    """Create an upload from partial uploads, and complete it. A completion that takes too long continues later.

    Raises:
        InvalidPartial: an id is not that of a partial upload with all its bytes.
        LengthTooLarge: together they have too many bytes.
        FileExists, QuotaExceeded, InvalidFilename: as `create`.
        BackendUnavailable: a backend failed, or the object of a partial upload is still being built.
    """
    found: dict[str, Source] = {}
    for upload_id in partial_ids:
        if upload_id not in found:
            found[upload_id] = retry_on_conflict(partial(_source_of, services, ns, request, upload_id))
    sources = tuple(found[upload_id] for upload_id in partial_ids)
    length = sum(source.size for source in sources)
    if length > MAX_LENGTH:
        raise LengthTooLarge
    upload_id = services.new_id()
    request = replace(request, length=length)
    upload = retry_on_conflict(lambda: _create(services, new_record(services, ns, request, upload_id), sources))
    return result_of(services, upload, finish_under_lease(services, upload))


def _source_of(services: Services, ns: str, request: CreateRequest, upload_id: str) -> Source:
    """Return a partial upload as a source, with its object built.

    Raises:
        InvalidPartial: it is of another kind or another link, or lacks bytes.
        BackendUnavailable: another request is building its object.
        ConcurrentUpdate: it is no longer as read.
    """
    try:
        upload, state = find_sequential(services, ns, upload_id, request.protocol)
        record = upload.record
        if record.link_id != services.link_id or not record.is_partial or not state.has_all_bytes:
            raise InvalidPartial
        if record.stored_object is None and record.lease_expires_at < services.clock():
            # The request of its last append crashed before the object was built. Its offset says that it is complete.
            finish(services, upload)
            record = find_sequential(services, ns, upload_id, request.protocol).upload.record
    except (UploadNotFound, UploadExpired) as error:
        raise InvalidPartial from error
    stored_object = record.stored_object
    if stored_object is None or stored_object.crc32c is None:
        raise BackendUnavailable("A partial upload has all its bytes and is still being stored. Repeat the request.")
    return Source(upload_id, stored_object.size, stored_object.crc32c)


def _create(services: Services, record: UploadRecord, sources: tuple[Source, ...]) -> Upload:
    """Create the record, completing under a lease. The multipart upload comes first, so that the record names it."""
    length, multipart_id, now = record.layout.size, None, services.clock()
    if length >= MIN_PART_BYTES:
        multipart_id = services.object_store.create_multipart(record.object_key, content_type=record.content_type)
    assert record.sequential is not None
    record = replace(
        record,
        state=UploadState.COMPLETING,
        multipart_id=multipart_id,
        crc32c=sources_crc(sources),
        lease_id=services.new_id(),
        lease_expires_at=now + services.lease_duration_ms,
        first_leased_at=now,
        lease_if_exists=record.if_exists,
        lease_crc32c=sources_crc(sources),
        sequential=replace(record.sequential, offset=length, crc32c=sources_crc(sources), sources=sources),
    )
    return create_record(services, record)
