"""The rows of the metadata table (docs/decisions/0001): their keys, and their conversion to and from the model.

| row | pk | sk |
|---|---|---|
| file | `N#<namespace>` | `F#<name>` |
| current upload | `N#<namespace>` | `U#<name>` |
| open sequential uploads | `N#<namespace>` | `S#<name>` |
| deleted file | `N#<namespace>` | `D#<name>` and when (`ferry.aws.file_rows`) |
| quota | `Q#<namespace>` | `Q` |
| upload record | `U#<upload id>` | `S` |
| progress shard | `U#<upload id>` | `C#<index>` |
| chunk digests of a part | `U#<upload id>#<part number % 3>` | `<part number>` |
| cleanup task | `T#<kind>#<upload id, or id of the event>` | `T` |
| orphan scan | `ORPHAN_SCAN` | `S` |
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ferry.aws import sequential_rows
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan, OrphanScanPhase
from ferry.model.files import File, IfExists
from ferry.model.objects import StoredObject
from ferry.model.progress import ProgressShard
from ferry.model.quotas import Quota
from ferry.model.uploads import CurrentUpload, Upload, UploadRecord, UploadState
from ferry.rules.layout import ChunkLayout

if TYPE_CHECKING:
    from ferry.aws.expressions import Key, Row

DUE_SHARDS = 4
"""Partitions of the index of due tasks."""

CHUNK_DIGEST_PARTITIONS = 3
"""Partitions of an upload's chunk digests, so that its writes are spread."""

FILE_PREFIX = "F#"
CURRENT_UPLOAD_PREFIX = "U#"
SEQUENTIAL_PREFIX = "S#"
SHARD_PREFIX = "C#"
ORPHAN_SCAN_KEY: Key = ("ORPHAN_SCAN", "S")

QUOTA_LIMITS = ("max_bytes", "max_uploads", "max_file_bytes")
QUOTA_USAGE = ("used_bytes", "open_uploads")

UNSCHEDULED: dict[str, None] = {"due_at": None, "due_shard": None}
"""Changes that remove a row from the index of due tasks."""

NAMESPACE_PREFIX = "N#"
_RECORD_SORT_KEY = "S"

# Attributes with the name and the value of the model's field.
_RECORD_FIELDS = (
    "upload_id",
    "ns",
    "name",
    "created_at",
    "idle_timeout_ms",
    "max_age_ms",
    "content_type",
    "metadata",
    "crc32c",
    "fingerprint",
    "requested_name",
    "link_id",
    "link_network",
    "multipart_id",
    "opened_at",
    "lease_id",
    "lease_expires_at",
    "first_leased_at",
    "lease_if_match",
    "lease_crc32c",
    "replaced_upload_id",
    "ended_at",
    "purged",
    "version",
)
# Attributes that exist only where the model's field is true.
_RECORD_FLAGS = (
    "counted_in_quota",
    "event_pending",
    "file_existed",
    "requires_checksum",
    "upload_id_required",
    "was_restarted",
)
_FILE_FIELDS = (
    "upload_id",
    "size",
    "etag",
    "crc32c",
    "content_type",
    "metadata",
    "fingerprint",
    "uploaded_at",
    "last_modified_seconds",
)
_UNKNOWN_DATE = 0
"""The attribute `object_date_seconds` of a file whose object's date is not known."""
_STORED_OBJECT_FIELDS = ("etag", "size", "crc32c", "last_modified_seconds")
_SHARD_FIELDS = ("last_activity_at", "received_bytes", "epoch", "version")


# Keys


def names_pk(ns: str) -> str:
    """Return the partition of a namespace's files and current uploads."""
    return f"{NAMESPACE_PREFIX}{ns}"


def file_key(ns: str, name: str) -> Key:
    return names_pk(ns), FILE_PREFIX + name


def current_upload_key(ns: str, name: str) -> Key:
    return names_pk(ns), CURRENT_UPLOAD_PREFIX + name


def sequential_key(ns: str, name: str) -> Key:
    """Return the key of the row with the ids of a name's open sequential uploads."""
    return names_pk(ns), SEQUENTIAL_PREFIX + name


def quota_key(ns: str) -> Key:
    """Return the key of a quota. It has its own partition, because it is written more often than any name."""
    return f"Q#{ns}", "Q"


def upload_pk(upload_id: str) -> str:
    """Return the partition of an upload's record and shards."""
    return f"U#{upload_id}"


def record_key(upload_id: str) -> Key:
    return upload_pk(upload_id), _RECORD_SORT_KEY


def shard_key(upload_id: str, shard_index: int) -> Key:
    return upload_pk(upload_id), f"{SHARD_PREFIX}{shard_index}"


def chunk_digest_pks(upload_id: str) -> list[str]:
    """Return the partitions of an upload's chunk digests."""
    return [f"{upload_pk(upload_id)}#{remainder}" for remainder in range(CHUNK_DIGEST_PARTITIONS)]


def chunk_digest_key(upload_id: str, part_number: int) -> Key:
    return chunk_digest_pks(upload_id)[part_number % CHUNK_DIGEST_PARTITIONS], str(part_number)


def task_key(kind: CleanupTaskKind, subject: str) -> Key:
    """Return the key of the row that is due."""
    return record_key(subject) if kind is CleanupTaskKind.UPLOAD else (f"T#{kind.value}#{subject}", "T")


def due_shard_for(subject: str) -> str:
    return str(zlib.crc32(subject.encode()) % DUE_SHARDS)


# Names


def file_to_row(file: File) -> Row:
    return key_attributes(file_key(file.ns, file.name)) | file_attributes(file)


def file_from_row(row: Row) -> File:
    return file_from_attributes(
        row, ns=row["pk"].removeprefix(NAMESPACE_PREFIX), name=row["sk"].removeprefix(FILE_PREFIX)
    )


def current_upload_to_row(current_upload: CurrentUpload) -> Row:
    return key_attributes(current_upload_key(current_upload.ns, current_upload.name)) | {
        "upload_id": current_upload.upload_id,
        "in_progress": current_upload.in_progress or None,
    }


def current_upload_from_row(row: Row) -> CurrentUpload:
    name = row["sk"].removeprefix(CURRENT_UPLOAD_PREFIX)
    return CurrentUpload(
        row["pk"].removeprefix(NAMESPACE_PREFIX), name, row["upload_id"], in_progress=row.get("in_progress", False)
    )


def quota_from_row(row: Row) -> Quota:
    return Quota(**{name: row[name] for name in (*QUOTA_LIMITS, *QUOTA_USAGE) if name in row})


# Uploads


def record_to_row(record: UploadRecord, due_at: int) -> Row:
    layout = record.layout
    return {
        **key_attributes(record_key(record.upload_id)),
        **{name: getattr(record, name) for name in _RECORD_FIELDS},
        "size": layout.size,
        "chunk_size": layout.chunk_size,
        "chunks_per_part": layout.chunks_per_part,
        "state": record.state.value,
        **{name: getattr(record, name) or None for name in _RECORD_FLAGS},
        "if_exists": record.if_exists.value,
        "lease_if_exists": record.lease_if_exists.value,
        "stored_object": record.stored_object and stored_object_attributes(record.stored_object),
        "file": record.file and record_file_attributes(record, record.file),
        "sequential": record.sequential and sequential_rows.to_attributes(record.sequential),
        **schedule_attributes(record.upload_id, due_at),
    }


def record_from_row(row: Row) -> UploadRecord:
    fields = {name: row[name] for name in (*_RECORD_FIELDS, *_RECORD_FLAGS) if name in row}
    stored_object, file = row.get("stored_object"), row.get("file")
    return UploadRecord(
        **fields,
        layout=ChunkLayout(row["size"], row["chunk_size"], row["chunks_per_part"]),
        state=UploadState(row["state"]),
        if_exists=_if_exists_from_row(row, "if_exists", "replace_existing"),
        lease_if_exists=_if_exists_from_row(row, "lease_if_exists", "lease_replace_existing"),
        stored_object=StoredObject(*map(stored_object.get, _STORED_OBJECT_FIELDS)) if stored_object else None,
        file=file_from_attributes(file, ns=row["ns"], name=file.get("name", row["name"])) if file else None,
        sequential=sequential_rows.from_attributes(row["sequential"]) if "sequential" in row else None,
    )


def _if_exists_from_row(row: Row, name: str, earlier_name: str) -> IfExists:
    """Return the choice of the starts or of the lease. Rows of version 1 have a Boolean instead."""
    if name in row:
        return IfExists(row[name])
    return IfExists.REPLACE if row.get(earlier_name) else IfExists.FAIL


def stored_object_attributes(stored_object: StoredObject) -> dict[str, Any]:
    return {name: getattr(stored_object, name) for name in _STORED_OBJECT_FIELDS}


def record_file_attributes(record: UploadRecord, file: File) -> dict[str, Any]:
    """Return the committed file as its upload record holds it: without namespace, and without the record's own name."""
    return file_attributes(file) | {"name": None if file.name == record.name else file.name}


def shard_to_row(upload_id: str, shard: ProgressShard, ttl_epoch_seconds: int) -> Row:
    return {
        **key_attributes(shard_key(upload_id, shard.index)),
        **{name: getattr(shard, name) for name in _SHARD_FIELDS},
        "open": shard.open or None,
        "has_presigned_parts": shard.has_presigned_parts or None,
        "has_replaced_digests": shard.has_replaced_digests or None,
        "bits": bits_to_bytes(shard.bits),
        "recent_bits": shard.recent_bits or None,
        "previous_bits": shard.previous_bits or None,
        "ttl": ttl_epoch_seconds,
    }


def shard_from_row(row: Row) -> ProgressShard:
    return ProgressShard(
        index=int(row["sk"].removeprefix(SHARD_PREFIX)),
        open=row.get("open", False),
        has_presigned_parts=row.get("has_presigned_parts", False),
        has_replaced_digests=row.get("has_replaced_digests", False),
        bits=int.from_bytes(row.get("bits", b""), "little"),
        recent_bits=row.get("recent_bits", frozenset()),
        previous_bits=row.get("previous_bits", frozenset()),
        **{name: row[name] for name in _SHARD_FIELDS},
    )


def bits_to_bytes(bits: int) -> bytes:
    """Return a bitmap as little-endian bytes."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def upload_from_rows(rows: Iterable[Row]) -> Upload | None:
    """Return the upload in the rows of its partition, in any order; None if they contain no record."""
    record: UploadRecord | None = None
    shards: list[ProgressShard] = []
    for row in rows:
        if row["sk"].startswith(SHARD_PREFIX):
            shards.append(shard_from_row(row))
        elif row["sk"] == _RECORD_SORT_KEY:  # not if an invented upload id names a partition of chunk digests
            record = record_from_row(row)
    return Upload(record, tuple(sorted(shards, key=lambda shard: shard.index))) if record else None


# Cleanup


def schedule_attributes(upload_id: str, due_at: int) -> dict[str, Any]:
    """Return the attributes that put a row into the index of due tasks."""
    return {"due_at": due_at, "due_shard": due_shard_for(upload_id)}


def task_to_row(task: CleanupTask) -> Row:
    return key_attributes(task_key(task.kind, task.subject)) | schedule_attributes(task.subject, task.due_at)


def object_to_row(upload_id: str, owner: tuple[str, str] | None, due_at: int | None) -> Row:
    """Return the row of an object: its owner (namespace and name) if known, and when it is due, if it is."""
    row = key_attributes(task_key(CleanupTaskKind.OBJECT, upload_id))
    if owner is not None:
        row["ns"], row["name"] = owner
    return row if due_at is None else row | schedule_attributes(upload_id, due_at)


def owner_from_row(row: Row) -> tuple[str, tuple[str, str] | None]:
    """Return the upload id of an object, and its owner (namespace and name) if known."""
    upload_id = row["pk"].rpartition("#")[2]
    return upload_id, (row["ns"], row["name"]) if "name" in row else None


def orphan_scan_to_row(scan: OrphanScan) -> Row:
    values = {"started_at": scan.started_at, "phase": scan.phase.value, "cursor": scan.cursor, "version": scan.version}
    return key_attributes(ORPHAN_SCAN_KEY) | values


def orphan_scan_from_row(row: Row) -> OrphanScan:
    return OrphanScan(row["started_at"], OrphanScanPhase(row["phase"]), row.get("cursor"), row["version"])


def task_from_row(row: Row) -> CleanupTask:
    """Return the task of a row, from the keys that the index projects."""
    row_type, _, rest = row["pk"].partition("#")
    if row_type == "U":
        return CleanupTask(CleanupTaskKind.UPLOAD, rest, row["due_at"])
    kind, _, upload_id = rest.partition("#")
    return CleanupTask(CleanupTaskKind(kind), upload_id, row["due_at"])


def key_attributes(key: Key) -> Row:
    return {"pk": key[0], "sk": key[1]}


def file_attributes(file: File) -> dict[str, Any]:
    object_date = _UNKNOWN_DATE if file.object_date_seconds is None else file.object_date_seconds
    return {name: getattr(file, name) for name in _FILE_FIELDS} | {
        "counted_in_quota": file.counted_in_quota or None,
        # Most files have S3's own date and are never changed: their rows do without these attributes.
        "object_date_seconds": None if object_date == file.last_modified_seconds else object_date,
        "revision": None if file.revision == 1 else file.revision,
        "moved_from": file.moved_from,
        "restored_by": file.restored_by,
    }


def file_from_attributes(row: Row, *, ns: str, name: str) -> File:
    fields: dict[str, Any] = {attribute: row.get(attribute) for attribute in _FILE_FIELDS}
    return File(
        ns=ns,
        name=name,
        counted_in_quota=row.get("counted_in_quota", False),
        object_date_seconds=row.get("object_date_seconds", row["last_modified_seconds"]) or None,
        revision=row.get("revision", 1),
        moved_from=row.get("moved_from"),
        restored_by=row.get("restored_by"),
        **fields,
    )
