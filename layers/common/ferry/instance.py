"""What one instance of a function keeps between requests, and how it makes two calls at the same time.

Nothing here is needed for correctness: an instance without any of it makes more calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.rules.durations import MINUTE_MS
from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

A = TypeVar("A")
B = TypeVar("B")

OPEN_UPLOAD_TTL_MS = MINUTE_MS
"""How long an instance uses an upload without reading it again.

Well below an hour: that long after the end of an upload, cleanup deletes what late requests have staged.
"""

STAGED_CHUNK_CACHE_BYTES = MAX_ASSEMBLED_PART_BYTES - MAX_CHUNK_BYTES
"""Bytes of staged chunks that an instance keeps: all but the last chunk of the largest part made of chunks."""


class OpenUploadCache:
    """The open uploads that one instance has recorded chunks of lately, each as its last write returned it.

    Saves the read before a chunk. An entry may be stale, so it serves only to record chunks: the condition of that
    write compares the shard with the entry.
    """

    def __init__(self, max_entries: int = 64) -> None:
        self._max_entries = max_entries
        self._entries: dict[tuple[str, str], tuple[Upload, int]] = {}

    def take(self, ns: str, name: str, upload_id: str | None, now: int) -> Upload | None:
        """Remove the entry of a name, and return its upload if it is recent and is the one that the request means.

        Without `upload_id`, a request does not mean an upload that takes requests only with its id.
        """
        upload, stored_at = self._entries.pop((ns, name), (None, 0))
        if upload is None or not 0 <= now - stored_at < OPEN_UPLOAD_TTL_MS:
            return None
        record = upload.record
        is_same = not record.upload_id_required if upload_id is None else record.upload_id == upload_id
        return upload if is_same else None

    def forget(self, ns: str, name: str) -> None:
        """Remove the entry of a name."""
        self._entries.pop((ns, name), None)

    def put(self, upload: Upload, now: int) -> None:
        """Keep an upload that was just read or written, if its next chunk can be recorded without reading it.

        Three kinds of uploads are not kept: those with several shards, because an acknowledgement counts the chunks of
        all shards; those by a link, because their requests must see no other uploads; those with presigned parts or
        replaced digests, because only a read finds later ones.
        """
        record = upload.record
        [shard, *others] = upload.shards or (None,)
        if shard is None or others or not shard.open or shard.parts_may_change:
            return
        if record.state is not UploadState.OPEN or record.stored_object is not None or record.link_id is not None:
            return
        self.forget(record.ns, record.name)
        if len(self._entries) >= self._max_entries:
            self._entries.pop(next(iter(self._entries)))
        self._entries[record.ns, record.name] = upload, now


class StagedChunkCache:
    """The chunks that one instance has staged lately, by their keys, which contain their digests.

    Saves fetching them when their part is assembled.
    """

    def __init__(self, max_bytes: int = STAGED_CHUNK_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bodies: dict[str, bytes] = {}
        self._total_bytes = 0

    def get(self, key: str) -> bytes | None:
        return self._bodies.get(key)

    def put(self, key: str, body: bytes) -> None:
        """Keep a chunk. The oldest ones make room for it."""
        self._discard(key)
        self._bodies[key] = body
        self._total_bytes += len(body)
        while self._total_bytes > self._max_bytes:
            self._discard(next(iter(self._bodies)))

    def discard_part(self, record: UploadRecord, part_number: int) -> None:
        """Drop the chunks of a part that is assembled."""
        prefix = record.staged_part_prefix(part_number)
        for key in [key for key in self._bodies if key.startswith(prefix)]:
            self._discard(key)

    def _discard(self, key: str) -> None:
        self._total_bytes -= len(self._bodies.pop(key, b""))


class RunBoth(Protocol):
    """Runs two calls."""

    def __call__(self, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
        """Return both results. Both calls have ended when this returns or raises. Of two errors, raise `first`'s."""
        ...


def run_at_once(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Run both calls at the same time, the second in this thread. See `RunBoth`."""
    future = _executor().submit(first)
    try:
        result = second()
    except BaseException:
        future.result()
        raise
    return future.result(), result


@cache
def _executor() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="ferry")
