"""Record a file that came by a link: in the link's activity and counters (docs/decisions/0014)."""

from __future__ import annotations

from ferry.model.files import File
from ferry.model.links import Activity, ActivityAction
from ferry.model.uploads import UploadRecord
from ferry.ports.link_repository import LinkRepository
from ferry.rules.networks import UNKNOWN_NETWORK


def record_upload(repository: LinkRepository, record: UploadRecord, file: File) -> None:
    """Record a file that came by a link, then turn its reservation into a file. Repeating it changes nothing."""
    if record.link_id is None:
        return
    activity = Activity(
        file.uploaded_at,
        ActivityAction.UPLOAD,
        record.link_network or UNKNOWN_NETWORK,
        record.upload_id,
        filename=file.name,
        size=file.size,
    )
    repository.add_activity(record.link_id, activity)
    repository.settle_upload(record.link_id, record.upload_id, size=record.layout.size)
