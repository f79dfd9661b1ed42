"""Finished files, one at a time: requests to the arguments of the use cases, and results to responses.

Each function imports the one model or response body that it uses, because a cold start waits for what is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.errors import InvalidField, MalformedBody
from ferry.files.put import PutRequest, PutResult
from ferry.http import bodies, checksums
from ferry.http.conditions import request_conditions
from ferry.http.request import Request
from ferry.http.request_errors import NotAWholeFile
from ferry.http.response import JSON, Response, json_response
from ferry.model.files import DEFAULT_CONTENT_TYPE
from ferry.rules.canonical_base64 import decode_canonical
from ferry.rules.conditions import format_http_date
from ferry.rules.digests import crc32c_to_base64, verify_digests
from ferry.rules.layout import MIB
from ferry.rules.media_types import MAX_MEDIA_TYPE_LENGTH, is_media_type

if TYPE_CHECKING:
    from ferry.files.record import FileChange, RecordResult
    from ferry.model.files import File
    from ferry.model.quotas import Quota

MAX_PUT_BYTES = 4 * MIB
"""Bytes of a file that one request stores whole: their base64 is below Lambda's limit of 6 MB."""

METADATA_HEADER = "ferry-metadata"
"""Base64 of the JSON map that `start` calls `metadata`."""

_PARTIAL_BODY_HEADERS = {"upload-complete": "?0", "upload-incomplete": "?1"}
"""Headers of resumable uploads, with the value that says that bytes follow in another request."""


def put_request(request: Request) -> PutRequest:
    """Return the file that the request stores.

    Raises:
        InvalidField, InvalidFilename: a parameter, a condition, the type, the metadata or a digest is not valid.
        NotAWholeFile: the body is a part of a file.
        UnsupportedMediaType, BodyNotExact, BodyTooLarge, MalformedBody: `bodies.read_raw` raises them.
        ChecksumUnsupported, ChecksumMismatch: a digest is of another kind, or not that of the body.
    """
    name, conditions = request.filename(), request_conditions(request)
    if "content-range" in request.headers:
        raise NotAWholeFile("A file is stored whole. Send all of its bytes, without Content-Range.")
    for header, value in _PARTIAL_BODY_HEADERS.items():
        # A structured boolean may have parameters, which have no effect here (RFC 9651 section 3.3.6).
        if request.headers.get(header, "").partition(";")[0].strip() == value:
            raise NotAWholeFile(f"A file is stored whole. Send all of its bytes, without {header}: {value}.")
    content_type, metadata = _content_type(request), _metadata(request)
    digests = checksums.parse_digest_headers(request.headers) + checksums.parse_repr_digest(request.headers)
    body = bodies.read_raw(request, MAX_PUT_BYTES, advice=bodies.RAW_FILE_ADVICE)
    verify_digests(body, digests)
    return PutRequest(name, body, content_type, metadata, conditions)


def put_response(result: PutResult) -> Response:
    """Return the record of the stored file, with the headers of its content."""
    file = result.file
    response = json_response(201 if result.created else 200, _file_body(file), _record_headers(file))
    return response.with_metrics(FilesPut=1, FileBytes=file.size)


def record_response(result: RecordResult) -> Response:
    """Return the record of a file, or 304."""
    headers = {"ETag": result.file.record_etag, "Cache-Control": "private, no-cache"}
    if result.not_modified:
        return Response(304, {**headers, "Content-Type": JSON})
    last_modified = {"Last-Modified": format_http_date(result.file.last_modified_seconds)}
    return json_response(200, _file_body(result.file), {**headers, **last_modified})


def changed_response(file: File) -> Response:
    """Return the changed record of a file."""
    return json_response(200, _file_body(file), {"ETag": file.record_etag})


def change_request(request: Request) -> FileChange:
    """Return what the merge patch changes.

    Raises what `ferry.http.request_bodies.BodyReader.read` raises.
    """
    from ferry.files.record import FileChange
    from ferry.http.request_bodies import FILE_PATCH

    body = FILE_PATCH.read(request)
    sent = body.model_fields_set
    return FileChange(
        content_type=body.content_type or DEFAULT_CONTENT_TYPE if "content_type" in sent else None,
        metadata=body.metadata or {},
        clears_metadata="metadata" in sent and body.metadata is None,
    )


def usage_response(quota: Quota | None) -> Response:
    """Return the limits of the namespace, and what is used of them."""
    from ferry.http.responses.usage import Usage

    return json_response(200, Usage.from_quota(quota))


def _file_body(file: File) -> object:
    from ferry.http.responses.files import FileBody

    return FileBody.from_file(file)


def _record_headers(file: File) -> dict[str, str]:
    return {
        "ETag": file.record_etag,
        "Last-Modified": format_http_date(file.last_modified_seconds),
        "Repr-Digest": f"crc32c=:{crc32c_to_base64(file.crc32c)}:",
    }


def _content_type(request: Request) -> str:
    """Return the media type of the file: that of the query, or else of the body. A type without a body is none."""
    from_query = request.text("content_type", MAX_MEDIA_TYPE_LENGTH)
    content_type = from_query
    if content_type is None:
        content_type = request.headers.get("content-type", "").strip() if request.body else ""
        content_type = content_type or DEFAULT_CONTENT_TYPE
    if not is_media_type(content_type):
        member = "content-type" if from_query is None else "content_type"
        raise InvalidField.for_member(member, "must be a media type, such as text/plain; charset=utf-8")
    return content_type


def _metadata(request: Request) -> dict[str, str]:
    header = request.headers.get(METADATA_HEADER)
    if header is None:
        return {}
    # Imported for a file with metadata only.
    from ferry.http.request_bodies import METADATA

    try:
        value = bodies.parse_json(decode_canonical(header.strip()).decode())
    except (ValueError, MalformedBody) as error:
        raise InvalidField.for_member(
            METADATA_HEADER, "must be canonical base64 of a JSON object of strings, in UTF-8"
        ) from error
    return METADATA.validate({"metadata": value}).metadata
