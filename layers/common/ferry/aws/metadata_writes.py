"""Writes that several transactions on the metadata table contain (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ferry.aws import file_rows
from ferry.aws import metadata_rows as rows
from ferry.aws.expressions import Write, put, update
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.files import CompletionEvent, DeletedFile, File, IfExists
from ferry.model.uploads import Upload, UploadRecord, UploadState

if TYPE_CHECKING:
    from ferry.model.events import PendingEvent
    from ferry.model.progress import ProgressShard
    from ferry.model.quotas import Quota
    from ferry.model.starts import RenamedStart


def record_transition(
    upload_id: str,
    changes: Mapping[str, Any],
    condition: str,
    values: Mapping[str, Any],
    *,
    extra_sets: Sequence[str] = (),
) -> Write:
    """Return a change of the upload record that increments its version."""
    return update(
        rows.record_key(upload_id),
        changes,
        adds={"version": 1},
        extra_sets=extra_sets,
        condition=condition,
        values=values,
    )


def transition_under_lease(upload_id: str, lease_id: str, changes: Mapping[str, Any]) -> Write:
    """Return a change of the upload record, conditional on its lease."""
    values = {"completing": UploadState.COMPLETING.value, "lease_id": lease_id}
    return record_transition(upload_id, changes, "#state = :completing AND #lease_id = :lease_id", values)


def lease_fields(
    lease_id: str, expires_at: int, if_exists: IfExists, crc32c: int | None, if_match: str | None = None
) -> dict[str, Any]:
    """Return the changes of an upload record that is completing under a lease, without `first_leased_at`."""
    return {
        "state": UploadState.COMPLETING.value,
        "lease_id": lease_id,
        "lease_expires_at": expires_at,
        "lease_if_exists": if_exists.value,
        "lease_if_match": if_match,
        "lease_crc32c": crc32c,
        "due_at": expires_at,
    }


def release_name(record: UploadRecord, ttl_epoch_seconds: int) -> list[Write]:
    """Return the write that records that the name's upload is no longer in progress; none for a partial upload."""
    if record.is_partial:
        return []
    if record.sequential is not None:
        return [remove_sequential_id(record)]
    return [
        update(
            rows.current_upload_key(record.ns, record.name),
            {"in_progress": None, "ttl": ttl_epoch_seconds},
            condition="#upload_id = :upload_id",
            values={"upload_id": record.upload_id},
        )
    ]


def add_sequential_id(record: UploadRecord, ttl_epoch_seconds: int) -> Write:
    """Return the write that adds an upload to the open sequential uploads of its name.

    The row outlives every upload in it, because each creation sets the TTL anew.
    """
    return update(
        rows.sequential_key(record.ns, record.name),
        {"ttl": ttl_epoch_seconds},
        adds={"upload_ids": frozenset({record.upload_id})},
        condition="",
    )


def remove_sequential_id(record: UploadRecord) -> Write:
    """Return the write that removes an upload from the open sequential uploads of its name."""
    return update(
        rows.sequential_key(record.ns, record.name),
        set_deletes={"upload_ids": frozenset({record.upload_id})},
        condition="",
    )


def counted_unchanged(*, counted_in_quota: bool) -> str:
    """Return the condition that a row is counted in the quota exactly if it was when it was read."""
    return "attribute_exists(#counted_in_quota)" if counted_in_quota else "attribute_not_exists(#counted_in_quota)"


def file_unchanged(file: File) -> tuple[str, dict[str, Any]]:
    """Return the condition, and its values, that a name's file is this one, unchanged since it was read."""
    values: dict[str, Any] = {"file_id": file.upload_id}
    revision_unchanged = "attribute_not_exists(#revision)"  # that is 1
    if file.revision != 1:
        revision_unchanged = "#revision = :file_revision"
        values["file_revision"] = file.revision
    counted = counted_unchanged(counted_in_quota=file.counted_in_quota)
    return f"#upload_id = :file_id AND {revision_unchanged} AND {counted}", values


def take_file_away(file: File, *, deleted_at: int, object_due_at: int) -> list[Write]:
    """Return the writes, beside that of the name's row, of a transaction that replaces or deletes a file.

    They store the deleted file, which can be restored until its object is due, and schedule the object. If the
    completion of the file is still to be published, its task stays due for that; the object is deleted afterwards.
    """
    owner_and_schedule = {
        "ns": file.ns,
        "name": file.name,
        "delete_at": object_due_at,
        "deleted_at": deleted_at,
        "due_shard": rows.due_shard_for(file.upload_id),
    }
    return [
        put(file_rows.deleted_file_to_row(DeletedFile(file, deleted_at, object_due_at))),
        update(
            rows.task_key(CleanupTaskKind.OBJECT, file.upload_id),
            owner_and_schedule,
            extra_sets=["#due_at = if_not_exists(#event_due_at, :object_due_at)"],
            condition="",
            values={"object_due_at": object_due_at},
        ),
    ]


def name_moved_object(file: File) -> Write:
    """Return the write that gives the object of a moved file its new owner. What is pending stays pending."""
    return update(
        rows.task_key(CleanupTaskKind.OBJECT, file.upload_id), {"ns": file.ns, "name": file.name}, condition=""
    )


def keep_restored_object(file: File, *, event_is_pending: bool) -> Write:
    """Return the write that keeps the object of a restored file. A pending completion stays due."""
    changes: dict[str, Any] = {"ns": file.ns, "name": file.name, "delete_at": None, "deleted_at": None}
    if event_is_pending:
        return update(
            rows.task_key(CleanupTaskKind.OBJECT, file.upload_id), changes, condition="attribute_exists(#event)"
        )
    return update(
        rows.task_key(CleanupTaskKind.OBJECT, file.upload_id),
        changes | rows.UNSCHEDULED,
        condition="attribute_not_exists(#event)",
    )


def put_name(file: File, replaced_file: File | None) -> Write:
    """Return the write that makes a file the current one of its name, if the name's file is as it was read."""
    if replaced_file is None:
        return put(rows.file_to_row(file), "attribute_not_exists(#pk)")
    return put(rows.file_to_row(file), *file_unchanged(replaced_file))


def store_event(pending_event: PendingEvent | None) -> list[Write]:
    """Return the write, if there is an event, that stores it in the outbox."""
    return [] if pending_event is None else [put(file_rows.file_event_to_row(pending_event))]


def keep_object(
    file: File, replaced_file: File | None, *, announced_due_at: int, publish_deadline: int | None
) -> Write:
    """Return the write that turns the task of an announced object into the row of a file's object."""
    changes: dict[str, Any] = dict(rows.UNSCHEDULED)
    if publish_deadline is not None:
        event = CompletionEvent(file, replaced_file.upload_id if replaced_file else None)
        changes = {
            "event": file_rows.completion_event_attributes(event),
            "event_due_at": publish_deadline,
            "due_at": publish_deadline,
        }
    return update(
        rows.task_key(CleanupTaskKind.OBJECT, file.upload_id),
        changes,
        condition="#due_at = :announced_due_at",
        values={"announced_due_at": announced_due_at},
    )


def put_usage(file: File, replaced_file: File | None, quota: Quota | None) -> list[Write]:
    """Return the write, if one is needed, that adds a file to the usage within the limits, without the replaced file.

    A file that makes the usage smaller is within every limit.
    """
    added_bytes = file.counted_bytes - (0 if replaced_file is None else replaced_file.counted_bytes)
    return _add_bytes(file.ns, added_bytes, quota)


def reserve_quota(record: UploadRecord, quota: Quota) -> Write:
    """Return the write that adds a new upload to the usage if the limits of `quota` leave room."""
    size = record.layout.size
    conditions, values = ["attribute_exists(#pk)"], {}
    if quota.max_bytes is not None:
        conditions.append("#used_bytes <= :max_used_bytes")
        values["max_used_bytes"] = quota.max_bytes - size
    if quota.max_uploads is not None:
        conditions.append("#open_uploads < :max_uploads")
        values["max_uploads"] = quota.max_uploads
    return _update_usage(record.ns, size, 1, " AND ".join(conditions), values)


def reserve_growth(record: UploadRecord, added_bytes: int, quota: Quota | None) -> list[Write]:
    """Return the write, if one is needed, that adds bytes of a counted upload to the usage within the limits."""
    return _add_bytes(record.ns, added_bytes, quota) if record.counted_in_quota else []


def _add_bytes(ns: str, added_bytes: int, quota: Quota | None) -> list[Write]:
    if not added_bytes:
        return []
    if added_bytes < 0 or quota is None or quota.max_bytes is None:
        return [add_usage(ns, added_bytes, 0)]
    condition = "attribute_exists(#pk) AND #used_bytes <= :max_used_bytes"
    return [_update_usage(ns, added_bytes, 0, condition, {"max_used_bytes": quota.max_bytes - added_bytes})]


def add_usage(ns: str, size: int, uploads: int) -> Write:
    """Return the write that adds to the usage without regard to the limits."""
    return _update_usage(ns, size, uploads, "attribute_exists(#pk)")


def put_renamed_start(start: RenamedStart, expected: RenamedStart | None, ttl_epoch_seconds: int) -> Write:
    """Return the write that stores a start, if it created no other upload than that of `expected`."""
    row = file_rows.renamed_start_to_row(start, ttl_epoch_seconds)
    if expected is None:
        return put(row, "attribute_not_exists(#pk)")
    return put(row, "#upload_id = :expected_upload", {"expected_upload": expected.upload_id})


def release_usage(record: UploadRecord) -> list[Write]:
    """Return the write, if the upload is counted, that removes it from the usage."""
    return [_update_usage(record.ns, -record.layout.size, -1)] if record.counted_in_quota else []


def convert_usage(record: UploadRecord, replaced_file: File | None) -> list[Write]:
    """Return the write, if one is needed, for an upload that becomes a file.

    The upload's bytes stay in the usage, as those of the file. The replaced file's bytes are removed.
    """
    freed_bytes = 0 if replaced_file is None else replaced_file.counted_bytes
    if not freed_bytes and not record.counted_in_quota:
        return []
    return [_update_usage(record.ns, -freed_bytes, -int(record.counted_in_quota))]


def free_usage(file: File) -> list[Write]:
    """Return the write, if the file is counted, that removes it from the usage."""
    return [_update_usage(file.ns, -file.size, 0)] if file.counted_in_quota else []


def _update_usage(
    ns: str, size: int, uploads: int, condition: str = "", values: Mapping[str, Any] | None = None
) -> Write:
    return update(
        rows.quota_key(ns), adds={"used_bytes": size, "open_uploads": uploads}, condition=condition, values=values
    )


def pending_event_fields(upload_id: str, publish_deadline: int | None, ttl_epoch_seconds: int) -> dict[str, Any]:
    """Return the changes of a complete upload: due if its event is pending, otherwise with a TTL."""
    if publish_deadline is None:
        return {"event_pending": None, "ttl": ttl_epoch_seconds, **rows.UNSCHEDULED}
    return {"event_pending": True, **rows.schedule_attributes(upload_id, publish_deadline)}


def record_chunk(
    upload_id: str, expected: ProgressShard, bit: int, length_bytes: int, *, require_no_presigned: bool, now: int
) -> Write:
    """Return the write of `UploadRepository.record_chunk`."""
    compacts = expected.needs_compaction
    changes: dict[str, Any] = {"last_activity_at": now}
    adds: dict[str, Any] = {"received_bytes": length_bytes, "version": 1}
    extra_sets = []
    if compacts:
        changes |= {
            "bits": rows.bits_to_bytes(expected.compacted_bits),
            "recent_bits": {bit},
            "epoch": expected.epoch + 1,
        }
        # `previous_bits` gets the old `recent_bits`: SET reads the row from before the update.
        extra_sets = ["#previous_bits = #recent_bits"]
    else:
        adds["recent_bits"] = {bit}
    condition = (
        "attribute_exists(#open) AND #epoch BETWEEN :epoch AND :max_epoch "
        "AND NOT contains(#recent_bits, :bit) AND NOT contains(#previous_bits, :bit)"
    )
    if require_no_presigned:
        condition += " AND attribute_not_exists(#has_presigned_parts)"
    # New bits go into `recent_bits`. A compaction moves them to `previous_bits`, and the next one to `bits`.
    # The condition checks `recent_bits` and `previous_bits`, so one compaction since the read is harmless.
    max_epoch = expected.epoch if compacts else expected.epoch + 1
    return update(
        rows.shard_key(upload_id, expected.index),
        changes,
        adds=adds,
        extra_sets=extra_sets,
        condition=condition,
        values={"epoch": expected.epoch, "max_epoch": max_epoch, "bit": bit},
    )


def touch_shard(upload_id: str, expected: ProgressShard, now: int, *, has_presigned_parts: bool = False) -> Write:
    """Return the write that records activity in a shard, and that parts are presigned.

    A shard that was read as closed must be unchanged since then: its epoch grows when it is opened or closed.
    """
    changes = {"last_activity_at": now} | ({"has_presigned_parts": True} if has_presigned_parts else {})
    key = rows.shard_key(upload_id, expected.index)
    if expected.open or has_presigned_parts:
        return update(key, changes, adds={"version": 1}, condition="attribute_exists(#open)")
    condition = "attribute_not_exists(#open) AND #epoch = :epoch"
    return update(key, changes, adds={"version": 1}, condition=condition, values={"epoch": expected.epoch})


def close_shards(
    upload: Upload, *, unchanged_attribute: Literal["", "last_activity_at", "version"] = "", now: int | None = None
) -> Iterator[Write]:
    """Yield the writes that close every shard. The new epoch fences out writers that read the shard before.

    Args:
        upload: the upload as it was read.
        unchanged_attribute: the writes are conditional on this attribute, as it was read.
        now: the time of the activity to record, in epoch milliseconds; None: none.
    """
    changes = {"open": None} if now is None else {"open": None, "last_activity_at": now}
    for shard in upload.shards:
        yield update(
            rows.shard_key(upload.record.upload_id, shard.index),
            changes,
            adds={"epoch": 2},
            condition=f"#{unchanged_attribute} = :read" if unchanged_attribute else "attribute_exists(#pk)",
            values={"read": getattr(shard, unchanged_attribute)} if unchanged_attribute else None,
        )


def reopen_shards(upload: Upload, lost_chunks: Iterable[int]) -> Iterator[Write]:
    """Yield the writes that open every shard again, without the lost chunks.

    The bitmap of a shard with lost chunks is replaced, so that write is conditional on the epoch as it was read.
    """
    layout = upload.record.layout
    lost_by_shard: dict[int, list[int]] = {}
    for chunk_index in sorted(set(lost_chunks)):
        if upload.has_chunk(chunk_index):
            lost_by_shard.setdefault(upload.shard_for_chunk(chunk_index).index, []).append(chunk_index)
    for shard in upload.shards:
        key = rows.shard_key(upload.record.upload_id, shard.index)
        adds = {"epoch": 2, "version": 1}
        lost = lost_by_shard.get(shard.index)
        if not lost:
            yield update(key, {"open": True}, adds=adds, condition="attribute_exists(#pk)")
            continue
        bits = shard.all_bits
        for chunk_index in lost:
            bits &= ~(1 << layout.bit_for_chunk(chunk_index))
        changes = {"open": True, "bits": rows.bits_to_bytes(bits), "recent_bits": None, "previous_bits": None}
        adds["received_bytes"] = -sum(map(layout.chunk_length, lost))
        yield update(key, changes, adds=adds, condition="#epoch = :epoch", values={"epoch": shard.epoch})
