"""Download one file into a local one: several ranges at once, resumed after a crash, checked before it appears.

The bytes are collected in a part file beside the target. A journal beside it says which ranges are on the disk, and of
which content (ETag). When all are there, the CRC32C of the whole is compared with the service's, and the part file is
renamed to the target in one step.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ferry_client.api import Api
from ferry_client.callbacks import ignore
from ferry_client.checksums import combine_crc32c, crc32c, crc32c_from_base64
from ferry_client.direct import DirectAccess, DirectUnavailableError
from ferry_client.disk import EarlyWriteback, reserve_space
from ferry_client.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    unreadable_error,
)
from ferry_client.members import header_value
from ferry_client.models import DownloadResult, FileRecord
from ferry_client.options import MAX_PUT_BYTES, MIB, ClientOptions
from ferry_client.part_file import Journal, journal_path, local_file_error, open_part, part_path, write_at
from ferry_client.range_buffer import BlockWriter, RangeBuffer
from ferry_client.ranges import ContentChangedError, RangeSource
from ferry_client.transport import TransportError
from ferry_client.workers import TransferLimit, run_tasks

MAX_CONTENT_CHANGES = 3
"""How often a download begins anew because the file was replaced meanwhile."""

JOURNAL_EVERY_SECONDS = 0.1
"""How often the journal is written, and the part file is looked for. A kill loses what came since."""

_REMOVED = "its folder or its part file was removed or renamed meanwhile; fetch it again"
"""Why a download ends although bytes come."""

MIN_RANGE_BYTES = 8 * MIB
"""Bytes of a range that is requested from S3, where no option says how many."""

MAX_RANGE_BYTES = 32 * MIB
"""Bytes of a range of a large file: fewer requests cost client and server less processor time."""

WRITEBACK_BYTES = 8 * MIB
"""Bytes of a range after which the system starts to write them to the disk."""

MIN_RANGES_OF_A_THREAD = 4
"""Fewest ranges of each thread while their size grows, so that all threads end at about the same time."""


def range_length(size: int, options: ClientOptions) -> int:
    """Return how many bytes each request to S3 asks for of a file of this size."""
    if options.range_bytes is not None:
        return options.range_bytes
    even = size // (options.threads * MIN_RANGES_OF_A_THREAD)
    return max(MIN_RANGE_BYTES, min(MAX_RANGE_BYTES, even - even % MIB))


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What to download."""

    name: str
    """The file."""
    target: Path
    """Where it appears."""
    file: FileRecord | None = None
    """What the service said of it; None: it is asked first."""
    on_progress: Callable[[int, int], None] = ignore
    """Called with the bytes on the disk and the bytes of the file, from any thread."""
    on_note: Callable[[str], None] = ignore
    """Called with what people should know."""


def record_of_headers(name: str, headers: Mapping[str, str]) -> FileRecord:
    """Return the record of a file by the headers of its download. Raises `ResponseError` if they are others'."""
    digest = headers.get("repr-digest", "")
    try:
        crc = crc32c_from_base64(digest.removeprefix("crc32c=:").removesuffix(":")) if digest else None
        size = int(headers.get("ferry-size") or headers.get("content-length", ""))
    except ValueError as error:
        raise unreadable_error("its headers have no size or no CRC32C") from error
    return FileRecord(
        name=name,
        size=size,
        etag=header_value(headers, "etag"),
        content_type=headers.get("content-type", ""),
        crc32c=crc,
        uploaded_at=headers.get("last-modified", ""),
        metadata={},
    )


class Downloader:
    """Downloads files of one service."""

    def __init__(self, api: Api, transfer_limit: TransferLimit, direct: DirectAccess) -> None:
        self.api = api
        """The service."""
        self.transfer_limit = transfer_limit
        """Shared by all transfers of the client."""
        self.direct = direct
        """Whether ranges come from S3, or through the API. Shared by all transfers of the client."""

    def download(self, request: DownloadRequest) -> DownloadResult:
        """Download a file, or continue its download. An existing target is replaced at the end, in one step.

        Raises:
            NotFoundError: there is no such file.
            IntegrityError: the bytes differ from the file's checksum.
            NoSpaceError, LocalFileError: the target cannot be written.
            ApiError, NetworkError, CancelledError: as their names say.
        """
        for attempt in range(MAX_CONTENT_CHANGES):
            file = request.file if request.file is not None and attempt == 0 else self.stat(request.name)
            try:
                return _Download(self, request, file).run()
            except ContentChangedError:
                request.on_note(f"{request.name} was replaced meanwhile. The new content is fetched from the start.")
            except OSError as error:
                raise local_file_error(request.target, error) from error
        raise ConflictError(412, "precondition_failed", f"{request.name} is replaced again and again. Try later.")

    def stat(self, name: str) -> FileRecord:
        """Return size, ETag and checksum of a file, from the headers of its download."""
        try:
            response = self.api.request("HEAD", self.api.file_path("/download", name))
        except NotFoundError as error:  # a response to HEAD has no problem document
            raise NotFoundError(404, "not_found", f"There is no file {name}.", error.request_id) from error
        return record_of_headers(name, response.headers)

    def fetch_small(self, name: str, etag: str) -> bytes:
        """Return the whole content of a file of at most 4 MiB. Raises `ConflictError` if it has another ETag."""
        with self.transfer_limit.acquire():
            return self.api.request("GET", self.api.file_path("/download", name), headers={"If-Match": etag}).body


class _Download:
    """One attempt to download one content."""

    def __init__(self, downloader: Downloader, request: DownloadRequest, file: FileRecord) -> None:
        self._downloader = downloader
        self._api = downloader.api
        self._request = request
        self._file = file
        self._part_path = part_path(request.target)
        self._journal = Journal(journal_path(request.target), file.etag)
        self._source = RangeSource(downloader.api, downloader.direct, file)
        self._opened_as: os.stat_result | None = None
        """Status of the part file when it was opened."""
        self._received_bytes = 0
        self._unfinished: dict[int, tuple[int, int]] = {}
        """CRC32C and length of the received part of unfinished ranges, by their first byte."""
        self._saved_at = time.monotonic()
        self._save_lock = threading.Lock()
        self._reported = 0
        self._report_lock = threading.Lock()

    def run(self) -> DownloadResult:
        """Fetch what is missing, verify the whole, and rename the part file to the target."""
        descriptor: int | None = open_part(self._part_path)
        assert descriptor is not None
        try:
            self._opened_as = os.fstat(descriptor)
            self._journal = Journal.load(self._journal.path, self._file.etag)
            resumed = self._journal.forget_damaged(descriptor)
            if self._file.size > MAX_PUT_BYTES:
                reserve_space(descriptor, self._file.size)
            else:
                os.truncate(descriptor, self._file.size)
            self._report(resumed)
            self._fetch_missing(descriptor, resumed)
            os.fsync(descriptor)
            self._verify_whole()
            self._raise_if_removed()
            if os.name == "nt":  # Windows renames no open file.
                os.close(descriptor)
                descriptor = None
            # Renamed while it is locked: no other download can have written to it since it was verified.
            self._part_path.replace(self._request.target)
            self._journal.delete()
        except (KeyboardInterrupt, Exception) as error:
            with suppress(OSError):
                self._raise_if_removed()
                self._journal.save(dict(self._unfinished))
            if isinstance(error, FileNotFoundError):  # The folder may have been removed since it was looked for.
                self._raise_if_removed()
            raise
        finally:
            if descriptor is not None:
                os.close(descriptor)
        return DownloadResult(self._file, self._received_bytes, resumed)

    def _fetch_missing(self, descriptor: int, resumed: int) -> None:
        """Fetch what is not on the disk: the whole of a small file, else ranges."""
        if self._file.size <= MAX_PUT_BYTES and not resumed:
            if self._file.size:
                self._fetch_whole(descriptor)
            return
        length = (
            range_length(self._file.size, self._api.options) if self._downloader.direct.is_allowed else MAX_PUT_BYTES
        )
        try:
            self._fetch_ranges(descriptor, length)
        except DirectUnavailableError:
            self._downloader.direct.give_up(self._request.on_note)
            self._journal.ranges.update(self._unfinished)
            self._unfinished.clear()
            self._fetch_ranges(descriptor, MAX_PUT_BYTES)

    def _fetch_whole(self, descriptor: int) -> None:
        try:
            body = self._downloader.fetch_small(self._file.name, self._file.etag)
        except ConflictError as error:
            raise ContentChangedError from error
        write_at(descriptor, body, 0)
        self._report(len(body))
        self._received_bytes += len(body)
        self._journal.ranges[0] = (crc32c(body), len(body))

    def _fetch_ranges(self, descriptor: int, length: int) -> None:
        writeback, writer = EarlyWriteback(descriptor), BlockWriter(descriptor, self._part_path)
        try:
            for first, crc, received in run_tasks(
                self._journal.missing_ranges(self._file.size, length),
                lambda task: self._fetch_range(*task, writer, writeback),
                self._api.options.threads,
            ):
                self._done(first, crc, received)
        finally:
            writeback.close()
            writer.close()

    def _done(self, first: int, crc: int, length: int) -> None:
        self._journal.ranges[first] = (crc, length)
        self._received_bytes += length
        self._unfinished.pop(first, None)
        self._save_now_and_then()

    def _report(self, new_bytes: int = 0) -> None:
        """Report the bytes on the disk, with those that have just been written."""
        with self._report_lock:
            self._reported += new_bytes
            self._request.on_progress(self._reported, self._file.size)

    def _raise_if_removed(self) -> None:
        """Raise `FileNotFoundError` if the part file is no longer where it was opened: its folder may be gone, too."""
        with suppress(FileNotFoundError, NotADirectoryError):
            if self._opened_as is None or os.path.samestat(self._part_path.stat(), self._opened_as):
                return
        raise FileNotFoundError(errno.ENOENT, _REMOVED)

    def _save_now_and_then(self) -> None:
        """Write the journal if it is time. Raises `OSError` if that fails, or the part file was removed."""
        with self._save_lock:
            if time.monotonic() - self._saved_at < JOURNAL_EVERY_SECONDS:
                return
            self._saved_at = time.monotonic()
            self._raise_if_removed()
            self._journal.save(dict(self._unfinished))

    def _fetch_range(
        self, first: int, length: int, writer: BlockWriter, writeback: EarlyWriteback
    ) -> tuple[int, int, int]:
        """Fetch one range to the disk, and return its first byte, CRC32C and length."""
        end, attempt, written_back = first + length, 0, first

        def on_written(count: int, crc: int, done: int) -> None:
            nonlocal written_back
            self._unfinished[first] = (crc, done)
            self._source.rejections = 0
            self._save_now_and_then()
            self._report(count)
            if first + done - written_back >= WRITEBACK_BYTES or done == length:
                writeback.add(written_back, first + done - written_back)
                written_back = first + done

        with writer.memory() as memory:
            buffer = RangeBuffer(memory, writer, first, on_written)
            while buffer.position < end:
                attempt += 1
                position_before = buffer.position
                try:
                    with self._downloader.transfer_limit.acquire():
                        self._receive(buffer, end)
                    reason = "the response ended early"
                except TransportError as error:
                    reason = str(error)
                if buffer.position < end:
                    attempt = self._source.after_break(reason, attempt, buffer.position - position_before)
        self._source.record_success()
        return first, buffer.crc, length

    def _receive(self, buffer: RangeBuffer, end: int) -> None:
        """Request the rest of a range, and write what comes. Raises `TransportError` where it ends early."""
        with closing(self._source.open(buffer.position, end - 1)) as response:
            try:
                while buffer.position < end and (count := response.read_into(buffer.room(end - buffer.position))):
                    buffer.add(count)
            finally:
                buffer.write()

    def _verify_whole(self) -> None:
        """Raise `IntegrityError` unless the ranges together have the file's checksum. The part file is then deleted."""
        ranges = [self._journal.ranges[first] for first in sorted(self._journal.ranges)]
        total = sum(length for _, length in ranges)
        if total == self._file.size and self._file.crc32c in (None, combine_crc32c(ranges)):
            return
        self._part_path.unlink(missing_ok=True)
        self._journal.delete()
        raise IntegrityError(f"{self._file.name}: the received bytes differ from the file's checksum. Fetch it again.")
