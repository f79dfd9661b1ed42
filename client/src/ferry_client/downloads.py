"""Download one file into a local one: several ranges at once, resumed after a crash, checked before it appears.

The bytes are collected in a part file beside the target. A journal beside it says which ranges are on the disk, and of
which content (ETag). When all are there, the CRC32C of the whole is compared with the service's, and the part file is
renamed to the target in one step.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ferry_client.api import RETRYABLE_STATUSES, Api
from ferry_client.callbacks import ignore
from ferry_client.checksums import combine_crc32c, crc32c, crc32c_from_base64
from ferry_client.errors import (
    ApiError,
    ConflictError,
    IntegrityError,
    LocalFileError,
    NetworkError,
    NoSpaceError,
    NotFoundError,
)
from ferry_client.models import DownloadResult, FileRecord
from ferry_client.options import MAX_PUT_BYTES, MIB
from ferry_client.state import write_atomically
from ferry_client.transport import HttpRequest, HttpResponse, TransportError
from ferry_client.workers import TransferLimit, run_tasks

MAX_CONTENT_CHANGES = 3
"""How often a download begins anew because the file was replaced meanwhile."""

MAX_UNPROVEN_FAILURES = 3
"""Failures without any success after which S3 counts as out of reach."""

JOURNAL_EVERY_SECONDS = 0.5
"""How often the journal is written. A kill costs what came since."""


_SEEK_LOCK = threading.Lock()
"""Held between seek and write where the system has no positioned write."""


class _ContentChangedError(Exception):
    """The name has another content than the download began with."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What to download."""

    name: str
    """The file."""
    target: Path
    """Where it appears."""
    on_progress: Callable[[int, int], None] = ignore
    """Called with the bytes on the disk and the bytes of the file, from any thread."""
    on_note: Callable[[str], None] = ignore
    """Called with what people should know."""


class Downloader:
    """Downloads files of one service."""

    def __init__(self, api: Api, transfer_limit: TransferLimit) -> None:
        self.api = api
        """The service."""
        self.transfer_limit = transfer_limit
        """Shared by all transfers of the client."""
        self.direct_allowed = api.options.allow_direct
        """Whether ranges come from S3; False: through the API."""

    def download(self, request: DownloadRequest) -> DownloadResult:
        """Download a file, or continue its download. An existing target is replaced at the end, in one step.

        Raises:
            NotFoundError: there is no such file.
            IntegrityError: the bytes differ from the file's checksum.
            NoSpaceError, LocalFileError: the target cannot be written.
            ApiError, NetworkError, CancelledError: as their names say.
        """
        for _ in range(MAX_CONTENT_CHANGES):
            file = self.stat(request.name)
            try:
                return _Download(self, request, file).run()
            except _ContentChangedError:
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
        headers = response.headers
        digest = headers.get("repr-digest", "")
        crc = crc32c_from_base64(digest.removeprefix("crc32c=:").removesuffix(":")) if digest else None
        return FileRecord(
            name=name,
            size=int(headers.get("ferry-size") or headers["content-length"]),
            etag=headers["etag"],
            content_type=headers.get("content-type", ""),
            crc32c=crc,
            uploaded_at=headers.get("last-modified", ""),
            metadata={},
        )

    def fetch_small(self, name: str, etag: str) -> bytes:
        """Return the whole content of a file of at most 4 MiB. Raises `ConflictError` if it has another ETag."""
        with self.transfer_limit.acquire():
            return self.api.request("GET", self.api.file_path("/download", name), headers={"If-Match": etag}).body


@dataclass(slots=True)
class _Journal:
    """The ranges that are on the disk: their CRC32C and length, by their first byte."""

    path: Path
    etag: str
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, etag: str) -> _Journal:
        """Return the journal of this content, without ranges if there is none."""
        journal = cls(path, etag)
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(path.read_text())
            if saved["etag"] == etag:
                journal.ranges = {first: (crc, length) for first, crc, length in saved["ranges"]}
        return journal

    def save(self, unfinished: Mapping[int, tuple[int, int]]) -> None:
        """Write the journal: the ranges, and what has come of those that are under way.

        Nothing is flushed to the disk first. The next run compares the bytes with the checksums, so a power loss costs
        ranges and never correctness.
        """
        ranges = [[first, crc, length] for first, (crc, length) in sorted({**unfinished, **self.ranges}.items())]
        write_atomically(self.path, json.dumps({"etag": self.etag, "ranges": ranges}).encode(), durable=False)


class _Download:
    """One attempt to download one content."""

    def __init__(self, downloader: Downloader, request: DownloadRequest, file: FileRecord) -> None:
        self._downloader = downloader
        self._api = downloader.api
        self._request = request
        self._file = file
        self._part_path = request.target.with_name(f".{request.target.name[:200]}.ferry-part")
        self._journal = _Journal.load(
            request.target.with_name(f".{request.target.name[:200]}.ferry-part.json"), file.etag
        )
        self._link: str | None = None
        self._received_bytes = 0
        self._unfinished: dict[int, tuple[int, int]] = {}
        """CRC32C and length of what has come of ranges under way, by their first byte."""
        self._saved_at = 0.0
        self._save_lock = threading.Lock()
        self._proven = False
        self._failures = 0

    def run(self) -> DownloadResult:
        descriptor = os.open(self._part_path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            resumed = self._verify_resumed(descriptor)
            os.truncate(descriptor, self._file.size)
            self._request.on_progress(resumed, self._file.size)
            self._fetch_missing(descriptor, resumed)
            os.fsync(descriptor)
        except (KeyboardInterrupt, Exception):
            with suppress(OSError):
                self._journal.save(dict(self._unfinished))
            raise
        finally:
            os.close(descriptor)
        self._verify_whole()
        self._part_path.replace(self._request.target)
        self._journal.path.unlink(missing_ok=True)
        return DownloadResult(self._file, self._received_bytes, resumed)

    def _verify_resumed(self, descriptor: int) -> int:
        """Forget journaled ranges whose bytes are not on the disk, and return the bytes of the others."""
        for first, (crc, length) in list(self._journal.ranges.items()):
            actual, position = 0, first
            while position < first + length:
                block = _read_at(descriptor, position, min(MIB, first + length - position))
                if not block:
                    break
                actual, position = crc32c(block, actual), position + len(block)
            if actual != crc or position != first + length:
                del self._journal.ranges[first]
        return sum(length for _, length in self._journal.ranges.values())

    def _missing_ranges(self, length: int) -> list[tuple[int, int]]:
        """Return the missing ranges as (first byte, length), each at most `length` long."""
        missing, position = [], 0
        for first, (_, done) in [*sorted(self._journal.ranges.items()), (self._file.size, (0, 0))]:
            while position < first:
                size = min(length, first - position)
                missing.append((position, size))
                position += size
            position = first + done
        return missing

    def _fetch_missing(self, descriptor: int, resumed: int) -> None:
        if self._file.size <= MAX_PUT_BYTES and not resumed:
            if self._file.size:
                self._fetch_whole(descriptor)
            return
        length = self._api.options.range_bytes if self._downloader.direct_allowed else MAX_PUT_BYTES
        try:
            self._fetch_ranges(descriptor, length)
        except _DirectUnavailableError:
            self._downloader.direct_allowed = False
            self._request.on_note("S3 is out of reach from here. Everything comes through the API.")
            self._fetch_ranges(descriptor, MAX_PUT_BYTES)

    def _fetch_whole(self, descriptor: int) -> None:
        try:
            body = self._downloader.fetch_small(self._file.name, self._file.etag)
        except ConflictError as error:
            raise _ContentChangedError from error
        _write_at(descriptor, body, 0)
        self._done(0, crc32c(body), len(body))

    def _fetch_ranges(self, descriptor: int, length: int) -> None:
        for first, crc, received in run_tasks(
            self._missing_ranges(length),
            lambda task: self._fetch_range(descriptor, *task),
            self._api.options.max_jobs,
        ):
            self._done(first, crc, received)

    def _done(self, first: int, crc: int, length: int) -> None:
        self._journal.ranges[first] = (crc, length)
        self._received_bytes += length
        self._unfinished.pop(first, None)
        self._save_now_and_then()
        self._request.on_progress(sum(n for _, n in self._journal.ranges.values()), self._file.size)

    def _save_now_and_then(self) -> None:
        with self._save_lock:
            if time.monotonic() - self._saved_at < JOURNAL_EVERY_SECONDS:
                return
            self._saved_at = time.monotonic()
            self._journal.save(dict(self._unfinished))

    def _fetch_range(self, descriptor: int, first: int, length: int) -> tuple[int, int, int]:
        """Fetch one range to the disk, and return its first byte, CRC32C and length."""
        crc, position, attempt, end = 0, first, 0, first + length
        while position < end:
            attempt += 1
            try:
                with self._downloader.transfer_limit.acquire():
                    response = self._open_range(position, end - 1)
                    for received in response.iter_body():
                        block = received[: end - position]
                        _write_at(descriptor, block, position)
                        crc, position = crc32c(block, crc), position + len(block)
                        self._unfinished[first] = (crc, position - first)
                        self._save_now_and_then()
            except TransportError as error:
                self._count_failure(str(error), attempt)
                continue
            self._proven, self._failures = True, 0
            self._api.record_success()
            attempt = 0 if position > first else attempt
        return first, crc, length

    def _open_range(self, first: int, last: int) -> HttpResponse:
        """Return the response with a range of this content. Raises `TransportError` where it may be repeated."""
        headers = {"Range": f"bytes={first}-{last}", "If-Match": self._file.etag}
        if self._downloader.direct_allowed:
            response = self._api.transport.send(HttpRequest("GET", self._presigned_url(), headers, stream=True))
        else:
            path = self._api.file_path("/download/partial", self._file.name)
            try:
                response = self._api.request("GET", path, headers=headers, accept=(206,), stream=True)
            except ConflictError as error:
                raise _ContentChangedError from error
        if response.status == 206 and response.headers.get("etag", self._file.etag) == self._file.etag:
            return response
        response.close()
        if response.status in (206, 404, 412):
            raise _ContentChangedError
        if response.status == 403:
            self._link = None  # The URL has expired.
            raise TransportError("the presigned URL has expired")
        if response.status in RETRYABLE_STATUSES:
            raise TransportError(f"S3 answered {response.status}")
        raise NetworkError(f"S3 rejected a range with status {response.status}.")

    def _presigned_url(self) -> str:
        if self._link is None:
            path = self._api.file_path("/download", self._file.name, redirect="false")
            try:
                link = self._api.request("GET", path, headers={"If-Match": self._file.etag}).json()
            except ApiError as error:
                if error.status in (404, 412):
                    raise _ContentChangedError from error
                raise
            if link["etag"] != self._file.etag:
                raise _ContentChangedError
            self._link = str(link["url"])
        return self._link

    def _count_failure(self, reason: str, attempt: int) -> None:
        self._failures += 1
        if self._downloader.direct_allowed and not self._proven and self._failures >= MAX_UNPROVEN_FAILURES:
            raise _DirectUnavailableError
        self._api.pause_after_failure(reason, attempt)

    def _verify_whole(self) -> None:
        """Raise `IntegrityError` unless the ranges together have the file's checksum. The part file is then deleted."""
        ranges = [self._journal.ranges[first] for first in sorted(self._journal.ranges)]
        total = sum(length for _, length in ranges)
        if total == self._file.size and self._file.crc32c in (None, combine_crc32c(ranges)):
            return
        self._part_path.unlink(missing_ok=True)
        self._journal.path.unlink(missing_ok=True)
        raise IntegrityError(f"{self._file.name}: the received bytes differ from the file's checksum. Fetch it again.")


class _DirectUnavailableError(Exception):
    """S3 cannot be reached from this machine."""


def local_file_error(path: Path, error: OSError) -> LocalFileError:
    """Return the exception of a local file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"No space left for {path}. Free some and run the same command again; it continues.")
    return LocalFileError(f"{path} cannot be written: {error.strerror}.")


def _read_at(descriptor: int, first: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, first)
    os.lseek(descriptor, first, os.SEEK_SET)
    return os.read(descriptor, length)


def _write_at(descriptor: int, data: bytes, first: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, first) if hasattr(os, "pwrite") else _seek_write(descriptor, view, first)
        view, first = view[written:], first + written


def _seek_write(descriptor: int, view: memoryview, first: int) -> int:
    with _SEEK_LOCK:  # Windows has no pwrite
        os.lseek(descriptor, first, os.SEEK_SET)
        return os.write(descriptor, view)
