"""Delete a sequential upload: cancel it, or forget it once it is complete."""

from __future__ import annotations

from dataclasses import replace

from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadState
from ferry.ports.retry import retry_on_conflict
from ferry.resumable.lookup import find_sequential
from ferry.services import Services
from ferry.uploads.cancel import cancel_upload


def delete(services: Services, ns: str, upload_id: str, protocol: Protocol | None = None) -> str | None:
    """Delete an upload. It is not found from then on. Return the name of its file, which stays; None without a file.

    Raises:
        UploadNotFound, UploadExpired: there is no such upload any more.
        CompletionInProgress: its file is being completed.
    """
    return retry_on_conflict(lambda: _try_delete(services, ns, upload_id, protocol))


def _try_delete(services: Services, ns: str, upload_id: str, protocol: Protocol | None) -> str | None:
    upload, state = find_sequential(services, ns, upload_id, protocol)
    record = upload.record
    if record.state is not UploadState.COMPLETE:
        cancel_upload(services, upload)
        return None
    forgotten = replace(record, sequential=replace(state, is_forgotten=True))
    services.sequential_repository.change_sequential(upload, forgotten, now=services.clock())
    return record.file.name if record.file is not None else None
