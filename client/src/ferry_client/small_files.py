"""Send a small file in one request."""

from __future__ import annotations

import json
from base64 import b64encode

from ferry_client.api import Api
from ferry_client.checksums import crc32c, crc32c_to_base64
from ferry_client.errors import ApiError, ConflictError, name_taken_error
from ferry_client.etags import is_md5_of
from ferry_client.members import nested, parse_object
from ferry_client.models import FileRecord, UploadResult
from ferry_client.transport import BytesBody
from ferry_client.upload_request import UploadRequest
from ferry_client.workers import TransferLimit

MAX_PUT_BREAKS = 2
"""Broken connections after which the file is sent in chunks instead."""


def put_file(api: Api, transfer_limit: TransferLimit, request: UploadRequest) -> UploadResult | None:
    """Send a whole file of at most 4 MiB in one request.

    Return None where the name has another file and `if_exists` is `rename`: an upload takes the next free name.

    Raises:
        TransportError: the connection broke `MAX_PUT_BREAKS` times.
        ConflictError: the name has another file and `if_exists` is `fail`.
        ApiError, NetworkError, CancelledError, SourceChangedError: as their names say.
    """
    request.on_progress(0)
    data = request.source.read(0, request.source.size)
    request.source.raise_if_changed()
    crc = crc32c(data)
    headers = {"Content-Type": "application/octet-stream", "Content-Digest": content_digest(crc)}
    if request.if_exists != "replace":
        headers["If-None-Match"] = "*"
    if request.metadata:
        headers["Ferry-Metadata"] = b64encode(json.dumps(dict(request.metadata)).encode()).decode()
    path = api.file_path("/files", request.name, content_type=request.content_type)
    try:
        with transfer_limit.acquire():
            response = api.request(
                "PUT",
                path,
                body=BytesBody(data),
                headers=headers,
                accept=(200, 201),
                max_attempts=MAX_PUT_BREAKS,
            )
    except ConflictError as error:
        return _conflict(api, request, error, data)
    request.on_progress(len(data))
    return UploadResult(FileRecord.from_json(parse_object(response.body)), sent_bytes=len(data), resumed_bytes=0)


def _conflict(api: Api, request: UploadRequest, error: ConflictError, data: bytes) -> UploadResult | None:
    """Return the success of a PUT whose response was lost, or what `if_exists` says. Raises `ConflictError`."""
    current, crc = error.members.get("current_file"), crc32c(data)
    if current is not None:
        file = FileRecord.from_json(nested(error.members, "current_file"))
        if (file.size, file.crc32c) == (len(data), crc) and _is_same(api, file, data):
            request.on_progress(file.size)
            return UploadResult(file, sent_bytes=file.size, resumed_bytes=0)
    if request.if_exists == "skip":
        return UploadResult(None, sent_bytes=0, resumed_bytes=0, skipped=True)
    if request.if_exists == "rename":
        return None
    raise name_taken_error(request.name, error) from error


def _is_same(api: Api, file: FileRecord, data: bytes) -> bool:
    """Return whether a file that has the size and CRC32C of some bytes has these bytes: others may share a CRC32C."""
    if is_md5_of(file.etag, data):
        return True
    try:
        return api.request("GET", api.file_path("/download", file.name), headers={"If-Match": file.etag}).body == data
    except ApiError:  # replaced meanwhile, or no scope to read
        return False


def content_digest(crc: int) -> str:
    """Return the Content-Digest header of bytes with this CRC32C (RFC 9530)."""
    return f"crc32c=:{crc32c_to_base64(crc)}:"
