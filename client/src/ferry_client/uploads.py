"""Upload one source: by one PUT, in chunks through the API, or in parts straight to S3.

The service knows what it has received, so a repeated upload of the same source continues where it stopped: `start`
recognizes it by the fingerprint. The CRC32C of the whole source is sent with the completion, and S3 enforces it.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ferry_client.api import Api
from ferry_client.callbacks import ignore
from ferry_client.checksums import combine_crc32c, crc32c, crc32c_to_base64
from ferry_client.errors import (
    ApiError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    SourceChangedError,
)
from ferry_client.models import FileRecord, IfExists, UploadPlan, UploadResult
from ferry_client.options import MAX_PUT_BYTES, MIN_PART_BYTES
from ferry_client.parts import DirectUnavailableError, PartSender
from ferry_client.sources import SourceBody, range_crc32c
from ferry_client.state import StateFolder, UploadNote
from ferry_client.transport import BytesBody
from ferry_client.workers import TransferLimit, run_tasks

if TYPE_CHECKING:
    from ferry_client.sources import Source

logger = logging.getLogger("ferry_client")

MAX_RESTARTS = 2
"""How often an upload that expired or was cancelled on the service is started anew."""

MAX_COMPLETIONS = 5
"""How often what a completion reports as missing is sent again."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What to upload."""

    source: Source
    """The bytes."""
    name: str
    """The name that the file gets."""
    if_exists: IfExists = "fail"
    """What to do where the name has a file."""
    content_type: str | None = None
    """The file's type; None: `application/octet-stream`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Stored with the file."""
    restart: bool = False
    """Whether an upload in progress of this name is discarded, also one of another machine."""
    on_progress: Callable[[int], None] = ignore
    """Called with the number of durable bytes, from any thread."""
    on_note: Callable[[str], None] = ignore
    """Called with what people should know: a restart, or that S3 is out of reach."""


class Uploader:
    """Uploads sources to one service."""

    def __init__(self, api: Api, transfer_limit: TransferLimit, state: StateFolder | None, client_id: str) -> None:
        self.api = api
        """The service."""
        self.transfer_limit = transfer_limit
        """Shared by all transfers of the client."""
        self.state = state
        """What is kept between runs; None keeps nothing."""
        self.client_id = client_id
        """The client, for the notes in `state`."""
        self.direct_allowed = api.options.allow_direct
        """Whether parts go straight to S3. Becomes False when S3 is out of reach."""

    def upload(self, request: UploadRequest) -> UploadResult:
        """Upload a source, or continue its upload.

        Raises:
            ConflictError: the name has a file and `if_exists` is `fail`, or another upload of it is in progress.
            SourceChangedError: the source changed meanwhile.
            IntegrityError: the service received other bytes.
            ApiError, NetworkError, CancelledError, LocalFileError: as their names say.
        """
        if request.source.size <= MAX_PUT_BYTES and request.if_exists != "rename":
            return self._put(request)
        for attempt in range(MAX_RESTARTS + 1):
            try:
                return _Transfer(self, request).run()
            except NotFoundError as error:
                if attempt == MAX_RESTARTS or error.code == "not_found":
                    raise
                request.on_note(f"{request.name}: the upload no longer exists on the service; it begins anew.")
        raise AssertionError("unreachable")

    def _put(self, request: UploadRequest) -> UploadResult:
        """Send a whole file in one request."""
        data = request.source.read(0, request.source.size)
        request.source.raise_if_changed()
        crc = crc32c(data)
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": _content_digest(crc)}
        if request.if_exists != "replace":
            headers["If-None-Match"] = "*"
        if request.metadata:
            headers["Ferry-Metadata"] = b64encode(json.dumps(dict(request.metadata)).encode()).decode()
        path = self.api.file_path("/files", request.name, content_type=request.content_type)
        try:
            with self.transfer_limit.acquire():
                response = self.api.request("PUT", path, body=BytesBody(data), headers=headers, accept=(200, 201))
        except ConflictError as error:
            return self._put_conflict(request, error, crc)
        request.on_progress(len(data))
        return UploadResult(FileRecord.from_json(response.json()), sent_bytes=len(data), resumed_bytes=0)

    def _put_conflict(self, request: UploadRequest, error: ConflictError, crc: int) -> UploadResult:
        """Return the success of a PUT whose response was lost, or what `if_exists` says. Raises `ConflictError`."""
        current = error.members.get("current_file")
        if current is not None:
            file = FileRecord.from_json(current)
            if (file.size, file.crc32c) == (request.source.size, crc):
                request.on_progress(file.size)
                return UploadResult(file, sent_bytes=file.size, resumed_bytes=0)
        if request.if_exists == "skip":
            return UploadResult(None, sent_bytes=0, resumed_bytes=0, skipped=True)
        raise ConflictError(
            error.status,
            "file_exists",
            f"{request.name} exists. Choose --if-exists replace, rename or skip (in Python: if_exists).",
            error.request_id,
            error.members,
        ) from error


class _Transfer:
    """One attempt of an upload with a plan."""

    def __init__(self, uploader: Uploader, request: UploadRequest) -> None:
        self._uploader = uploader
        self._api = uploader.api
        self._request = request
        self._source = request.source
        self._crcs: dict[int, tuple[int, int]] = {}
        """CRC32C and length of ranges of the source, by their first byte. Together they cover it at the end."""
        self._done_bytes = 0
        self._sent_bytes = 0

    def run(self) -> UploadResult:
        plan = self._start()
        if isinstance(plan, UploadResult):
            return plan
        resumed = plan.received_bytes
        self._note(plan)
        self._report(resumed)
        for _ in range(MAX_COMPLETIONS):
            self._send_missing(plan)
            self._source.raise_if_changed()
            file = self._complete(plan)
            if file is not None:
                self._forget()
                return UploadResult(file, self._sent_bytes, resumed)
            refreshed = self._start()
            if isinstance(refreshed, UploadResult):
                return refreshed
            plan = refreshed
        raise IntegrityError(f"{self._request.name}: the service reports missing bytes again and again. Report this.")

    def _start(self) -> UploadPlan | UploadResult:
        """Start or resume. Return the result at once where nothing is to be sent."""
        request, options = self._request, self._api.options
        members: dict[str, Any] = {
            "filename": request.name,
            "size": self._source.size,
            "content_type": request.content_type,
            "metadata": dict(request.metadata) or None,
            "fingerprint": self._source.fingerprint,
            "if_exists": None if request.if_exists in ("fail", "skip") else request.if_exists,
            "chunk_size": options.chunk_bytes,
            "restart": True if request.restart else None,
        }
        if self._is_direct():
            members["part_size"] = max(MIN_PART_BYTES, options.part_bytes)
        try:
            response = self._api.request_json("POST", "/upload/start", members, accept=(200, 201))
        except ConflictError as error:
            return self._start_conflict(error, members)
        body = response.json()
        if body.get("state") == "complete":
            self._report(self._source.size)
            return UploadResult(self._record_of(body["filename"]), 0, self._source.size)
        return UploadPlan.from_json(body)

    def _start_conflict(self, error: ConflictError, members: dict[str, Any]) -> UploadPlan | UploadResult:
        if error.code == "file_exists" and self._request.if_exists == "skip":
            return UploadResult(None, 0, 0, skipped=True)
        note = self._own_note()
        if error.code != "upload_in_progress" or note is None or note.upload_id != error.members.get("upload_id"):
            raise error
        # This machine began that upload, from a file that has changed since: its bytes are of no use.
        self._request.on_note(f"{self._request.name}: the file changed since its upload began; it begins anew.")
        response = self._api.request_json("POST", "/upload/start", {**members, "restart": True}, accept=(200, 201))
        return UploadPlan.from_json(response.json())

    def _send_missing(self, plan: UploadPlan) -> None:
        if self._is_direct():
            try:
                self._send_parts(plan)
                return
            except DirectUnavailableError:
                self._uploader.direct_allowed = False
                self._request.on_note("S3 is out of reach from here. Everything goes through the API, in chunks.")
        self._send_chunks(plan)

    def _send_parts(self, plan: UploadPlan) -> None:
        sender = PartSender(self._api, self._source, plan, self._uploader.transfer_limit)

        def send(number: int) -> None:
            crc = sender.send(number)
            self._acknowledge(*plan.part_range(number), crc)

        for _ in run_tasks(plan.missing_parts(), send, self._api.options.max_jobs):
            pass

    def _send_chunks(self, plan: UploadPlan) -> None:
        for _ in run_tasks(
            plan.missing_chunks(), lambda index: self._send_chunk(plan, index), self._api.options.max_jobs
        ):
            pass

    def _send_chunk(self, plan: UploadPlan, index: int) -> None:
        first, length = plan.chunk_range(index)
        if first in self._crcs and self._crcs[first][1] >= length:
            return  # A part that was sent before S3 went out of reach.
        crc = range_crc32c(self._source, first, length)
        path = self._api.file_path(plan.chunk_url, plan.name, chunk_index=index, upload_id=plan.upload_id)
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": _content_digest(crc)}
        try:
            with self._uploader.transfer_limit.acquire():
                self._api.request("POST", path, body=SourceBody(self._source, first, length), headers=headers)
        except ApiError as error:
            if error.code in ("chunk_conflict", "checksum_mismatch"):
                raise SourceChangedError(
                    f"{self._request.name}: chunk {index} differs from what was sent before. Send the file again with "
                    "--restart (in Python: restart=True)."
                ) from error
            raise
        self._acknowledge(first, length, crc)

    def _acknowledge(self, first: int, length: int, crc: int) -> None:
        self._crcs[first] = (crc, length)
        self._sent_bytes += length
        self._report(length)

    def _report(self, done_bytes: int) -> None:
        self._done_bytes = min(self._done_bytes + done_bytes, self._source.size)
        self._request.on_progress(self._done_bytes)

    def _complete(self, plan: UploadPlan) -> FileRecord | None:
        """Complete the upload. Return None if bytes are missing on the service."""
        crc = self._whole_crc()
        members = {
            "filename": plan.name,
            "upload_id": plan.upload_id,
            "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(crc)},
        }
        while True:
            try:
                response = self._api.request_json("POST", "/upload/complete", members, accept=(200, 202))
            except ConflictError as error:
                if error.code == "upload_incomplete":
                    self._crcs.clear()
                    self._done_bytes = 0
                    return None
                if error.code == "upload_completing":
                    self._api.sleep(2.0)
                    continue
                raise
            except ApiError as error:
                if error.code != "checksum_mismatch":
                    raise
                self._source.raise_if_changed()
                raise IntegrityError(
                    f"{self._request.name}: the service received other bytes than the file has now. Send it again with "
                    "--restart (in Python: restart=True)."
                ) from error
            if response.status == 200:
                return FileRecord.from_json(response.json())
            self._api.sleep(float(response.headers.get("retry-after", "1")))

    def _whole_crc(self) -> int:
        """Return the CRC32C of the source. Ranges that an earlier run sent are read again."""
        pieces, position = [], 0
        for first in sorted(self._crcs):
            if first < position:
                continue
            if first > position:
                pieces.append((range_crc32c(self._source, position, first - position), first - position))
            crc, length = self._crcs[first]
            pieces.append((crc, length))
            position = first + length
        rest = self._source.size - position
        pieces.append((range_crc32c(self._source, position, rest), rest))
        return combine_crc32c(pieces)

    def _record_of(self, name: str) -> FileRecord:
        return FileRecord.from_json(self._api.request("GET", self._api.file_path("/files", name)).json())

    def _is_direct(self) -> bool:
        return self._uploader.direct_allowed and self._source.size >= self._api.options.direct_from_bytes

    def _own_note(self) -> UploadNote | None:
        state = self._uploader.state
        return state.get_upload(self._api.url, self._uploader.client_id, self._request.name) if state else None

    def _note(self, plan: UploadPlan) -> None:
        if self._uploader.state and self._source.fingerprint:
            note = UploadNote(plan.upload_id, self._source.fingerprint)
            self._uploader.state.put_upload(self._api.url, self._uploader.client_id, self._request.name, note)

    def _forget(self) -> None:
        if self._uploader.state:
            self._uploader.state.delete_upload(self._api.url, self._uploader.client_id, self._request.name)


def _content_digest(crc: int) -> str:
    return f"crc32c=:{crc32c_to_base64(crc)}:"
