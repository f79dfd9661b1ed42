"""Cancel the upload in progress of a name; a finished file of that name is untouched."""

from __future__ import annotations

from ferry.engine import Engine
from ferry.errors import UploadComplete, UploadCompleting
from ferry.model import State
from ferry.uploads.current import decide, find
from ferry.uploads.ending import end


def cancel(engine: Engine, ns: str, name: str, upload_id: str | None = None) -> bool:
    """Cancel, and return whether there was something to cancel; again is a success too, and so is one that has expired.

    Without `upload_id` it is whichever upload the name has: a client that repeats itself after a lost answer gives
    the id, so as not to hit one that somebody has started since.

    Raises:
        UploadNotFound: the name never had one, or it was forgotten.
        UploadSuperseded: the name has another one than `upload_id`.
        UploadCompleting, UploadComplete: too late.
    """
    return decide(lambda: _cancel(engine, ns, name, upload_id))


def _cancel(engine: Engine, ns: str, name: str, upload_id: str | None) -> bool:
    upload = find(engine, ns, name, upload_id)
    session = upload.session
    if session.state in (State.CANCELLED, State.EXPIRED):
        return False
    if session.state is State.COMPLETE:
        raise UploadComplete
    if session.state is State.COMPLETING:
        if session.lease_until >= engine.clock():
            raise UploadCompleting
        attempt = engine.new_id()
        now = engine.clock()
        leased = engine.ledger.lease(
            upload,
            attempt=attempt,
            until=now + engine.lease,
            now=now,
            replace=session.lease_replace,
            crc32c=session.lease_crc32c,
        )
        end(engine, leased, State.CANCELLED, attempt=attempt)
        return True
    end(engine, upload, State.CANCELLED)
    return True
