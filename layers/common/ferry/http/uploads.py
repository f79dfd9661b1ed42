"""Uploads: request bodies and query parameters to the requests of the use cases, and results to responses.

A function that reads a body imports its model: a raw chunk has none, so its cold start does not load pydantic.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from ferry.errors import ChunkTooLarge, InvalidField
from ferry.http import bodies, checksums
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.http.response import Response, json_response
from ferry.http.responses.uploads import ExistingFile, Limits, UploadPlan
from ferry.rules.filenames import normalise_filename
from ferry.rules.layout import MAX_CHUNK_BYTES
from ferry.services import Services
from ferry.uploads.chunk import ChunkRequest
from ferry.uploads.complete import CompleteRequest
from ferry.uploads.presign import PartsRequest
from ferry.uploads.received import compute_received
from ferry.uploads.start import StartRequest, StartResult

if TYPE_CHECKING:
    from ferry.http.models import Checksum

_MAX_BASE64_LENGTH = (MAX_CHUNK_BYTES + 2) // 3 * 4

# Each `…_request` raises what `ferry.http.validation.parse_body` raises, `InvalidFilename`, and the errors of
# `ferry.http.checksums`.


def start_request(request: Request) -> StartRequest:
    """Return the start that the body asks for."""
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


def start_response(services: Services, result: StartResult) -> Response:
    """Return the plan of the upload, or the finished file that is the one to be uploaded."""
    limits = Limits.from_services(services)
    if result.file is not None:
        return json_response(200, ExistingFile.from_file_and_limits(result.file, limits))
    assert result.upload is not None
    received = compute_received(result.upload, result.parts)
    plan = UploadPlan.from_upload(result.upload, received, limits)
    if not result.created:
        return json_response(200, plan)
    return json_response(201, plan).with_metrics(UploadsStarted=1)


def chunk_request(request: Request) -> ChunkRequest:
    """Return the chunk of a raw or a JSON body. Also raises `ChunkTooLarge`."""
    try:
        return _chunk_from_bytes(request) if request.content_type == bodies.OCTET_STREAM else _chunk_from_json(request)
    except BodyTooLarge as error:
        raise ChunkTooLarge from error


def parts_request(request: Request) -> PartsRequest:
    """Return the parts that the body asks to have presigned."""
    from ferry.http.models import PartsBody

    body = PartsBody.read(request)
    parts = [(part.part_number, _optional_crc32c(part.checksum)) for part in body.parts]
    return PartsRequest(name=normalise_filename(body.filename), parts=parts, upload_id=body.upload_id)


def complete_request(request: Request) -> CompleteRequest:
    """Return the completion that the body asks for."""
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
