"""The rows of the metadata table in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from ferry.model.cleanup import CleanupTaskKind, OrphanScan
from ferry.model.events import Event
from ferry.model.files import CompletionEvent, DeletedFile, File
from ferry.model.links import Activity, DownloadClaim, Link, LinkUsage
from ferry.model.progress import ProgressShard
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, UploadRecord

NameKey = tuple[str, str]
"""Namespace and filename."""


@dataclass
class Rows:
    """All rows, by kind."""

    files: dict[NameKey, File] = field(default_factory=dict)
    """Files by name."""

    current_uploads: dict[NameKey, CurrentUpload] = field(default_factory=dict)
    """Current uploads by name."""

    sequential_ids: dict[NameKey, set[str]] = field(default_factory=dict)
    """Ids of open sequential uploads by name."""

    records: dict[str, UploadRecord] = field(default_factory=dict)
    """Upload records by upload id."""

    shards: dict[str, dict[int, ProgressShard]] = field(default_factory=dict)
    """Progress shards by upload id and index."""

    chunk_digests: dict[str, dict[int, dict[int, ChunkDigest]]] = field(default_factory=dict)
    """Chunk digests by upload id, part number and chunk index."""

    presigned_parts: set[tuple[str, int]] = field(default_factory=set)
    """Upload ids and numbers of parts that were presigned while they lacked one chunk."""

    task_due_times: dict[tuple[CleanupTaskKind, str], int] = field(default_factory=dict)
    """The index of due tasks: epoch milliseconds by task kind and upload id."""

    ttls: dict[tuple[str, ...], int] = field(default_factory=dict)
    """TTLs in epoch seconds: of records by `(upload id,)`, of current uploads by name. Nothing expires here."""

    object_owners: dict[str, NameKey | None] = field(default_factory=dict)
    """The name of the file of each object that has a row (None: unknown), by upload id."""

    object_delete_times: dict[str, int] = field(default_factory=dict)
    """When the objects of replaced and deleted files are deleted, by upload id."""

    completion_events: dict[str, CompletionEvent] = field(default_factory=dict)
    """Pending completions of files that one request stored whole, by upload id."""

    object_deleted_at: dict[str, int] = field(default_factory=dict)
    """When the files of objects were replaced or deleted, in epoch milliseconds, by upload id."""

    deleted_files: dict[NameKey, DeletedFile] = field(default_factory=dict)
    """Files that can be restored, by namespace and position (`ferry.rules.listing.deleted_file_position`)."""

    file_events: dict[str, Event] = field(default_factory=dict)
    """Pending events of files, by the id of the event."""

    renamed_starts: dict[str, str] = field(default_factory=dict)
    """The uploads that starts under `rename` began, by the id of the start."""

    quotas: dict[str, Quota] = field(default_factory=dict)
    """Quotas by namespace."""

    links: dict[str, Link] = field(default_factory=dict)
    """Links by link id."""

    link_usages: dict[str, LinkUsage] = field(default_factory=dict)
    """The counters of links, by link id."""

    link_claims: dict[str, set[DownloadClaim]] = field(default_factory=dict)
    """The tokens and files whose downloads are counted, by link id."""

    link_activities: dict[str, dict[tuple[int, str], Activity]] = field(default_factory=dict)
    """The activity of links, by link id, then by time and unique id."""

    link_attempts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Attempts at passwords and when their window ends, by link id and network."""

    orphan_scan: OrphanScan | None = None
    """The state of the orphan scan."""

    def copy(self) -> Rows:
        """Return a copy. The values are immutable, so that the copy shares them."""
        return Rows(**{each.name: _copy_containers(getattr(self, each.name)) for each in fields(self)})


def _copy_containers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy_containers(member) for key, member in value.items()}
    return set(value) if isinstance(value, set) else value
