"""Send the chunks of an upload through the API, and notice where they are too large for the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ferry_client.api import Api
from ferry_client.errors import ApiError, SourceChangedError
from ferry_client.options import MIB, MIN_CHUNK_BYTES
from ferry_client.small_files import content_digest
from ferry_client.sources import SourceBody, range_crc32c
from ferry_client.workers import TransferLimit, run_tasks

if TYPE_CHECKING:
    from ferry_client.models import UploadPlan
    from ferry_client.sources import Source

MIN_BREAKS = 3
"""Broken connections after which chunks may count as too large."""

MIN_CHUNKS_BETWEEN_BREAKS = 4
"""Chunks are too large where fewer of them pass between two breaks: a break loses half of one on average."""

MAX_GIVEN_UP_BYTES = 4 * MIB
"""Most bytes that an upload may have received when it is started anew in smaller chunks."""


class ChunksTooLargeError(Exception):
    """Too few chunks get through before the connection breaks."""


class _AlreadyReceivedError(Exception):
    """The service has a chunk whose response was lost."""


class ChunkSender:
    """Sends chunks of one upload. Thread-safe."""

    def __init__(
        self,
        api: Api,
        source: Source,
        plan: UploadPlan,
        *,
        transfer_limit: TransferLimit,
        on_sent: Callable[[int, int, int], None],
        received_chunks: Callable[[], set[int]],
    ) -> None:
        self._api = api
        self._source = source
        self._plan = plan
        self._transfer_limit = transfer_limit
        self._on_sent = on_sent
        """Called with first byte, length and CRC32C of each chunk that the service has received."""
        self._received_chunks = received_chunks
        """Asks the service which chunks it has."""
        self._can_shrink = plan.chunk_size > MIN_CHUNK_BYTES and not plan.received_bytes
        self._breaks = 0
        self._received_bytes = 0

    def send(self, indexes: Iterable[int]) -> None:
        """Send chunks, several at once.

        Raises:
            ChunksTooLargeError: the line breaks too often for the size of the chunks.
            SourceChangedError: the service has received other bytes of a chunk before.
            ApiError, NetworkError, CancelledError: as their names say.
        """
        for _ in run_tasks(((index,) for index in indexes), self._send_in_order, self._api.options.threads):
            pass

    def send_by_part(self, indexes: Iterable[int]) -> None:
        """Send chunks, in ascending order, of several parts at once: those of a part one after another.

        A part is assembled with its last chunk. If that comes after the others, the service reads less of the part
        back from S3, or nothing. Where fewer parts are missing than requests may run at once, the order is `send`'s.

        Raises what `send` raises.
        """
        parts = [tuple(part) for _, part in groupby(indexes, self._plan.part_for_chunk)]
        if len(parts) < self._api.options.threads:
            self.send(index for part in parts for index in part)
            return
        for _ in run_tasks(parts, self._send_in_order, self._api.options.threads):
            pass

    def _send_in_order(self, indexes: Sequence[int]) -> None:
        """Send chunks one after another, as one transfer of those that may run at once."""
        with self._transfer_limit.acquire():
            for index in indexes:
                self._send_chunk(index)

    def _send_chunk(self, index: int) -> None:
        """Send a chunk until it is acknowledged. Raises what `send` raises."""
        first, length = self._plan.chunk_range(index)
        crc = range_crc32c(self._source, first, length)
        path = self._api.file_path(
            self._plan.chunk_url, self._plan.name, chunk_index=index, upload_id=self._plan.upload_id
        )
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": content_digest(crc)}
        body = _StoppableBody(SourceBody(self._source, first, length), self._raise_if_too_large)

        def on_break(sent_bytes: int) -> None:
            if sent_bytes >= length and index in self._received_chunks():
                raise _AlreadyReceivedError  # Only the response was lost.
            self._count_break(sent_bytes)

        try:
            with suppress(_AlreadyReceivedError):
                self._raise_if_too_large()
                self._api.request("POST", path, body=body, headers=headers, on_break=on_break)
        except ApiError as error:
            if error.code in ("chunk_conflict", "checksum_mismatch"):
                raise SourceChangedError(
                    f"{self._plan.name}: chunk {index} differs from what was sent before. Send the file again with "
                    "--restart (in Python: restart=True)."
                ) from error
            raise
        self._received_bytes += length
        self._on_sent(first, length, crc)

    def _count_break(self, sent_bytes: int) -> None:
        """Count a connection that broke while it carried bytes."""
        self._breaks += sent_bytes > 0
        self._raise_if_too_large()

    def _raise_if_too_large(self) -> None:
        """Raise `ChunksTooLargeError` if a new start in smaller chunks loses fewer bytes than these breaks."""
        received_bytes = self._received_bytes
        limit = self._api.transport.connection_limit.max_bytes
        if (
            self._can_shrink
            and (limit is None or limit < self._plan.chunk_size)
            and self._breaks >= MIN_BREAKS
            and received_bytes <= MAX_GIVEN_UP_BYTES
            and received_bytes < self._breaks * MIN_CHUNKS_BETWEEN_BREAKS * self._plan.chunk_size
        ):
            raise ChunksTooLargeError


@dataclass(frozen=True, slots=True)
class _StoppableBody:
    """A body that can stop while it is sent, by an exception."""

    body: SourceBody
    """The bytes."""
    raise_if_stopped: Callable[[], None]
    """Called before each block."""

    @property
    def length(self) -> int:
        return self.body.length

    def blocks(self, block_bytes: Callable[[], int]) -> Iterator[bytes]:
        for block in self.body.blocks(block_bytes):
            self.raise_if_stopped()
            yield block
