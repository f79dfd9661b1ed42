"""The writes that several of the ledger's transactions are made of (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ferry.aws import metadata_rows as rows
from ferry.aws.expressions import Write, update
from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import Upload, UploadRecord, UploadState


def record_transition(
    upload_id: str,
    changes: Mapping[str, Any],
    condition: str,
    values: Mapping[str, Any],
    *,
    extra_sets: Sequence[str] = (),
) -> Write:
    """A transition of the session: its version grows."""
    return update(
        rows.record_key(upload_id),
        changes,
        adds={"version": 1},
        extra_sets=extra_sets,
        condition=condition,
        values=values,
    )


def transition_under_lease(upload_id: str, lease_id: str, changes: Mapping[str, Any]) -> Write:
    given = {"completing": UploadState.COMPLETING.value, "mine": lease_id}
    return record_transition(upload_id, changes, "#state = :completing AND #lease_id = :mine", given)


def release_name(record: UploadRecord, ttl_epoch_seconds: int) -> Write:
    """The slot is no longer in progress."""
    key = rows.current_upload_key(record.ns, record.name)
    return update(
        key,
        {"in_progress": None, "ttl": ttl_epoch_seconds},
        condition="#upload_id = :mine",
        values={"mine": record.upload_id},
    )


def counted_unchanged(*, counted_in_quota: bool) -> str:
    """The condition that a row is counted if it was when it was read."""
    return "attribute_exists(#counted_in_quota)" if counted_in_quota else "attribute_not_exists(#counted_in_quota)"


def file_unchanged(file: File) -> tuple[str, dict[str, Any]]:
    """The condition that a name points to this file, counted or not as it was read."""
    return f"#upload_id = :seen AND {counted_unchanged(counted_in_quota=file.counted_in_quota)}", {
        "seen": file.upload_id
    }


def reserve_quota(record: UploadRecord, quota: Quota) -> Write:
    """An upload begins: it and its bytes are counted, if both are within the limits then."""
    size, given, limits = record.layout.size, {}, ["attribute_exists(#pk)"]
    if quota.max_bytes is not None:
        given["room"] = quota.max_bytes - size
        limits.append("#used_bytes <= :room")
    if quota.max_uploads is not None:
        given["max_uploads"] = quota.max_uploads
        limits.append("#open_uploads < :max_uploads")
    return _update_usage(record.ns, size, 1, " AND ".join(limits), given)


def add_usage(ns: str, size: int, uploads: int) -> Write:
    """Counted later than it came, beyond the limits too."""
    return _update_usage(ns, size, uploads, "attribute_exists(#pk)")


def release_usage(record: UploadRecord) -> list[Write]:
    """An upload ends and leaves nothing."""
    return [_update_usage(record.ns, -record.layout.size, -1)] if record.counted_in_quota else []


def convert_usage(record: UploadRecord, replaced_file: File | None) -> list[Write]:
    """An upload becomes a file: its bytes stay, those of the file that it replaces go."""
    freed = replaced_file.size if replaced_file is not None and replaced_file.counted_in_quota else 0
    return [_update_usage(record.ns, -freed, -int(record.counted_in_quota))] if freed or record.counted_in_quota else []


def free_usage(file: File) -> list[Write]:
    """A file goes."""
    return [_update_usage(file.ns, -file.size, 0)] if file.counted_in_quota else []


def _update_usage(
    ns: str, size: int, uploads: int, condition: str = "", values: Mapping[str, Any] | None = None
) -> Write:
    return update(
        rows.quota_key(ns), adds={"used_bytes": size, "open_uploads": uploads}, condition=condition, values=values
    )


def pending_event_fields(upload_id: str, publish_deadline: int | None, ttl_epoch_seconds: int) -> dict[str, Any]:
    """Of a session that is complete: due while its event is to be told, else to be forgotten one day."""
    if publish_deadline is None:
        return {"event_pending": None, "ttl": ttl_epoch_seconds, **rows.UNSCHEDULED}
    return {"event_pending": True, **rows.schedule_attributes(upload_id, publish_deadline)}


def touch_shard(upload_id: str, shard_index: int, now: int, *, has_presigned_parts: bool = False) -> Write:
    changes = {"last_activity_at": now} | ({"has_presigned_parts": True} if has_presigned_parts else {})
    key = rows.shard_key(upload_id, shard_index)
    return update(key, changes, adds={"version": 1}, condition="attribute_exists(#open)")


def close_shards(
    upload: Upload, *, unchanged_attribute: Literal["", "last_activity_at", "version"] = ""
) -> Iterator[Write]:
    """Every stripe closed, late writes fenced out; not if `unless` has changed since the read."""
    for row in upload.shards:
        yield update(
            rows.shard_key(upload.record.upload_id, row.index),
            {"open": None},
            adds={"epoch": 2},
            condition=f"#{unchanged_attribute} = :seen" if unchanged_attribute else "attribute_exists(#pk)",
            values={"seen": getattr(row, unchanged_attribute)} if unchanged_attribute else None,
        )


def reopen_shards(upload: Upload, lost_chunks: Iterable[int]) -> Iterator[Write]:
    """Every stripe open again; those that forget chunks only if they are as they were read."""
    grid = upload.record.layout
    lost: dict[int, list[int]] = {}
    for index in sorted(set(lost_chunks)):
        if upload.has_chunk(index):
            lost.setdefault(upload.shard_for_chunk(index).index, []).append(index)
    for row in upload.shards:
        key = rows.shard_key(upload.record.upload_id, row.index)
        adds = {"epoch": 2, "version": 1}
        if row.index not in lost:
            yield update(key, {"open": True}, adds=adds, condition="attribute_exists(#pk)")
            continue
        bits = row.all_bits
        for index in lost[row.index]:
            bits &= ~(1 << grid.bit_for_chunk(index))
        adds["received_bytes"] = -sum(grid.chunk_length(index) for index in lost[row.index])
        changes = {"open": True, "bits": rows.bits_to_bytes(bits), "recent_bits": None, "previous_bits": None}
        yield update(key, changes, adds=adds, condition="#epoch = :seen", values={"seen": row.epoch})
