"""Upload requests: from bodies and query parameters to what the use cases take.

The models of bodies are imported by whoever reads one: a raw chunk has none, and must not wait for pydantic.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from ferry.errors import ChunkTooLarge, InvalidField
from ferry.http import bodies, checksums
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.rules.filenames import normalise_filename
from ferry.rules.layout import MAX_CHUNK_BYTES
from ferry.uploads.chunk import ChunkRequest
from ferry.uploads.complete import CompleteRequest
from ferry.uploads.presign import PartsRequest
from ferry.uploads.start import StartRequest

if TYPE_CHECKING:
    from ferry.http.models import Checksum

_MAX_BASE64_LENGTH = (MAX_CHUNK_BYTES + 2) // 3 * 4

# Each function here raises what `ferry.http.validation.parse` does, `InvalidFilename`, and the refusals of checksums.


def start_request(request: Request) -> StartRequest:
    from ferry.http.models import StartBody

    body = StartBody.read(request)
    return StartRequest(
        name=normalise_filename(body.filename),
        size=body.size,
        content_type=body.content_type,
        chunk_size=body.chunk_size,
        crc32c=_optional_crc32c(body.checksum),
        fingerprint=body.fingerprint,
        metadata=body.metadata or {},
        replace_existing=body.if_exists == "replace",
        restart=body.restart,
    )


def chunk_request(request: Request) -> ChunkRequest:
    """A chunk in either form. Raises `ChunkTooLarge` too."""
    try:
        return _chunk_from_bytes(request) if request.content_type == bodies.OCTET_STREAM else _chunk_from_json(request)
    except BodyTooLarge as error:
        raise ChunkTooLarge from error


def parts_request(request: Request) -> PartsRequest:
    from ferry.http.models import PartsBody

    body = PartsBody.read(request)
    parts = [(part.part_number, _optional_crc32c(part.checksum)) for part in body.parts]
    return PartsRequest(name=normalise_filename(body.filename), parts=parts, upload_id=body.upload_id)


def complete_request(request: Request) -> CompleteRequest:
    from ferry.http.models import CompleteBody

    body = CompleteBody.read(request)
    return CompleteRequest(
        name=normalise_filename(body.filename),
        upload_id=body.upload_id,
        crc32c=_optional_crc32c(body.checksum),
        replace_existing=None if body.if_exists is None else body.if_exists == "replace",
    )


def _chunk_from_json(request: Request) -> ChunkRequest:
    from ferry.http.models import ChunkBody

    body = ChunkBody.read(request, bodies.MAX_CHUNK_BODY_BYTES)
    if len(body.data) > _MAX_BASE64_LENGTH:
        raise ChunkTooLarge
    try:
        data = base64.b64decode(body.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidField.for_member("data", "must be base64: padded, without line breaks") from error
    digests = (checksums.parse_chunk_digest(body.checksum.algorithm, body.checksum.value),) if body.checksum else ()
    return ChunkRequest(normalise_filename(body.filename), body.chunk_index, data, body.upload_id, digests)


def _chunk_from_bytes(request: Request) -> ChunkRequest:
    name, upload_id = request.filename(), request.optional_upload_id()
    index = request.integer("chunk_index")
    if index is None:
        raise InvalidField.for_member("chunk_index", "is required")
    digests = checksums.parse_content_digest(request.headers.get("content-digest"))
    return ChunkRequest(name, index, bodies.read_bytes(request, MAX_CHUNK_BYTES), upload_id, digests)


def _optional_crc32c(checksum: Checksum | None) -> int | None:
    return None if checksum is None else checksums.parse_crc32c(checksum.algorithm, checksum.value)
