"""Cancel the upload in progress of a name; a finished file of that name is untouched."""

from __future__ import annotations

from ferry.errors import CompletionInProgress, UploadAlreadyComplete
from ferry.model.uploads import UploadState
from ferry.ports.retry import retry_on_conflict
from ferry.services import Services
from ferry.uploads.lookup import find_current
from ferry.uploads.terminate import terminate


def cancel(services: Services, ns: str, name: str, upload_id: str | None = None) -> bool:
    """Cancel, and return whether there was something to cancel; again is a success too, and so is one that has expired.

    Without `upload_id` it is whichever upload the name has: a client that repeats itself after a lost answer gives
    the id, so as not to hit one that somebody has started since.

    Raises:
        UploadNotFound: the name never had one, or it was forgotten.
        UploadSuperseded: the name has another one than `upload_id`.
        UploadCompleting, UploadComplete: too late.
    """
    return retry_on_conflict(lambda: _cancel(services, ns, name, upload_id))


def _cancel(services: Services, ns: str, name: str, upload_id: str | None) -> bool:
    upload = find_current(services, ns, name, upload_id)
    session = upload.record
    if session.state in (UploadState.CANCELLED, UploadState.EXPIRED):
        return False
    if session.state is UploadState.COMPLETE:
        raise UploadAlreadyComplete
    if session.state is UploadState.COMPLETING:
        if session.lease_expires_at >= services.clock():
            raise CompletionInProgress
        attempt = services.new_id()
        now = services.clock()
        leased = services.upload_repository.acquire_lease(
            upload,
            lease_id=attempt,
            expires_at=now + services.lease_duration_ms,
            now=now,
            replace_existing=session.lease_replace_existing,
            crc32c=session.lease_crc32c,
        )
        terminate(services, leased, UploadState.CANCELLED, lease_id=attempt)
        return True
    terminate(services, upload, UploadState.CANCELLED)
    return True
