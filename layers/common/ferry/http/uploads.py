"""Uploads: request bodies and query parameters to the requests of the use cases, and results to responses.

Each function imports the use case, the model and the response body of its route, because a cold start waits for what
is imported: a start does without the code of chunks and completions, and a raw chunk, which has no model, without
pydantic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ferry.errors import ChunkTooLarge, InvalidField
from ferry.http import bodies
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.http.response import JSON, IssuedUrls, Response, json_response
from ferry.model.files import File, IfExists
from ferry.rules.canonical_base64 import decode_canonical
from ferry.rules.filenames import normalize_filename
from ferry.rules.layout import MAX_CHUNK_BYTES

if TYPE_CHECKING:
    from ferry.http.models.body import Checksum
    from ferry.services import Services
    from ferry.uploads.chunk import ChunkAccepted, ChunkRequest
    from ferry.uploads.complete import CompleteRequest, CompletionAccepted
    from ferry.uploads.presign import PartsRequest, PresignedPart
    from ferry.uploads.start import StartResult
    from ferry.uploads.start_request import StartRequest

CHUNK_PARAMETERS = frozenset({"filename", "chunk_index", "upload_id"})
"""Query parameters of a raw chunk. A JSON chunk has none."""

_MAX_BASE64_LENGTH = (MAX_CHUNK_BYTES + 2) // 3 * 4
"""Characters of the base64 of the largest chunk."""

# Each `…_request` raises what `ferry.http.request_bodies.BodyReader.read` raises, `InvalidFilename`, and the errors of
# `ferry.http.checksums`.


def start_request(request: Request) -> StartRequest:
    """Return the start that the body asks for."""
    from ferry.http.request_bodies import START
    from ferry.uploads.start_request import StartRequest

    body = START.read(request)
    return StartRequest(
        name=normalize_filename(body.filename),
        size=body.size,
        content_type=body.content_type,
        chunk_size=body.chunk_size,
        part_size=body.part_size,
        crc32c=_optional_crc32c(body.checksum),
        fingerprint=body.fingerprint,
        metadata=body.metadata or {},
        if_exists=IfExists(body.if_exists),
        resume=body.resume,
        restart=body.restart,
        received_at=request.received_at,
    )


def chunk_request(request: Request) -> ChunkRequest:
    """Return the chunk of a raw or a JSON body. Also raises `ChunkTooLarge`.

    A body without a Content-Type is raw where the query has the name and the index: browsers send none for a slice of a
    Blob.
    """
    is_described_by_query = request.query.keys() >= {"filename", "chunk_index"}
    try:
        if request.content_type == bodies.OCTET_STREAM or (not request.content_type and is_described_by_query):
            return _chunk_from_bytes(request)
        if "chunk_index" in request.query or request.content_type not in ("", JSON):
            raise bodies.unsupported_media_type(
                request,
                f"Send the bytes of the chunk with Content-Type: {bodies.OCTET_STREAM}, and filename and chunk_index "
                f"in the query; or send JSON with Content-Type: {JSON}, and no query.",
            )
        return _chunk_from_json(request)
    except BodyTooLarge as error:
        raise ChunkTooLarge from error


def parts_request(request: Request) -> PartsRequest:
    """Return the parts that the body asks to have presigned."""
    from ferry.http.request_bodies import PARTS
    from ferry.uploads.presign import PartsRequest

    body = PARTS.read(request)
    parts = [(part.part_number, _optional_crc32c(part.checksum)) for part in body.parts]
    return PartsRequest(name=normalize_filename(body.filename), parts=parts, upload_id=body.upload_id)


def complete_request(request: Request) -> CompleteRequest:
    """Return the completion that the body asks for."""
    from ferry.http.request_bodies import COMPLETE
    from ferry.uploads.complete import CompleteRequest

    body = COMPLETE.read(request)
    return CompleteRequest(
        name=normalize_filename(body.filename),
        upload_id=body.upload_id,
        crc32c=_optional_crc32c(body.checksum),
        if_exists=None if body.if_exists is None else IfExists(body.if_exists),
        if_match=body.if_match,
    )


def start_response(services: Services, result: StartResult, chunk_url: str) -> Response:
    """Return the plan of the upload, or the finished file that is the one to be uploaded."""
    from ferry.http.responses.plans import Limits, UploadPlan

    limits = Limits.from_services(services)
    if result.file is not None:
        from ferry.http.responses.existing_files import ExistingFile

        return json_response(200, ExistingFile.from_file_and_limits(result.file, limits))
    from ferry.uploads.received import compute_received

    assert result.upload is not None
    plan = UploadPlan.from_upload(result.upload, compute_received(result.upload, result.parts), limits, chunk_url)
    return json_response(201, plan).with_metrics(UploadsStarted=1) if result.created else json_response(200, plan)


def chunk_response(chunk: ChunkRequest, accepted: ChunkAccepted) -> Response:
    """Return the progress of the upload that accepted the chunk."""
    from ferry.http.responses.chunks import ChunkProgress

    response = json_response(200, ChunkProgress.from_accepted(chunk.name, accepted))
    return response.with_metrics(ChunkBytes=len(chunk.body))


def parts_response(name: str, parts: Sequence[PresignedPart]) -> Response:
    """Return the presigned parts of the file `name`."""
    from ferry.http.responses.parts import SignedPart, SignedParts

    response = json_response(200, SignedParts([SignedPart.from_presigned(part) for part in parts]))
    expires_at = max((part.expires_at for part in parts), default=0)
    issued = IssuedUrls("PUT", len(parts), expires_at, name)
    return response.with_metrics(PartsSigned=len(parts)).with_issued_urls(issued)


def pending_response(name: str, pending: CompletionAccepted) -> Response:
    """Return when to ask again for a file that is not finished yet."""
    from ferry.http.responses.completions import CompletionPending

    body = CompletionPending(name, pending.upload_id)
    return json_response(202, body, {"Retry-After": str(pending.retry_after_seconds)})


def complete_response(file: File, *, is_new: bool) -> Response:
    """Return the finished file. Only the request that completed it counts it (`is_new`)."""
    from ferry.http.responses.files import FileBody

    response = json_response(200, FileBody.from_file(file))
    return response.with_metrics(UploadsCompleted=1, FileBytes=file.size) if is_new else response


def _chunk_from_json(request: Request) -> ChunkRequest:
    from ferry.http import checksums
    from ferry.http.request_bodies import CHUNK
    from ferry.rules.digests import verify_digests
    from ferry.uploads.chunk import ChunkRequest

    request.reject_unknown_parameters(frozenset())
    body = CHUNK.read(request, bodies.MAX_CHUNK_BODY_BYTES)
    if header_digests := checksums.parse_digest_headers(request.headers):
        # Digests in the header are those of the request's content, which is the JSON (RFC 9530 section 2).
        verify_digests(bodies.read_bytes(request, bodies.MAX_CHUNK_BODY_BYTES), header_digests)
    if len(body.data) > _MAX_BASE64_LENGTH:
        raise ChunkTooLarge
    try:
        data = decode_canonical(body.data)
    except ValueError as error:
        raise InvalidField.for_member("data", "must be canonical base64, padded and without line breaks") from error
    digests = (checksums.parse_chunk_digest(body.checksum.algorithm, body.checksum.value),) if body.checksum else ()
    return ChunkRequest(normalize_filename(body.filename), body.chunk_index, data, body.upload_id, digests)


def _chunk_from_bytes(request: Request) -> ChunkRequest:
    from ferry.http import checksums
    from ferry.uploads.chunk import ChunkRequest

    name, upload_id = request.filename(), request.optional_upload_id()
    index = request.integer("chunk_index")
    if index is None:
        raise InvalidField.for_member("chunk_index", "is required; send ?chunk_index=<index from 1>")
    digests = checksums.parse_digest_headers(request.headers)
    body = bodies.read_raw(request, MAX_CHUNK_BYTES, advice=bodies.RAW_CHUNK_ADVICE)
    return ChunkRequest(name, index, body, upload_id, digests)


def _optional_crc32c(checksum: Checksum | None) -> int | None:
    if checksum is None:
        return None
    from ferry.http import checksums

    return checksums.parse_crc32c(checksum.algorithm, checksum.value)
