"""Upload one source: by one PUT, in chunks through the API, or in parts straight to S3.

The service knows what it has received, so a repeated upload of the same source continues where it stopped: `start`
recognizes it by the fingerprint. The CRC32C of the whole source is sent with the completion, and S3 enforces it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from ferry_client.api import Api
from ferry_client.checksums import crc32c_to_base64
from ferry_client.chunks import ChunkSender, ChunksTooLargeError
from ferry_client.direct import DirectAccess, DirectUnavailableError
from ferry_client.errors import (
    ApiError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    name_taken_error,
    unreadable_error,
)
from ferry_client.line import Line
from ferry_client.members import parse_object, text
from ferry_client.models import FileRecord, UploadPlan, UploadResult
from ferry_client.options import MAX_PUT_BYTES, MIB, MIN_CHUNK_BYTES, MIN_PART_BYTES
from ferry_client.parts import PartSender
from ferry_client.retries import MAX_RETRY_AFTER_SECONDS, retry_after_seconds
from ferry_client.small_files import put_file
from ferry_client.sources import whole_crc32c
from ferry_client.state import StartedUpload, StateFolder
from ferry_client.transport import HttpResponse, TransportError
from ferry_client.upload_request import UploadRequest
from ferry_client.workers import TransferLimit, run_tasks

MAX_RESTARTS = 2
"""How often an upload that expired or was cancelled on the service is started anew."""

ENDED_CODES = frozenset({"upload_complete", "upload_completing", "upload_ended"})
"""Error codes of an upload that another process has completed, or is completing: `start` then says what is there."""

ENDED_PAUSE_SECONDS = 1.0
"""Pause before that start, in which a completion ends."""

FIRST_PART_BYTES = 8 * MIB
"""Largest part of an upload on an unknown line."""

MAX_COMPLETIONS = 5
"""How often what a completion reports as missing is sent again."""


class Uploader:
    """Uploads sources to one service."""

    def __init__(
        self,
        api: Api,
        *,
        transfer_limit: TransferLimit,
        direct: DirectAccess,
        line: Line,
        state: StateFolder | None,
    ) -> None:
        self.api = api
        """The service."""
        self.transfer_limit = transfer_limit
        """Shared by all transfers of the client."""
        self.line = line
        """What is known of the line to the service."""
        self.state = state
        """What is kept between runs; None keeps nothing."""
        self.direct = direct
        """Whether parts go straight to S3. Shared by all transfers of the client."""

    def upload(self, request: UploadRequest) -> UploadResult:
        """Upload a source, or continue its upload.

        Raises:
            ConflictError: the name has a file and `if_exists` is `fail`, or another upload of it is in progress.
            SourceChangedError: the source changed meanwhile.
            IntegrityError: the service received other bytes.
            ApiError, NetworkError, CancelledError, LocalFileError: as their names say.
        """
        size = request.source.size
        if size <= min(MAX_PUT_BYTES, max(MIB // 4, self.line.put_bytes(self.api.options.rate_limit()))):
            with suppress(TransportError):  # the line breaks too often for one request
                result = put_file(self.api, self.transfer_limit, request)
                if result is not None:
                    return result
        for attempt in range(MAX_RESTARTS + 1):
            try:
                return self._transfer(request)
            except (NotFoundError, ConflictError) as error:
                is_ended = error.code in ENDED_CODES
                can_restart = is_ended or (isinstance(error, NotFoundError) and error.code != "not_found")
                if attempt == MAX_RESTARTS or not can_restart:
                    raise
                if is_ended:
                    self.api.sleep(ENDED_PAUSE_SECONDS)
                    continue
                request.on_note(f"{request.name}: the upload no longer exists on the service; it begins anew.")
        raise AssertionError("unreachable")

    def _transfer(self, request: UploadRequest) -> UploadResult:
        """Run one transfer, with smaller chunks where the first ones do not get through."""
        self.line.start()
        try:
            try:
                return _Transfer(self, request).run()
            except ChunksTooLargeError:
                request.on_note(f"{request.name}: the line breaks often. It is sent in chunks of 64 KiB.")
                return _Transfer(self, request, chunk_bytes=MIN_CHUNK_BYTES, restart=True).run()
        finally:
            self.line.measure()
            self.line.save()


class _Transfer:
    """One attempt of an upload with a plan."""

    def __init__(
        self, uploader: Uploader, request: UploadRequest, *, chunk_bytes: int | None = None, restart: bool = False
    ) -> None:
        options = uploader.api.options
        self._line = uploader.line
        self._chunk_bytes = chunk_bytes or options.chunk_bytes or self._line.chunk_bytes(options.rate_limit())
        self._restart = request.restart or restart
        self._uploader = uploader
        self._api = uploader.api
        self._request = request
        self._source = request.source
        self._crcs: dict[int, tuple[int, int]] = {}
        """CRC32C and length of ranges of the source, by their first byte. Together they cover it at the end."""
        self._done_bytes = 0
        self._report_lock = threading.Lock()
        self._sent_bytes = 0
        self._is_probed = False
        """Whether one part went straight to S3 to measure the line."""

    def run(self) -> UploadResult:
        """Start or resume the upload, send what is missing, and complete it."""
        plan = self._start()
        if isinstance(plan, UploadResult):
            return plan
        resumed = plan.received_bytes
        self._remember(plan)
        self._report(resumed)
        for _ in range(MAX_COMPLETIONS):
            self._send_missing(plan)
            self._source.raise_if_changed()
            try:
                file = self._complete(plan)
            except ConflictError as error:
                if error.code != "file_exists":
                    raise
                return self._end_with_taken_name(plan, error)
            if file is not None:
                self._forget()
                return UploadResult(file, self._sent_bytes, resumed)
            refreshed = self._start()
            if isinstance(refreshed, UploadResult):
                return refreshed
            plan = refreshed
            self._report(plan.received_bytes)
        raise IntegrityError(f"{self._request.name}: the service reports missing bytes again and again. Report this.")

    def _start(self) -> UploadPlan | UploadResult:
        """Start or resume. Return the result at once where nothing is to be sent."""
        request, options = self._request, self._api.options
        members: dict[str, object] = {
            "filename": request.name,
            "size": self._source.size,
            "content_type": request.content_type,
            "metadata": dict(request.metadata) or None,
            "fingerprint": self._source.fingerprint,
            "if_exists": None if request.if_exists in ("fail", "skip") else request.if_exists,
            "chunk_size": self._chunk_bytes,
            "restart": True if self._restart else None,
        }
        if self._is_direct():
            # On an unknown line the first part goes in chunks, to measure it.
            max_bytes = options.part_bytes if self._line.allows_parts else FIRST_PART_BYTES
            members["part_size"] = max(MIN_PART_BYTES, min(options.part_bytes, max_bytes))
        try:
            response = self._api.request_json("POST", "/upload/start", members, accept=(200, 201))
        except ConflictError as error:
            return self._start_conflict(error, members)
        self._restart = False  # Further requests continue this upload.
        body = parse_object(response.body)
        if body.get("state") == "complete":
            self._report(self._source.size)
            return UploadResult(self._record_of(text(body, "filename")), 0, self._source.size)
        return self._plan_of(response)

    def _plan_of(self, response: HttpResponse) -> UploadPlan:
        """Return the plan of a response. Raises `ResponseError` if it is not one of this source."""
        plan = UploadPlan.from_json(parse_object(response.body))
        if plan.size != self._source.size:
            raise unreadable_error("it is about a file of another size")
        return plan

    def _start_conflict(self, error: ConflictError, members: dict[str, object]) -> UploadPlan | UploadResult:
        if error.code == "file_exists":
            return self._skip_or_raise(error)
        started = self._started_upload()
        if error.code != "upload_in_progress" or started is None or started.upload_id != error.members.get("upload_id"):
            raise error
        # This machine began that upload, from a file that has changed since: its bytes are of no use.
        self._request.on_note(f"{self._request.name}: the file changed since its upload began; it begins anew.")
        response = self._api.request_json("POST", "/upload/start", {**members, "restart": True}, accept=(200, 201))
        return self._plan_of(response)

    def _skip_or_raise(self, error: ConflictError) -> UploadResult:
        """Return the result of an upload whose name has a file. Raises `ConflictError` unless that is to be skipped."""
        if self._request.if_exists == "skip":
            return UploadResult(None, 0, 0, skipped=True)
        raise name_taken_error(self._request.name, error) from error

    def _end_with_taken_name(self, plan: UploadPlan, error: ConflictError) -> UploadResult:
        """Cancel the upload if its name got a file that is to be kept. Raises `ConflictError` without `skip`."""
        result = self._skip_or_raise(error)
        path = self._api.file_path("/upload", plan.name, upload_id=plan.upload_id)
        self._api.request("DELETE", path, accept=(204, 404))
        self._forget()
        return result

    def _send_missing(self, plan: UploadPlan) -> None:
        """Send what the service lacks: in chunks, or in parts where these suit the line."""
        if not self._is_direct():
            self._chunk_sender(plan).send_by_part(self._unsent_chunks(plan))
            return
        self._chunk_sender(plan).send(self._chunks_before_parts(plan))
        self._line.measure()
        if self._line.suits_one_part and not self._is_probed:
            self._is_probed = True
            self._probe_part(plan, self._unsent_parts(plan)[:1])
            self._send_missing(plan)
            return
        parts = self._unsent_parts(plan)
        if parts and not (self._line.allows_parts is not False and self._try_parts(plan, parts)):
            self._chunk_sender(plan).send_by_part(self._unsent_chunks(plan))

    def _unsent_parts(self, plan: UploadPlan) -> list[int]:
        """Return the parts that the service lacks."""
        unsent = set(self._unsent_chunks(plan))
        return [number for number in plan.missing_parts() if not unsent.isdisjoint(plan.chunks_of_part(number))]

    def _probe_part(self, plan: UploadPlan, parts: list[int]) -> None:
        """Send one part straight to S3, to learn how fast the line is without the functions of the service."""
        started_at = time.monotonic()
        if parts and self._try_parts(plan, parts):
            self._line.record_part(plan.part_range(parts[0])[1], time.monotonic() - started_at)

    def _chunks_before_parts(self, plan: UploadPlan) -> Iterator[int]:
        """Yield the chunks to send before parts go straight to S3.

        A part with received chunks is completed in chunks. So are parts on a slow line, and the first one on an unknown
        line. Each part shows anew how fast the line is: the rate grows with the number of requests at once.
        """
        partial = plan.partial_parts()
        for number in partial:
            yield from self._unsent_chunks(plan, plan.chunks_of_part(number))
        parts = sorted({*plan.missing_parts()} - {*partial})
        is_measured = bool(partial) or len(parts) == 1
        for number in parts:
            self._line.measure()
            allows_parts = self._line.allows_parts
            if (
                allows_parts
                or (allows_parts is None and is_measured)
                or (self._line.suits_one_part and not self._is_probed)
            ):
                return
            yield from self._unsent_chunks(plan, plan.chunks_of_part(number))
            is_measured = True

    def _try_parts(self, plan: UploadPlan, numbers: list[int]) -> bool:
        """Send parts straight to S3. Return False if S3 is out of reach."""
        sender = PartSender(
            self._api,
            self._source,
            plan,
            numbers,
            transfer_limit=self._uploader.transfer_limit,
            direct=self._uploader.direct,
            received_parts=lambda: self._received(plan.upload_id, "received_parts"),
        )

        def send(number: int) -> None:
            crc = sender.send(number)
            self._acknowledge(*plan.part_range(number), crc)

        try:
            for _ in run_tasks(numbers, send, self._api.options.threads):
                pass
        except DirectUnavailableError:
            self._uploader.direct.give_up(self._request.on_note)
            return False
        return True

    def _received(self, upload_id: str, field: str) -> set[int]:
        """Ask the service for its `received_chunks` or `received_parts` of this upload."""
        plan = self._start()
        if not isinstance(plan, UploadPlan) or plan.upload_id != upload_id:
            return set()
        return {number for first, last in getattr(plan, field) for number in range(first, last + 1)}

    def _chunk_sender(self, plan: UploadPlan) -> ChunkSender:
        return ChunkSender(
            self._api,
            self._source,
            plan,
            transfer_limit=self._uploader.transfer_limit,
            on_sent=self._acknowledge,
            received_chunks=lambda: self._received(plan.upload_id, "received_chunks"),
        )

    def _unsent_chunks(self, plan: UploadPlan, only: range | None = None) -> Iterator[int]:
        """Yield the chunks that the service lacks."""
        for index in plan.missing_chunks():
            if (only is None or index in only) and not self._is_sent(plan, index):
                yield index

    def _is_sent(self, plan: UploadPlan, index: int) -> bool:
        """Return whether this transfer sent a chunk, alone or within its part."""
        first, length = plan.chunk_range(index)
        sent = (self._crcs.get(start, (0, 0))[1] + start for start in (first, first - first % plan.part_size))
        return any(end >= first + length for end in sent)

    def _acknowledge(self, first: int, length: int, crc: int) -> None:
        self._line.record_sent(length)
        self._crcs[first] = (crc, length)
        self._sent_bytes += length
        self._report(length)

    def _report(self, done_bytes: int) -> None:
        with self._report_lock:  # so that no report overtakes another
            self._done_bytes = min(self._done_bytes + done_bytes, self._source.size)
            self._request.on_progress(self._done_bytes)

    def _complete(self, plan: UploadPlan) -> FileRecord | None:
        """Complete the upload. Return None if bytes are missing on the service."""
        crc = whole_crc32c(self._source, self._crcs if self._source.is_untouched() else {})
        members: dict[str, object] = {
            "filename": plan.name,
            "upload_id": plan.upload_id,
            "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(crc)},
        }
        if self._request.if_exists == "replace":  # an earlier run may have started the upload with `fail`
            members["if_exists"] = "replace"
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
                return FileRecord.from_json(parse_object(response.body))
            self._api.sleep(min(MAX_RETRY_AFTER_SECONDS, retry_after_seconds(response.headers) or 1.0))

    def _record_of(self, name: str) -> FileRecord:
        return FileRecord.from_json(self._api.get(self._api.file_path("/files", name)))

    def _is_direct(self) -> bool:
        options = self._api.options
        min_bytes = MIN_PART_BYTES if self._line.allows_parts else options.direct_from_bytes
        return self._uploader.direct.is_allowed and self._source.size >= min(min_bytes, options.direct_from_bytes)

    def _started_upload(self) -> StartedUpload | None:
        """Return the upload of this name that this machine began; None if it is unknown."""
        state = self._uploader.state
        return state.get_upload(self._api.url, self._api.client_id, self._request.name) if state else None

    def _remember(self, plan: UploadPlan) -> None:
        """Keep that this machine began the upload."""
        if self._uploader.state and self._source.fingerprint:
            started = StartedUpload(plan.upload_id, self._source.fingerprint)
            self._uploader.state.put_upload(self._api.url, self._api.client_id, self._request.name, started)

    def _forget(self) -> None:
        if self._uploader.state:
            self._uploader.state.delete_upload(self._api.url, self._api.client_id, self._request.name)
