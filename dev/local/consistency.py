"""Compare the tables with S3 at the start: what the tables record as stored must be there.

It finds what SeaweedFS has lost without reporting it, such as the names of objects in a damaged LevelDB file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dev.local.errors import LocalError
from dev.local.provision import Backends
from dev.local.stack import Stack, physical_name
from dev.local.state import START_ANEW
from ferry.aws import metadata_rows
from ferry.aws.expressions import Row, decode_row
from ferry.aws.objects import S3ObjectStore
from ferry.model.files import File
from ferry.model.sequential import SequentialState
from ferry.model.uploads import OBJECT_PREFIX, STAGED_CHUNK_PREFIX, Upload, UploadRecord, object_key
from ferry.ports.errors import MultipartUploadNotFound

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

METADATA_TABLE, BUCKET = "MetadataTable", "Bucket"
_ENTRIES_PER_PAGE = 1_000
"""Rows, keys or parts that one call reads."""
_MAX_NAMES = 3
"""Names that the message lists."""


def check_stored_bytes(backends: Backends, stack: Stack, folder: str) -> None:
    """Raise `LocalError` when S3 lacks bytes of a file or of an open upload that the metadata table records.

    Args:
        backends: the running services.
        stack: names the table and the bucket. Without the table there is nothing to compare.
        folder: SeaweedFS's folder, for the message.
    """
    if METADATA_TABLE not in stack.tables or not stack.buckets:
        return
    bucket = physical_name(next(iter(stack.buckets)))
    store = S3ObjectStore(backends.s3_client(), bucket)
    files, uploads = _read_table(backends.dynamodb_client(), physical_name(METADATA_TABLE))
    sizes = dict(_list_sizes(store, OBJECT_PREFIX))
    staged: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for key, size in _list_sizes(store, STAGED_CHUNK_PREFIX):
        _, upload_id, _, name = key.split("/")
        staged[upload_id].add((name.partition("-")[0], size))
    lost_files = [file.name for file in files if sizes.get(object_key(file.upload_id)) != file.size]
    lost_uploads = [upload.record.name for upload in uploads if _has_lost_bytes(store, upload, sizes, staged)]
    if lost_files or lost_uploads:
        lost = [
            f"{len(names)} of {total} {kind} ({_some_of(names)})"
            for names, total, kind in (
                (lost_files, len(files), "files"),
                (lost_uploads, len(uploads), "open uploads"),
            )
            if names
        ]
        raise LocalError(
            f"{folder} is damaged: bytes of {' and '.join(lost)} are lost. "
            f"Put the state folder back from a copy, or delete all state and start with none: {START_ANEW}"
        )


def _some_of(names: list[str]) -> str:
    named = ", ".join(repr(name) for name in names[:_MAX_NAMES])
    return f"{named}, …" if len(names) > _MAX_NAMES else named


def _read_table(dynamodb: DynamoDBClient, table: str) -> tuple[list[File], list[Upload]]:
    """Return every file, and every upload in progress."""
    files: list[File] = []
    rows: dict[str, list[Row]] = defaultdict(list)
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for row in map(decode_row, page["Items"]):
            if row["pk"].startswith("N#") and row["sk"].startswith(metadata_rows.FILE_PREFIX):
                files.append(metadata_rows.file_from_row(row))
            elif row["pk"].startswith(metadata_rows.upload_pk("")) and row["pk"].count("#") == 1:
                rows[row["pk"]].append(row)
    uploads = map(metadata_rows.upload_from_rows, rows.values())
    return files, [upload for upload in uploads if upload is not None and upload.record.state.in_progress]


def _list_sizes(store: S3ObjectStore, prefix: str) -> Iterator[tuple[str, int]]:
    cursor: str | None = None
    while True:
        page = store.list_objects(prefix, cursor, _ENTRIES_PER_PAGE)
        for found in page.items:
            yield found.key, found.size
        cursor = page.cursor
        if cursor is None:
            return


def _has_lost_bytes(
    store: S3ObjectStore, upload: Upload, sizes: Mapping[str, int], staged: Mapping[str, set[tuple[str, int]]]
) -> bool:
    """Return whether S3 lacks the multipart upload or bytes that are recorded as stored."""
    record = upload.record
    if record.multipart_id is None or record.object_key in sizes:
        return False
    if record.sequential is not None and record.sequential.has_all_bytes:
        return False  # Its parts may be without a record for a while: a final upload copies them.
    try:
        parts = store.list_parts(
            record.object_key, record.multipart_id, max_part_number=_recorded_part_count(upload.record)
        )
    except MultipartUploadNotFound:
        return True
    part_sizes = {number: part.size for number, part in parts.items()}
    staged_here = staged.get(record.upload_id, set())
    if record.sequential is not None:
        return _has_lost_pieces(record, record.sequential, part_sizes, staged_here)
    layout = record.layout
    return any(
        (str(index), layout.chunk_length(index)) not in staged_here
        and part_sizes.get(layout.part_for_chunk(index)) != layout.part_length(layout.part_for_chunk(index))
        for index in upload.chunk_indexes()
    )


def _recorded_part_count(record: UploadRecord) -> int:
    if record.sequential is None:
        return record.layout.part_count
    return max(record.sequential.offset // record.layout.part_size, 1)


def _has_lost_pieces(
    record: UploadRecord, state: SequentialState, part_sizes: Mapping[int, int], staged: set[tuple[str, int]]
) -> bool:
    """Return whether a complete part before the offset is absent, or a piece behind the last one."""
    part_size = record.layout.part_size
    has_parts = all(part_sizes.get(number) == part_size for number in range(1, state.offset // part_size + 1))
    names = [(record.piece_key(piece).rpartition("/")[2].partition("-")[0], piece.size) for piece in state.pieces]
    return not has_parts or not staged.issuperset(names)
