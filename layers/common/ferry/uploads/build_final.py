"""Store the parts of a final upload: S3 copies the bytes of its partial uploads where it can (docs/decisions/0013).

A part has at least 5 MiB, so what is smaller is read and joined with bytes of its neighbors. The sections depend on the
sizes of the partial uploads alone: each attempt makes the same parts, and skips those that an earlier one has stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ferry.model.objects import StoredObject, StoredPart
from ferry.model.sequential import SequentialState, Source
from ferry.model.uploads import UploadRecord, object_key
from ferry.rules.digests import combine_crc32c_all, crc32c
from ferry.rules.layout import GIB, MAX_PARTS, MIN_PART_BYTES
from ferry.services import Services

MAX_COPY_BYTES = GIB
"""Bytes of one copy at most: small enough for the time of one call."""

CONCURRENCY = 8
"""Parts that are stored at the same time."""


class SourceNotFound(Exception):
    """The object of a partial upload does not exist any more."""


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive bytes of a partial upload."""

    upload_id: str
    """The partial upload."""
    first: int
    """Position of the first byte."""
    last: int
    """Position of the last byte."""

    @property
    def size(self) -> int:
        return self.last - self.first + 1


Part = tuple[Section, ...]
"""The sections of a part. One section is copied; several are read and joined."""


def plan_parts(sources: Sequence[Source]) -> list[Part]:
    """Return the parts of a final upload, in order. All but the last have at least 5 MiB."""
    parts: list[Part] = []
    pending: list[Section] = []
    missing = 0
    for source in sources:
        position = 0
        while position < source.size:
            remaining = source.size - position
            size = min(remaining, missing) if pending else _copy_size(remaining)
            section = Section(source.upload_id, position, position + size - 1)
            position += size
            if not pending and size >= MIN_PART_BYTES:
                parts.append((section,))
                continue
            missing = (missing if pending else MIN_PART_BYTES) - size
            pending.append(section)
            if not missing:
                parts.append(tuple(pending))
                pending = []
    return [*parts, tuple(pending)] if pending else parts


def _copy_size(remaining: int) -> int:
    """Return how many bytes to copy at once, so that no small section is left behind a large one."""
    return remaining if remaining <= MAX_COPY_BYTES else min(MAX_COPY_BYTES, remaining - MIN_PART_BYTES)


def build_small(services: Services, record: UploadRecord, state: SequentialState) -> StoredObject | None:
    """Put the object of a final upload smaller than a part, without its date. None if bytes of a source are gone."""
    body = _read(services, [section for part in plan_parts(state.sources) for section in part])
    if body is None:
        return None
    crc = sources_crc(state.sources)
    stored = services.object_store.put(record.object_key, body, crc32c=crc, content_type=record.content_type)
    return StoredObject(stored.etag, len(body), crc)


def copy_parts(services: Services, record: UploadRecord, state: SequentialState) -> list[StoredPart] | None:
    """Store the parts that S3 does not have yet, and return all parts. None if the time budget ended before.

    Raises:
        MultipartUploadNotFound: S3 has no such multipart upload any more.
        SourceNotFound: bytes of a partial upload are gone.
    """
    deadline = services.clock() + services.assembly_budget_ms
    stored = _list_parts(services, record)
    parts = plan_parts(state.sources)
    missing = [(number, part) for number, part in enumerate(parts, 1) if number not in stored]

    def store(numbered: tuple[int, Part]) -> bool:
        if services.clock() >= deadline:
            return False
        _store_part(services, record, *numbered)
        return True

    if missing:
        with ThreadPoolExecutor(min(CONCURRENCY, len(missing))) as pool:
            if not all(list(pool.map(store, missing))):
                return None
        stored = _list_parts(services, record)
    return [stored[number] for number in range(1, len(parts) + 1)]


def _list_parts(services: Services, record: UploadRecord) -> Mapping[int, StoredPart]:
    return services.object_store.list_parts(record.object_key, record.multipart_id or "", max_part_number=MAX_PARTS)


def sources_crc(sources: Sequence[Source]) -> int:
    """Return the CRC32C of all bytes together."""
    return combine_crc32c_all((source.crc32c, source.size) for source in sources)


def _store_part(services: Services, record: UploadRecord, number: int, part: Part) -> None:
    multipart_id = record.multipart_id or ""
    if len(part) == 1 and part[0].size >= MIN_PART_BYTES:
        [section] = part
        source_key = object_key(section.upload_id)
        if services.object_store.copy_part(
            record.object_key, multipart_id, number, source_key, first=section.first, last=section.last
        ):
            return
    body = _read(services, part)
    if body is None:
        raise SourceNotFound
    services.object_store.upload_part(record.object_key, multipart_id, number, body, crc32c=crc32c(body))


def _read(services: Services, sections: Sequence[Section]) -> bytes | None:
    """Return the bytes of the sections, in order; None if an object is gone."""
    bodies: list[bytes] = []
    for section in sections:
        body = services.object_store.get(object_key(section.upload_id), section.first, section.last)
        if body is None:
            return None
        bodies.append(body)
    return b"".join(bodies)
