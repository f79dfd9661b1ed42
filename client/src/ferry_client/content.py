"""Read the content of a file in order, several ranges at once, with bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from ferry_client.callbacks import ignore
from ferry_client.cancellation import POLL_SECONDS, raise_if_cancelled
from ferry_client.checksums import crc32c
from ferry_client.direct import DirectUnavailableError
from ferry_client.downloads import Downloader
from ferry_client.errors import ConflictError, IntegrityError
from ferry_client.models import FileRecord
from ferry_client.options import MAX_PUT_BYTES
from ferry_client.ranges import ContentChangedError, RangeSource
from ferry_client.transport import TransportError
from ferry_client.workers import run_tasks

RANGE_BYTES = MAX_PUT_BYTES
"""Bytes of a range: the most that one response of the API holds."""

RANGES_AHEAD = 8
"""Ranges that are fetched or wait for their turn. Memory is bounded by their bytes."""


def iter_content(downloader: Downloader, name: str, on_note: Callable[[str], None] = ignore) -> Iterator[bytes]:
    """Yield the content of a file in order. The last range comes after the checksum was verified.

    Raises:
        NotFoundError: there is no such file.
        IntegrityError: the received bytes differ from the file's checksum.
        ConflictError: the file was replaced meanwhile.
    """
    yield from iter_file(downloader, downloader.stat(name), on_note)


def iter_file(downloader: Downloader, file: FileRecord, on_note: Callable[[str], None] = ignore) -> Iterator[bytes]:
    """Yield the content of a file that `Downloader.stat` returned. Raises what `iter_content` raises."""
    last_block, crc = b"", 0
    try:
        for block in _read(downloader, file, on_note):
            if last_block:
                yield last_block
            last_block, crc = block, crc32c(block, crc)
    except ContentChangedError as error:
        detail = f"{file.name} was replaced while it was read. Read it again."
        raise ConflictError(412, "precondition_failed", detail) from error
    if file.crc32c not in (None, crc):
        raise IntegrityError(f"{file.name}: the received bytes differ from the file's checksum. Fetch it again.")
    if last_block:
        yield last_block


def _read(downloader: Downloader, file: FileRecord, on_note: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the content in order, not verified. Raises `ContentChangedError`."""
    if file.size <= MAX_PUT_BYTES:
        if file.size:
            try:
                yield downloader.fetch_small(file.name, file.etag)
            except ConflictError as error:
                raise ContentChangedError from error
        return
    position = 0
    try:
        for block in _OrderedRanges(downloader, file, position):
            position += len(block)
            yield block
    except DirectUnavailableError:
        downloader.direct.give_up(on_note)
        yield from _OrderedRanges(downloader, file, position)


class _OrderedRanges:
    """The ranges of a file from a position on, in order."""

    def __init__(self, downloader: Downloader, file: FileRecord, first: int) -> None:
        self._downloader = downloader
        self._file = file
        self._first = first
        self._source = RangeSource(downloader.api, downloader.direct, file)
        self._places = threading.Semaphore(RANGES_AHEAD)
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        waiting: dict[int, bytes] = {}
        position = self._first
        try:
            for first, data in run_tasks(self._firsts(), self._fetch, RANGES_AHEAD):
                waiting[first] = data
                while position in waiting:
                    block = waiting.pop(position)
                    position += len(block)
                    yield block
                    self._places.release()
        finally:
            self._is_closed = True
            self._places.release(RANGES_AHEAD)  # Threads that wait for a place end.

    def _firsts(self) -> Iterator[int]:
        for first in range(self._first, self._file.size, RANGE_BYTES):
            while not self._places.acquire(timeout=POLL_SECONDS):
                raise_if_cancelled()
            if self._is_closed:
                return
            yield first

    def _fetch(self, first: int) -> tuple[int, bytes]:
        """Return the first byte of a range, and its bytes. After a break the rest is requested again."""
        length = min(RANGE_BYTES, self._file.size - first)
        data, attempt = bytearray(), 0
        while len(data) < length:
            attempt += 1
            before = len(data)
            try:
                with self._downloader.transfer_limit.acquire():
                    response = self._source.open(first + before, first + length - 1)
                    for block in response.iter_body():
                        data += block[: length - len(data)]
                        self._source.rejections = 0
                reason = "the response ended early"
            except TransportError as error:
                reason = str(error)
            if len(data) < length:
                attempt = self._source.after_break(reason, attempt, len(data) - before)
        self._source.record_success()
        return first, bytes(data)
