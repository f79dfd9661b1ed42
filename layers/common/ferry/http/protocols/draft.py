"""The IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload), interop versions 3 to 9."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from ferry import errors
from ferry.errors import InconsistentLength, InvalidField, LengthExceeded, LengthTooLarge, OffsetMismatch
from ferry.http import checksums, request_errors
from ferry.http.protocols import fields
from ferry.http.protocols.endpoint import Endpoint
from ferry.http.request import Request
from ferry.http.request_errors import MalformedHeader, VersionUnsupported
from ferry.http.response import Response, empty_response
from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadState
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.resumable.first_bytes import append_first_bytes
from ferry.resumable.limits import MAX_APPEND_BYTES, MAX_LENGTH
from ferry.resumable.lookup import find_sequential
from ferry.resumable.repeated import find_same_file
from ferry.rules.digests import CRC32C_BYTES, Digest, verify_digests
from ferry.rules.durations import SECOND_MS
from ferry.rules.filenames import last_segment
from ferry.rules.media_types import is_media_type
from ferry.services import Services

MEDIA_TYPE = "application/partial-upload"

OLDEST_VERSION, NEWEST_VERSION = 3, 9
"""Interop versions: draft -01 and draft -12. Newer ones are taken as the newest."""

_INVERTED_VERSION = 3
"""The interop version whose `Upload-Incomplete` says the opposite of `Upload-Complete`."""

_FIRST_VERSION_WITH_TYPE = 6
"""The first interop version whose appends have a media type of their own."""

_PROBLEM_TYPES: Mapping[type[Exception], str] = {
    OffsetMismatch: "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
    InconsistentLength: "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
}

STATUSES: Mapping[type[Exception], int] = {
    errors.ChecksumUnsupported: 400,
    errors.FileExists: 403,
    request_errors.BodyTooLarge: 413,
}
"""Statuses that differ from those of other routes, by error class."""

_BOOLEANS = {"?1": True, "?0": False}
_COMMON = {"Cache-Control": "no-store"}
_REPR_DIGEST_DETAIL = "Repr-Digest must have the form crc32c=:<base64 of four bytes>:."
_DISPOSITION_NAME = re.compile(r"""filename\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))""", re.IGNORECASE)
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Completeness:
    """Whether a request ends the upload, and how the client's version of the draft says so."""

    is_last: bool
    """Whether the request ends the upload; in a response, whether the upload is complete."""
    is_inverted: bool
    """Whether the header is `Upload-Incomplete` (interop version 3) instead of `Upload-Complete`."""


def speaks(request: Request) -> bool:
    """Return whether a request is a creation of the draft."""
    return "upload-complete" in request.headers or "upload-incomplete" in request.headers


def capabilities(services: Services) -> dict[str, str]:
    """Return the headers of a response to OPTIONS."""
    return {"Upload-Limit": limit(services), "Accept-Patch": MEDIA_TYPE}


def limit(services: Services) -> str:
    """Return the limits of an upload, as a dictionary of structured fields."""
    limits = {
        "max-size": MAX_LENGTH,
        "min-size": 0,
        "max-append-size": MAX_APPEND_BYTES,
        "max-age": services.upload_max_age_ms // SECOND_MS,
    }
    return ", ".join(f"{name}={value}" for name, value in limits.items())


def create_upload(services: Services, endpoint: Endpoint, request: Request) -> Response:
    """Create an upload, with the bytes in the body."""
    completeness = _completeness(request)
    length = fields.integer(request, "upload-length")
    repr_digests = _parse_repr_digest(request)
    create_request = _read_creation(endpoint, request, length, _crc32c_of(repr_digests))
    body = fields.body_of(request, MEDIA_TYPE)
    digests = checksums.parse_digest_headers(request.headers)
    verify_digests(body, digests)
    if length is not None and length > MAX_LENGTH:
        raise LengthTooLarge
    if length is not None and (len(body) > length or (completeness.is_last and len(body) != length)):
        raise InconsistentLength(f"Upload-Length is {length}, and the body has {len(body)} bytes. No upload was made.")
    if completeness.is_last:
        # The body is the whole file. A wrong one is rejected before it leaves an upload whose URL the client lacks.
        verify_digests(body, repr_digests)
        create_request = replace(create_request, length=len(body))
        file = find_same_file(services, endpoint.ns, create_request, body) if endpoint.repeats_files else None
        if file is not None:
            headers = {"Upload-Offset": str(file.size), **endpoint.name_header(file.name)}
            return _respond(201, services, headers, completeness, endpoint.location(file.upload_id))
    upload = create(services, endpoint.ns, create_request)
    if body or completeness.is_last:
        first = AppendRequest(upload.record.upload_id, 0, body, is_last=completeness.is_last)
        upload = append_first_bytes(services, endpoint.ns, first)
    completeness = replace(completeness, is_last=upload.record.state is UploadState.COMPLETE)
    location = endpoint.location(upload.record.upload_id)
    response = _respond(201, services, endpoint.upload_headers(upload), completeness, location)
    return response.with_metrics(UploadsStarted=1)


def head(services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Return where the upload continues, and whether its file is committed."""
    for name in ("upload-offset", "upload-complete", "upload-incomplete"):
        if name in request.headers:
            raise MalformedHeader(f"A request for the offset has no {name}. Send it without.")
    upload, state = find_sequential(services, endpoint.ns, upload_id, Protocol.DRAFT)
    is_complete = upload.record.state is UploadState.COMPLETE
    length = {} if state.length is None else {"Upload-Length": str(state.length)}
    is_inverted = _version(request) == _INVERTED_VERSION
    return _respond(204, services, endpoint.upload_headers(upload), _Completeness(is_complete, is_inverted), length)


def patch(services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Append the bytes of the body. Bytes beyond a known length end the upload."""
    completeness = _completeness(request)
    if _version(request) >= _FIRST_VERSION_WITH_TYPE:
        fields.require_type(request, MEDIA_TYPE)
    offset, length = fields.required_integer(request, "upload-offset"), fields.integer(request, "upload-length")
    body = fields.body_of(request, MEDIA_TYPE)
    digests = checksums.parse_digest_headers(request.headers)
    appended = AppendRequest(
        upload_id, offset, body, is_last=completeness.is_last, length=length, checksums=digests, protocol=Protocol.DRAFT
    )
    try:
        result = append(services, endpoint.ns, appended)
    except LengthExceeded as error:
        delete(services, endpoint.ns, upload_id, Protocol.DRAFT)
        raise InconsistentEnd(error.detail) from error
    fields.raise_if_pending(result)
    return fields.with_counts(
        _respond(204, services, endpoint.upload_headers(result.upload), completeness), result, len(body)
    )


class InconsistentEnd(errors.Conflict):
    code = "inconsistent_upload_length"
    title = "The bytes go beyond the length of the upload, which has ended"
    advice = "Create the upload again."


def delete_upload(services: Services, endpoint: Endpoint, upload_id: str, _: Request) -> Response:
    """Delete the upload. The file of a complete one stays."""
    name = delete(services, endpoint.ns, upload_id, Protocol.DRAFT)
    return empty_response(204, endpoint.name_header(name))


METHODS = {"HEAD": head, "PATCH": patch, "DELETE": delete_upload}
"""What serves a request to an upload, by its method."""

TUS_ERRORS = (VersionUnsupported,)
"""Errors whose response is that of tus, whatever else the request has."""


def error_response(response: Response, error: Exception, request: Request, services: Services) -> Response:
    """Return the response to an error with the headers and the problem type of the draft."""
    is_inverted = _version(request) == _INVERTED_VERSION
    headers = {**response.headers, **fields.error_headers(error), "Upload-Limit": limit(services)}
    headers |= _complete_header(_Completeness(False, is_inverted))
    problem = json.loads(response.body or "{}")
    for kind, problem_type in _PROBLEM_TYPES.items():
        if isinstance(error, kind) or (kind is InconsistentLength and isinstance(error, InconsistentEnd)):
            problem["type"] = problem_type
    return replace(response, headers=headers, body=json.dumps(problem, separators=(",", ":"), ensure_ascii=False))


def _completeness(request: Request) -> _Completeness:
    """Return what the request says. Raises `MalformedHeader` without a valid header."""
    for name, is_inverted in (("upload-complete", False), ("upload-incomplete", True)):
        if name in request.headers:
            value = _BOOLEANS.get(request.headers[name].strip())
            if value is None:
                raise MalformedHeader(f"{name} must be ?1 or ?0.")
            return _Completeness(value is not is_inverted, is_inverted)
    raise MalformedHeader("Upload-Complete is missing. Send ?1 with the last bytes, ?0 with others.")


def _version(request: Request) -> int:
    """Return the interop version that the client sends; the newest without one."""
    value = request.headers.get("upload-draft-interop-version", "").strip()
    if not value.isdecimal():
        return _INVERTED_VERSION if "upload-incomplete" in request.headers else NEWEST_VERSION
    return max(OLDEST_VERSION, min(int(value[:4]), NEWEST_VERSION))


def _read_creation(endpoint: Endpoint, request: Request, length: int | None, crc: int | None) -> CreateRequest:
    content_type = request.query.get("content_type")
    if content_type is None and request.content_type != MEDIA_TYPE:
        content_type = request.headers.get("content-type", "").strip() if request.body else ""
    if content_type and not is_media_type(content_type):
        raise InvalidField.for_member("content-type", "must be a media type, such as text/plain; charset=utf-8")
    return CreateRequest(
        Protocol.DRAFT,
        name=endpoint.whole_name(_name_of(request)),
        unnamed_folder=endpoint.unnamed_folder,
        length=length,
        content_type=content_type or None,
        if_exists=endpoint.if_exists(request),
        crc32c=crc,
    )


def _name_of(request: Request) -> str | None:
    """Return the name from `?filename=`, else from Content-Disposition (RFC 6266); None if the request has none."""
    if "filename" in request.query:
        return request.query["filename"]
    disposition = request.headers.get("content-disposition", "")
    extended = _EXTENDED_NAME.search(disposition)
    if extended is not None:
        return last_segment(unquote(extended[1]))
    plain = _DISPOSITION_NAME.search(disposition)
    if plain is None:
        return None
    name = re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2]
    return last_segment(name)


def _parse_repr_digest(request: Request) -> tuple[Digest, ...]:
    """Return the digests of the whole file by algorithms that Ferry knows.

    Raises `MalformedHeader` for a malformed header. It is not ignored, because the client expects verification.
    """
    header = request.headers.get("repr-digest", "")
    try:
        return checksums.parse_known_digests(header, "repr-digest") if header.strip() else ()
    except InvalidField as error:
        raise MalformedHeader(_REPR_DIGEST_DETAIL) from error


def _crc32c_of(digests: Sequence[Digest]) -> int | None:
    """Return the CRC32C of the whole file; None without one. The completion verifies no other (RFC 9530 section 3)."""
    value = next((digest.value for digest in digests if digest.algorithm == "crc32c"), None)
    if value is None:
        return None
    if len(value) != CRC32C_BYTES:
        raise MalformedHeader(_REPR_DIGEST_DETAIL)
    return int.from_bytes(value, "big")


def _respond(
    status: int,
    services: Services,
    headers: Mapping[str, str],
    completeness: _Completeness,
    more: Mapping[str, str] | None = None,
) -> Response:
    complete = _complete_header(completeness)
    return Response(status, {**_COMMON, **headers, **complete, "Upload-Limit": limit(services), **(more or {})})


def _complete_header(completeness: _Completeness) -> dict[str, str]:
    name = "Upload-Incomplete" if completeness.is_inverted else "Upload-Complete"
    return {name: "?1" if completeness.is_last is not completeness.is_inverted else "?0"}
