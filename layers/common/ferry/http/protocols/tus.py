"""tus 1.0.0: https://tus.io/protocols/resumable-upload, with the extensions of `CAPABILITIES`."""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ferry import errors
from ferry.errors import ChecksumMismatch, InvalidField, LengthExceeded
from ferry.http import request_errors
from ferry.http.protocols import fields
from ferry.http.protocols.endpoint import Endpoint, without_secrets
from ferry.http.request import Request
from ferry.http.request_errors import MalformedHeader, VersionUnsupported
from ferry.http.response import Response, empty_response
from ferry.model.sequential import Protocol
from ferry.model.uploads import Upload, UploadState
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.concatenate import create_final
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.resumable.first_bytes import append_first_bytes
from ferry.resumable.limits import MAX_LENGTH
from ferry.resumable.lookup import find_sequential, shown_length
from ferry.resumable.repeated import find_same_file
from ferry.rules.canonical_base64 import decode_canonical
from ferry.rules.conditions import format_http_date
from ferry.rules.digests import crc32c
from ferry.rules.durations import SECOND_MS
from ferry.rules.media_types import is_media_type
from ferry.rules.metadata import metadata_problem
from ferry.services import Services

VERSION = "1.0.0"
MEDIA_TYPE = "application/offset+octet-stream"

_CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: crc32c(body).to_bytes(4, "big"),
}

CAPABILITIES: Mapping[str, str] = {
    "Tus-Resumable": VERSION,
    "Tus-Version": VERSION,
    "Tus-Extension": (
        "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation"
    ),
    "Tus-Checksum-Algorithm": ",".join(_CHECKSUMS),
    "Tus-Max-Size": str(MAX_LENGTH),
}
"""Headers of a response to OPTIONS."""

STATUSES: Mapping[type[Exception], int] = {
    errors.LengthExceeded: 413,
    ChecksumMismatch: 460,
    errors.ChecksumUnsupported: 400,
    errors.FileExists: 403,
    request_errors.BodyTooLarge: 413,
}
"""Statuses that differ from those of other routes, by error class."""

_NAME_KEYS = ("relativePath", "filename", "name")
_TYPE_KEYS = ("filetype", "type")
_COMMON = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class _Creation:
    """What the headers of a creation ask for."""

    request: CreateRequest
    """The upload to create."""
    body: bytes
    """The first bytes; empty without creation-with-upload."""
    partial_ids: tuple[str, ...]
    """Ids of the uploads to concatenate; empty unless this is a final upload."""


def speaks(request: Request) -> bool:
    """Return whether a request is one of tus."""
    return "tus-resumable" in request.headers


def create_upload(services: Services, endpoint: Endpoint, request: Request) -> Response:
    """Create an upload, with the bytes in the body if there are any."""
    _check_version(request)
    creation, ns = _read_creation(endpoint, request), endpoint.ns
    if creation.partial_ids:
        result = create_final(services, ns, creation.request, creation.partial_ids)
        return _created(result.upload, endpoint)
    length = creation.request.length
    if length is not None and len(creation.body) > length:
        raise LengthExceeded(f"The body has more bytes than Upload-Length: {length}. Send at most these.")
    if length == len(creation.body) and endpoint.repeats_files:
        file = find_same_file(services, ns, creation.request, creation.body)
        if file is not None:
            headers = {"Upload-Offset": str(file.size), **endpoint.name_header(file.name)}
            return empty_response(201, {**_COMMON, **headers, **endpoint.location(file.upload_id)})
    upload = create(services, ns, creation.request)
    if creation.body or length == 0:
        first = AppendRequest(upload.record.upload_id, 0, creation.body)
        upload = append_first_bytes(services, ns, first)
    return _created(upload, endpoint).with_metrics(UploadsStarted=1)


def head(services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Return where the upload continues."""
    _check_version(request)
    upload, state = find_sequential(services, endpoint.ns, upload_id, Protocol.TUS)
    headers = {**_COMMON, **endpoint.upload_headers(upload), **_expires(upload)}
    headers |= endpoint.echoed(state.echoed_headers)
    length = shown_length(upload)
    headers |= {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    return Response(200, headers)


def patch(services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Append the bytes of the body."""
    _check_version(request)
    fields.require_type(request, MEDIA_TYPE)
    offset, length = fields.required_integer(request, "upload-offset"), fields.integer(request, "upload-length")
    body = fields.body_of(request, MEDIA_TYPE)
    _verify_checksum(request, body)
    appended = AppendRequest(upload_id, offset, body, length=length, protocol=Protocol.TUS)
    result = append(services, endpoint.ns, appended)
    fields.raise_if_pending(result)
    headers = {**_COMMON, **endpoint.upload_headers(result.upload), **_expires(result.upload)}
    return fields.with_counts(empty_response(204, headers), result, len(body))


def delete_upload(services: Services, endpoint: Endpoint, upload_id: str, request: Request) -> Response:
    """Delete the upload. The file of a complete one stays."""
    _check_version(request)
    name = delete(services, endpoint.ns, upload_id, Protocol.TUS)
    return empty_response(204, {**_COMMON, **endpoint.name_header(name)})


METHODS = {"HEAD": head, "PATCH": patch, "DELETE": delete_upload}
"""What serves a request to an upload, by its method."""


def error_fields(error: Exception) -> dict[str, str]:
    """Return the headers of a response to an error."""
    versions = {"Tus-Version": VERSION} if isinstance(error, VersionUnsupported) else {}
    return {"Tus-Resumable": VERSION, **versions, **fields.error_headers(error)}


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable", "").strip() != VERSION:
        raise VersionUnsupported


def _read_creation(endpoint: Endpoint, request: Request) -> _Creation:
    """Return what the creation asks for. Nothing is stored before all of it is checked."""
    is_partial, partial_ids = _parse_concat(request)
    length = _parse_length(request, is_final=bool(partial_ids))
    fields.require_type(request, MEDIA_TYPE)
    body = fields.body_of(request, MEDIA_TYPE)
    if body and partial_ids:
        raise MalformedHeader("A final upload has no bytes of its own. Send no body.")
    _verify_checksum(request, body)
    metadata = _parse_metadata(request.headers.get("upload-metadata", ""))
    echoed = {
        name: without_secrets(request.headers[name.lower()])
        for name in ("Upload-Metadata", "Upload-Concat")
        if request.headers.get(name.lower(), "").strip()
    }
    kept = {key: value for key, value in metadata.items() if key not in (*_NAME_KEYS, *_TYPE_KEYS)}
    problem = metadata_problem(kept)
    if problem is not None:
        raise InvalidField.for_member("upload-metadata", problem)
    create_request = CreateRequest(
        Protocol.TUS,
        name=None if is_partial else endpoint.whole_name(_name_of(metadata, request)),
        unnamed_folder=endpoint.unnamed_folder,
        length=length,
        content_type=_content_type(metadata, request),
        metadata=kept,
        if_exists=endpoint.if_exists(request),
        is_partial=is_partial,
        echoed_headers=echoed,
    )
    return _Creation(create_request, body, partial_ids)


def _parse_length(request: Request, *, is_final: bool) -> int | None:
    """Return the length of the upload; None if it is deferred, or that of a final upload."""
    length, deferred = fields.integer(request, "upload-length"), request.headers.get("upload-defer-length")
    if deferred is not None and deferred.strip() != "1":
        raise MalformedHeader("Upload-Defer-Length can only be 1.")
    if is_final and (length is not None or deferred is not None):
        raise MalformedHeader("A final upload has the length of its partial uploads. Send no Upload-Length.")
    if not is_final and (length is None) == (deferred is None):
        raise MalformedHeader("Send either Upload-Length or Upload-Defer-Length: 1.")
    return length


def _parse_concat(request: Request) -> tuple[bool, tuple[str, ...]]:
    """Return whether the upload is partial, and the ids of the partial uploads of a final one."""
    value = request.headers.get("upload-concat")
    if value is None:
        return False, ()
    kind, _, urls = value.strip().partition(";")
    if kind == "partial" and not urls:
        return True, ()
    ids = tuple(url.partition("?")[0].rstrip("/").rpartition("/")[2] for url in urls.split())
    # Of URLs that are separated by commas only the last one would be read.
    if kind != "final" or not ids or not all(ids) or "," in urls:
        raise MalformedHeader(
            "Upload-Concat must be partial, or final; and the URLs of partial uploads, separated by spaces."
        )
    return False, ids


def _parse_metadata(header: str) -> dict[str, str]:
    """Return the metadata: keys, each with the text of its base64, separated by commas."""
    metadata: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else []:
        key, _, value = pair.strip().partition(" ")
        if not key or key in metadata:
            raise MalformedHeader("Upload-Metadata must have keys that are not empty, each once.")
        try:
            metadata[key] = decode_canonical(value.strip()).decode()
        except ValueError as error:
            raise MalformedHeader(
                f"The value of {key[:64]!r} in Upload-Metadata must be canonical base64 of UTF-8."
            ) from error
    return metadata


def _name_of(metadata: Mapping[str, str], request: Request) -> str | None:
    """Return the filename; None if the request has none. Uppy sends `null` for a file without a folder."""
    name = request.query.get("filename")
    path = metadata.get("relativePath", "")
    if name is None and path not in ("", "null"):
        name = path.removeprefix("/")
    if name is None:
        name = _first(metadata, _NAME_KEYS[1:])
    return name


def _content_type(metadata: Mapping[str, str], request: Request) -> str | None:
    content_type = request.query.get("content_type") or _first(metadata, _TYPE_KEYS)
    if content_type is not None and not is_media_type(content_type):
        raise InvalidField.for_member("filetype", "must be a media type, such as text/plain; charset=utf-8")
    return content_type


def _first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((metadata[key] for key in keys if metadata.get(key)), None)


def _verify_checksum(request: Request, body: bytes) -> None:
    """Verify `Upload-Checksum`: an algorithm, and the base64 of the digest of the body."""
    header = request.headers.get("upload-checksum")
    if header is None:
        return
    algorithm, _, value = header.strip().partition(" ")
    if algorithm not in _CHECKSUMS:
        raise MalformedHeader(f"Upload-Checksum has no supported algorithm. Send one of {', '.join(_CHECKSUMS)}.")
    try:
        digest = decode_canonical(value.strip())
    except ValueError as error:
        raise MalformedHeader("Upload-Checksum must be an algorithm and canonical base64.") from error
    if not digest:
        raise MalformedHeader("Upload-Checksum has no checksum. Send an algorithm, a space and base64.")
    if not hmac.compare_digest(_CHECKSUMS[algorithm](body), digest):
        raise ChecksumMismatch(f"The received bytes have another {algorithm}. Nothing was stored. Send them again.")


def _created(upload: Upload, endpoint: Endpoint) -> Response:
    headers = {**endpoint.upload_headers(upload), **_expires(upload)}
    return empty_response(201, {**_COMMON, **headers, **endpoint.location(upload.record.upload_id)})


def _expires(upload: Upload) -> dict[str, str]:
    """Return when an upload expires; a complete one does not."""
    if upload.record.state is UploadState.COMPLETE:
        return {}
    return {"Upload-Expires": format_http_date(upload.expires_at // SECOND_MS)}
