"""Upload a stream whose end is not known yet: by tus 1.0.0 with a deferred length, one request after the other.

After a break, the bytes from the service's offset on are sent again. The bytes that were read are in this process
alone, so an upload whose process has ended cannot be continued.
"""

from __future__ import annotations

import queue
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import quote, unquote, urlencode

from ferry_client.api import Api
from ferry_client.callbacks import ignore
from ferry_client.cancellation import POLL_SECONDS, new_thread, raise_if_cancelled
from ferry_client.checksums import crc32c, crc32c_to_base64
from ferry_client.errors import (
    AccessError,
    ApiError,
    ConflictError,
    FerryError,
    IntegrityError,
    LocalFileError,
    NetworkError,
    NotFoundError,
    UsageError,
    name_taken_error,
)
from ferry_client.line import Line
from ferry_client.members import decimal, parse_object, url
from ferry_client.models import FileRecord, IfExists, UploadResult
from ferry_client.options import MAX_CHUNK_BYTES, MAX_PUT_BYTES, MIN_CHUNK_BYTES
from ferry_client.retries import CONTINUE_ADVICE, MAX_RETRY_AFTER_SECONDS, RetryClock, retry_after_seconds
from ferry_client.sources import read_block
from ferry_client.transport import BytesBody, HttpResponse, TransportError
from ferry_client.workers import TransferLimit

_TUS = {"Tus-Resumable": "1.0.0"}
"""Header of each request (tus 1.0.0)."""

_FAST_SECONDS = 1.0
"""A request that took less makes the next one twice as long."""

_MAX_DAMAGES = 5
"""How often bytes arrive damaged before the upload fails."""

_LOST_ADVICE = (
    "The input cannot be read again, so its upload cannot be continued. Send it with --spool-input (in Python: from a "
    "file), which is resumed."
)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A stream to upload."""

    stream: BinaryIO
    """The bytes after `first`, read once."""
    name: str
    """The name that the file gets."""
    first: bytes = b""
    """What was read of the stream before."""
    if_exists: IfExists = "fail"
    """What to do where the name has a file."""
    content_type: str | None = None
    """The file's type; None: `application/octet-stream`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Stored with the file."""
    on_progress: Callable[[int], None] = ignore
    """Called with the number of durable bytes."""


class StreamUploader:
    """Uploads streams to one service."""

    def __init__(self, api: Api, transfer_limit: TransferLimit, line: Line) -> None:
        self.api = api
        """The service."""
        self.transfer_limit = transfer_limit
        """Shared by all transfers of the client."""
        self.line = line
        """What is known of the line to the service."""

    def upload(self, request: StreamRequest) -> UploadResult:
        """Upload a stream to its end.

        Raises:
            ConflictError: the name has a file and `if_exists` is `fail`.
            LocalFileError: the stream cannot be read.
            NetworkError: there was no success for `retry_for_seconds`. The upload cannot be continued.
            FerryError: see `ferry_client.errors` for the others.
        """
        transfer = _StreamTransfer(self, request)
        try:
            return transfer.run()
        except NetworkError as error:
            text = str(error).removesuffix(CONTINUE_ADVICE).rstrip()
            raise type(error)(f"{text} {_LOST_ADVICE}") from error
        except NotFoundError as error:
            detail = f"The upload of {request.name} has ended on the service. {_LOST_ADVICE}"
            raise NotFoundError(error.status, error.code, detail, error.request_id) from error
        except (LocalFileError, IntegrityError, UsageError):
            transfer.discard()
            raise


class _StreamTransfer:
    """The upload of one stream."""

    def __init__(self, uploader: StreamUploader, request: StreamRequest) -> None:
        self._api = uploader.api
        self._transfer_limit = uploader.transfer_limit
        self._request = request
        self._request_bytes = uploader.line.chunk_bytes(uploader.api.options.rate_limit())
        self._retry_clock = RetryClock(uploader.api.options.retry_for_seconds)
        self._url = ""
        self._name = request.name
        self._offset = 0
        self._crc = 0
        self._damages = 0
        """Requests whose bytes arrived damaged."""
        self._end_bytes: int | None = None
        """Bytes of the request that ended the upload, once one was sent: a repetition must have the same."""

    def run(self) -> UploadResult:
        """Create the upload, append the stream, and return the file."""
        self._request.on_progress(0)
        try:
            self._create()
        except ConflictError:
            if self._request.if_exists != "skip":
                raise
            return UploadResult(None, 0, 0, skipped=True)
        with closing(_read_ahead(self._request)) as pieces:
            piece = next(pieces)
            for following in pieces:
                self._append(piece, is_last=False)
                piece = following
        try:
            self._append(piece, is_last=True)
        except _NameTakenError as error:
            return self._end_with_taken_name(error)
        return UploadResult(self._verified(self._record(self._name)), self._offset, 0)

    def discard(self) -> None:
        """Delete the upload, so that it counts for no quota; once, without repetition."""
        if self._url:
            try:
                self._api.request("DELETE", self._url, headers=_TUS, accept=(204, 404, 410), max_attempts=1)
            except FerryError:
                return

    def _create(self) -> None:
        """Create the upload. Raises `ConflictError` if the name has a file that is not to be replaced.

        Under `rename` a creation whose response was lost would make the name taken. So `fail` is tried first.
        """
        request = self._request
        first_choice = "replace" if request.if_exists == "replace" else "fail"
        try:
            response = self._post_creation(first_choice)
        except AccessError as error:
            if error.code != "file_exists":
                raise
            if request.if_exists != "rename":
                raise name_taken_error(request.name, error) from error
            response = self._post_creation("rename")
        self._url = url({**response.headers}, "location")
        self._take_name(response)

    def _post_creation(self, if_exists: str) -> HttpResponse:
        request = self._request
        metadata = {**request.metadata, "relativePath": request.name, "filename": request.name}
        if request.content_type:
            metadata["filetype"] = request.content_type
        encoded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = {**_TUS, "Upload-Defer-Length": "1", "Upload-Metadata": encoded}
        query = urlencode({"if_exists": if_exists}, quote_via=quote)
        return self._api.request("POST", f"/uploads?{query}", headers=headers, accept=(201,))

    def _append(self, piece: bytes, *, is_last: bool) -> None:
        """Append a piece, in as many requests as the line needs.

        Raises:
            _NameTakenError: this was the last piece, and the name has got a file meanwhile.
        """
        first, failures = self._offset, 0
        end = first + len(piece)
        self._crc = crc32c(piece, self._crc)
        while self._offset < end:
            before = self._offset
            body = piece[before - first :][: self._request_bytes]
            is_end = is_last and before + len(body) == end
            try:
                self._append_once(body, range(first, end + 1), length=end if is_end else None)
            except (TransportError, _RepeatError) as error:
                failures += 1
                self._pause(str(error), failures)
                self._find_offset(range(first, end + 1))
                if isinstance(error, TransportError):
                    self._request_bytes = max(MIN_CHUNK_BYTES, self._request_bytes // 2)
                elif self._offset == before and self._end_bytes:
                    self._request_bytes = self._end_bytes
            if self._offset > before:
                failures = 0
                self._retry_clock.record_success()
                self._request.on_progress(self._offset)

    def _append_once(self, body: bytes, offsets: range, *, length: int | None) -> None:
        """Append by one request. Raises `_RepeatError` or `TransportError` where it is to be repeated."""
        started_at = time.monotonic()
        try:
            response = self._patch(body, length=length)
        except ConflictError as error:
            if isinstance(error, _NameTakenError):
                raise
            raise _RepeatError(error.detail) from error
        except ApiError as error:
            self._damages += 1
            if error.status != 460 or self._damages > _MAX_DAMAGES:
                raise
            raise _RepeatError(error.detail) from error
        self._take_offset(response, offsets)
        if time.monotonic() - started_at < _FAST_SECONDS:
            self._request_bytes = min(MAX_CHUNK_BYTES, self._request_bytes * 2)

    def _patch(self, body: bytes, *, length: int | None) -> HttpResponse:
        """Append a body. Raises `ConflictError` if the offset is another one, or the name has got a file."""
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(self._offset),
            "Upload-Checksum": f"crc32c {crc32c_to_base64(crc32c(body))}",
        }
        if length is not None:
            headers["Upload-Length"] = str(length)
            self._end_bytes = len(body)
        try:
            with self._transfer_limit.acquire():
                return self._api.request(
                    "PATCH", self._url, body=BytesBody(body), headers=headers, accept=(204,), max_attempts=1
                )
        except AccessError as error:
            if error.code != "file_exists":
                raise
            raise _NameTakenError(error.status, error.code, error.detail, error.request_id, error.members) from error

    def _pause(self, reason: str, attempt: int) -> None:
        """Wait before a repetition. Asking for the offset does not count as a success of sending."""
        if self._retry_clock.is_exhausted():
            raise NetworkError(f"No success for {self._api.options.retry_for_seconds:.0f} seconds: {reason}.")
        if attempt > 1:
            self._api.pause_after_failure(reason, attempt)

    def _find_offset(self, offsets: range) -> None:
        self._take_offset(self._api.request("HEAD", self._url, headers=_TUS, accept=(200, 204)), offsets)

    def _take_offset(self, response: HttpResponse, offsets: range) -> None:
        """Continue at the service's offset. Raises `IntegrityError` if it is outside of the current piece."""
        offset = int(decimal({**response.headers}, "upload-offset"))
        if offset not in offsets:
            raise IntegrityError(
                f"{self._request.name}: the service is at byte {offset}, the input at {offsets.start}. Send it again."
            )
        self._offset = offset
        self._take_name(response)

    def _take_name(self, response: HttpResponse) -> None:
        if "ferry-filename" in response.headers:
            self._name = unquote(response.headers["ferry-filename"])

    def _end_with_taken_name(self, error: ConflictError) -> UploadResult:
        """Do what `if_exists` says where a file got the name while the stream was sent."""
        request, upload_id = self._request, self._url.rpartition("/")[2]
        if request.if_exists == "rename":
            members = {
                "filename": request.name,
                "upload_id": upload_id,
                "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(self._crc)},
                "if_exists": "rename",
            }
            while True:
                response = self._api.request_json("POST", "/upload/complete", members, accept=(200, 202))
                if response.status == 200:
                    return UploadResult(FileRecord.from_json(parse_object(response.body)), self._offset, 0)
                self._api.sleep(min(MAX_RETRY_AFTER_SECONDS, retry_after_seconds(response.headers) or 1.0))
        if request.if_exists == "skip":
            self.discard()
            return UploadResult(None, self._offset, 0, skipped=True)
        detail = (
            f"{request.name} got a file while the input was sent. All of the input is on the service, as the upload "
            f"{upload_id}: POST /upload/complete with upload_id and if_exists makes it a file."
        )
        raise ConflictError(error.status, error.code, detail, error.request_id, error.members) from error

    def _record(self, name: str) -> FileRecord:
        return FileRecord.from_json(self._api.get(self._api.file_path("/files", name)))

    def _verified(self, record: FileRecord) -> FileRecord:
        """Return the record. Raises `IntegrityError` if this upload made it of other bytes."""
        is_own = record.upload_id == self._url.rpartition("/")[2]
        if is_own and (record.size, record.crc32c) != (self._offset, self._crc):
            raise IntegrityError(f"{record.name}: the service received other bytes than were sent. Send them again.")
        return record


class _NameTakenError(ConflictError):
    """The name has got a file since the upload was created."""


class _RepeatError(Exception):
    """The service rejected a request that is to be repeated at its offset."""


def _next_piece(pieces: queue.Queue[bytes | Exception | None]) -> bytes | Exception | None:
    """Return what was read. Raises `CancelledError` if the transfer is stopped while nothing comes."""
    while True:
        raise_if_cancelled()
        with suppress(queue.Empty):
            return pieces.get(timeout=POLL_SECONDS)


def _read_ahead(request: StreamRequest) -> Generator[bytes, None, None]:
    """Yield the stream in pieces of up to 4 MiB, at least one, reading the next while one is sent.

    Raises:
        LocalFileError: the stream cannot be read.
    """
    pieces: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(item: bytes | Exception | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                pieces.put(item, timeout=POLL_SECONDS)
                return

    def read() -> None:
        try:
            while not stopped.is_set() and (piece := read_block(request.stream, MAX_PUT_BYTES)):
                put(piece)
        except Exception as error:  # noqa: BLE001 - the sending thread raises it
            put(error)
        else:
            put(None)

    new_thread(read, "ferry-read").start()
    try:
        yield request.first
        while (item := _next_piece(pieces)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
