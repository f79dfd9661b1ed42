"""Record a file that came by a link: in the link's activity and counters (docs/decisions/0014).

Completions of all uploads import this module, so it imports the code of links only for an upload that came by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.model.files import File
from ferry.model.uploads import UploadRecord

if TYPE_CHECKING:
    from ferry.ports.link_repository import LinkRepository
    from ferry.services import Services


def record_result(services: Services, record: UploadRecord, result: object) -> None:
    """Record the result of a completion if it is a file that came by a link. Repeating it changes nothing.

    Raises:
        BackendUnavailable: a backend failed. A repeated completion, or cleanup, records the file.
    """
    if record.link_id is not None and isinstance(result, File):
        record_upload(services.link_repository(), record, result)


def record_upload(repository: LinkRepository, record: UploadRecord, file: File) -> None:
    """Record a file that came by a link, then turn its reservation into a file. Repeating it changes nothing."""
    if record.link_id is None:
        return
    from ferry.model.links import Activity, ActivityAction
    from ferry.rules.networks import UNKNOWN_NETWORK

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
