"""The rows of the ledger in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from ferry.model.cleanup import CleanupTaskKind, OrphanScan
from ferry.model.files import DeletedFile, File
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, ProgressShard, UploadRecord

NameKey = tuple[str, str]


@dataclass
class Rows:
    """All that a ledger holds. `dues` are what the index shows, `ttls` what DynamoDB would delete one day, `objects`
    whose file each object is that has a row.
    """

    files: dict[NameKey, File] = field(default_factory=dict)
    current_uploads: dict[NameKey, CurrentUpload] = field(default_factory=dict)
    records: dict[str, UploadRecord] = field(default_factory=dict)
    shards: dict[str, dict[int, ProgressShard]] = field(default_factory=dict)
    chunk_digests: dict[str, dict[int, dict[int, ChunkDigest]]] = field(default_factory=dict)
    task_due_times: dict[tuple[CleanupTaskKind, str], int] = field(default_factory=dict)
    ttls: dict[tuple[str, ...], int] = field(default_factory=dict)
    object_owners: dict[str, NameKey | None] = field(default_factory=dict)
    deleted_files: dict[str, DeletedFile] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    orphan_scan: OrphanScan | None = None
