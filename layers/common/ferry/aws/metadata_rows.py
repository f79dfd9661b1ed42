"""The ledger's rows (docs/decisions/0001): their keys, and how they hold the model's values."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from ferry.aws.expressions import Key, Row
from ferry.model.cleanup import CleanupTask, CleanupTaskKind, OrphanScan, OrphanScanPhase
from ferry.model.files import DeletedFile, File
from ferry.model.objects import StoredObject
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.rules.layout import ChunkLayout

DUE_SHARDS = 4
ORPHAN_SCAN_KEY: Key = ("ORPHAN_SCAN", "S")
CHUNK_DIGEST_PARTITIONS = 3
FILE_PREFIX = "F#"
CURRENT_UPLOAD_PREFIX = "U#"
SHARD_PREFIX = "C#"
MAX_KEY_TEXT_BYTES = 1_000
"""Bytes of a name or an id in a key: DynamoDB takes 1,024 in a sort key, and no name or id of ours comes near."""
QUOTA_LIMITS = ("max_bytes", "max_uploads", "max_file_bytes")
QUOTA_USAGE = ("used_bytes", "open_uploads")
_RECORD_SORT_KEY = "S"
_CHUNK_DIGEST_PREFIX = "d"
_CRC_BYTES = 4

_RECORD_FIELDS = (
    *(
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
    ),
    *(
        "replace_existing",
        "multipart_id",
        "lease_id",
        "lease_expires_at",
        "first_leased_at",
        "lease_replace_existing",
        "lease_crc32c",
    ),
    *("replaced_upload_id", "ended_at", "purged", "version"),
)
_FILE_FIELDS = (
    *("upload_id", "size", "etag", "crc32c", "content_type", "metadata", "fingerprint"),
    *("uploaded_at", "last_modified_seconds"),
)
_STORED_OBJECT_FIELDS = ("etag", "size", "crc32c", "last_modified_seconds")
_SHARD_FIELDS = ("last_activity_at", "received_bytes", "epoch", "version")


# Keys


def names_pk(ns: str) -> str:
    """The partition of a namespace's files and slots."""
    return f"N#{ns}"


def file_key(ns: str, name: str) -> Key:
    return names_pk(ns), FILE_PREFIX + name


def current_upload_key(ns: str, name: str) -> Key:
    return names_pk(ns), CURRENT_UPLOAD_PREFIX + name


def quota_key(ns: str) -> Key:
    """A partition of its own: it is written to more than all the names."""
    return f"Q#{ns}", "Q"


def quota_from_row(row: Row) -> Quota:
    return Quota(**{name: row[name] for name in (*QUOTA_LIMITS, *QUOTA_USAGE) if name in row})


def upload_pk(upload_id: str) -> str:
    """The partition of a session and its stripes."""
    return f"U#{upload_id}"


def record_key(upload_id: str) -> Key:
    return upload_pk(upload_id), _RECORD_SORT_KEY


def shard_key(upload_id: str, shard_index: int) -> Key:
    return upload_pk(upload_id), f"{SHARD_PREFIX}{shard_index}"


def chunk_digest_pks(upload_id: str) -> list[str]:
    """The partitions of an upload's claims: several, so that no key gets all the writes."""
    return [f"{upload_pk(upload_id)}#{rest}" for rest in range(CHUNK_DIGEST_PARTITIONS)]


def chunk_digest_key(upload_id: str, part_number: int) -> Key:
    return chunk_digest_pks(upload_id)[part_number % CHUNK_DIGEST_PARTITIONS], str(part_number)


def task_key(kind: CleanupTaskKind, subject: str) -> Key:
    """The row that an entry of the index stands for."""
    return record_key(subject) if kind is CleanupTaskKind.UPLOAD else (f"T#{kind.value}#{subject}", "T")


def due_shard_for(subject: str) -> str:
    return str(zlib.crc32(subject.encode()) % DUE_SHARDS)


# Rows of names


def file_to_row(file: File) -> Row:
    return _key_attributes(file_key(file.ns, file.name)) | _file_attributes(file)


def file_from_row(row: Row) -> File:
    return _file_from_attributes(row, ns=row["pk"].removeprefix("N#"), name=row["sk"].removeprefix(FILE_PREFIX))


def current_upload_to_row(current_upload: CurrentUpload) -> Row:
    return _key_attributes(current_upload_key(current_upload.ns, current_upload.name)) | {
        "upload_id": current_upload.upload_id,
        "in_progress": current_upload.in_progress or None,
    }


def current_upload_from_row(row: Row) -> CurrentUpload:
    name = row["sk"].removeprefix(CURRENT_UPLOAD_PREFIX)
    return CurrentUpload(
        row["pk"].removeprefix("N#"), name, row["upload_id"], in_progress=row.get("in_progress", False)
    )


# Rows of an upload


def record_to_row(record: UploadRecord, due_at: int) -> Row:
    grid = record.layout
    return {
        **_key_attributes(record_key(record.upload_id)),
        **{name: getattr(record, name) for name in _RECORD_FIELDS},
        "size": grid.size,
        "chunk_size": grid.chunk_size,
        "chunks_per_part": grid.chunks_per_part,
        "state": record.state.value,
        "event_pending": record.event_pending or None,
        "counted_in_quota": record.counted_in_quota or None,
        "stored_object": record.stored_object and stored_object_attributes(record.stored_object),
        "file": record.file and _file_attributes(record.file),
        **schedule_attributes(record.upload_id, due_at),
    }


def record_from_row(row: Row) -> UploadRecord:
    plain = {name: row[name] for name in _RECORD_FIELDS if name in row}
    made, answer = row.get("stored_object"), row.get("file")
    return UploadRecord(
        **plain,
        layout=ChunkLayout(row["size"], row["chunk_size"], row["chunks_per_part"]),
        state=UploadState(row["state"]),
        event_pending=row.get("event_pending", False),
        counted_in_quota=row.get("counted_in_quota", False),
        stored_object=StoredObject(*(made.get(name) for name in _STORED_OBJECT_FIELDS)) if made else None,
        file=_file_from_attributes(answer, ns=row["ns"], name=row["name"]) if answer else None,
    )


def stored_object_attributes(stored_object: StoredObject) -> dict[str, Any]:
    return {name: getattr(stored_object, name) for name in _STORED_OBJECT_FIELDS}


def record_file_attributes(file: File) -> dict[str, Any]:
    """A finished file inside its session, which has the namespace and the name already."""
    return _file_attributes(file)


def shard_to_row(upload_id: str, shard: ProgressShard, ttl_epoch_seconds: int) -> Row:
    return {
        **_key_attributes(shard_key(upload_id, shard.index)),
        **{name: getattr(shard, name) for name in _SHARD_FIELDS},
        "open": shard.open or None,
        "has_presigned_parts": shard.has_presigned_parts or None,
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
        bits=int.from_bytes(row.get("bits", b""), "little"),
        recent_bits=row.get("recent_bits", frozenset()),
        previous_bits=row.get("previous_bits", frozenset()),
        **{name: row[name] for name in _SHARD_FIELDS},
    )


def bits_to_bytes(bits: int) -> bytes:
    """A bitmap as bytes, bit 0 lowest in the first."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def upload_from_rows(rows: Iterable[Row]) -> Upload | None:
    """The rows of one `U#<id>` partition, in any order; None when the session is not among them."""
    sessions: list[UploadRecord] = []
    stripes: list[ProgressShard] = []
    for row in rows:
        if row["sk"].startswith(SHARD_PREFIX):
            stripes.append(shard_from_row(row))
        elif row["sk"] == _RECORD_SORT_KEY:  # a made-up id may name another partition
            sessions.append(record_from_row(row))
    return Upload(sessions[0], tuple(sorted(stripes, key=lambda stripe: stripe.index))) if sessions else None


def chunk_digest_name(chunk_index: int) -> str:
    """The attribute of a PART row that holds the claim of chunk `index`."""
    return f"{_CHUNK_DIGEST_PREFIX}{chunk_index}"


def chunk_digest_to_bytes(chunk_digest: ChunkDigest) -> bytes:
    return chunk_digest.sha256_prefix + chunk_digest.crc32c.to_bytes(_CRC_BYTES, "big")


def chunk_digests_from_row(row: Row) -> dict[int, ChunkDigest]:
    return {
        int(name.removeprefix(_CHUNK_DIGEST_PREFIX)): ChunkDigest(
            value[:-_CRC_BYTES], int.from_bytes(value[-_CRC_BYTES:], "big")
        )
        for name, value in row.items()
        if isinstance(value, bytes)
    }


# What is due


def schedule_attributes(subject: str, due_at: int) -> dict[str, Any]:
    """What puts a row on the index."""
    return {"due_at": due_at, "due_shard": due_shard_for(subject)}


UNSCHEDULED: dict[str, None] = {"due_at": None, "due_shard": None}
"""What takes a row off the index."""


def task_to_row(task: CleanupTask) -> Row:
    return _key_attributes(task_key(task.kind, task.subject)) | schedule_attributes(task.subject, task.due_at)


def deleted_file_key(upload_id: str) -> Key:
    return task_key(CleanupTaskKind.DELETION_EVENT, upload_id)


def deleted_file_to_row(deleted_file: DeletedFile, due_at: int) -> Row:
    """The note of a deletion that has not been told: all that is known of the file by then."""
    file = deleted_file.file
    entry = CleanupTask(CleanupTaskKind.DELETION_EVENT, file.upload_id, due_at)
    return (
        task_to_row(entry)
        | _file_attributes(file)
        | {"ns": file.ns, "name": file.name, "deleted_at": deleted_file.deleted_at}
    )


def deleted_file_from_row(row: Row) -> DeletedFile:
    return DeletedFile(_file_from_attributes(row, ns=row["ns"], name=row["name"]), row["deleted_at"])


def object_to_row(upload_id: str, owner: tuple[str, str] | None, due_at: int | None) -> Row:
    """What is known of an object: whose file it was made for, and when it is due, if it is."""
    row = _key_attributes(task_key(CleanupTaskKind.OBJECT, upload_id))
    if owner is not None:
        row["ns"], row["name"] = owner
    return row if due_at is None else row | schedule_attributes(upload_id, due_at)


def owner_from_row(row: Row) -> tuple[str, str, str | None]:
    """The object's upload id, and the namespace and the name of its file, empty and None where there is none."""
    return row["pk"].rpartition("#")[2], row.get("ns", ""), row.get("name")


def orphan_scan_to_row(scan: OrphanScan) -> Row:
    values = {"started_at": scan.started_at, "phase": scan.phase.value, "cursor": scan.cursor, "version": scan.version}
    return _key_attributes(ORPHAN_SCAN_KEY) | values


def orphan_scan_from_row(row: Row) -> OrphanScan:
    return OrphanScan(row["started_at"], OrphanScanPhase(row["phase"]), row.get("cursor"), row["version"])


def task_from_row(row: Row) -> CleanupTask:
    """An entry of the index, from the keys that it projects."""
    head, _, rest = row["pk"].partition("#")
    if head == "U":
        return CleanupTask(CleanupTaskKind.UPLOAD, rest, row["due_at"])
    kind, _, subject = rest.partition("#")
    return CleanupTask(CleanupTaskKind(kind), subject, row["due_at"])


def _key_attributes(key: Key) -> Row:
    return {"pk": key[0], "sk": key[1]}


def _file_attributes(file: File) -> dict[str, Any]:
    return {name: getattr(file, name) for name in _FILE_FIELDS} | {"counted_in_quota": file.counted_in_quota or None}


def _file_from_attributes(row: Row, *, ns: str, name: str) -> File:
    plain: dict[str, Any] = {attribute: row.get(attribute) for attribute in _FILE_FIELDS}
    return File(ns=ns, name=name, counted_in_quota=row.get("counted_in_quota", False), **plain)
