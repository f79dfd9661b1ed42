"""Finished files in memory, without the uploads that make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dev.fakes.metadata_rows import Rows
from dev.fakes.quotas import add_usage
from ferry.model.files import File
from ferry.model.uploads import object_key
from ferry.rules.digests import crc32c
from ferry.rules.durations import SECOND_MS
from tests.support.in_memory_service import NS, InMemoryService


def put_file(service: InMemoryService, name: str, body: bytes = b"x", ns: str = NS, **fields: Any) -> File:
    """Store a file as a commit leaves it: its row, its object and the owner of the object."""
    upload_id, now = service.new_id(), service.clock()
    stored = service.object_store.put(object_key(upload_id), body, crc32c=crc32c(body))
    file = File(
        ns=ns,
        name=name,
        upload_id=upload_id,
        size=len(body),
        etag=stored.etag,
        crc32c=crc32c(body),
        content_type="text/plain",
        metadata={},
        fingerprint=None,
        uploaded_at=now,
        last_modified_seconds=now // SECOND_MS,
        object_date_seconds=now // SECOND_MS,
    )
    file = replace(file, **fields)
    rows = service.upload_repository.rows
    rows.files[ns, name] = file
    rows.object_owners[upload_id] = (ns, name)
    if file.counted_in_quota:
        add_usage(rows, ns, file.size, 0)
    return file


def file_at(service: InMemoryService, name: str, ns: str = NS) -> File | None:
    """Return the file of a name; None if it has none."""
    return service.file_repository.get_file(ns, name)


def rows_of(service: InMemoryService) -> Rows:
    """Return the rows of the metadata table."""
    return service.upload_repository.rows
