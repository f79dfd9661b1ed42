"""Cancel the upload in progress of a name; a finished file of that name is untouched."""

from __future__ import annotations

from ferry.engine import Engine
from ferry.errors import UploadComplete, UploadCompleting
from ferry.model import State
from ferry.uploads.current import decide, find
from ferry.uploads.ending import end


def cancel(engine: Engine, ns: str, name: str, upload_id: str | None = None) -> None:
    """Cancel; again is the same success, and so is one that has expired.

    Without `upload_id` it is whichever upload the name has: a client that repeats itself after a lost answer gives
    the id, so as not to hit one that somebody has started since.

    Raises:
        UploadNotFound: the name never had one, or it was forgotten.
        UploadSuperseded: the name has another one than `upload_id`.
        UploadCompleting, UploadComplete: too late.
    """
    decide(lambda: _cancel(engine, ns, name, upload_id))


def _cancel(engine: Engine, ns: str, name: str, upload_id: str | None) -> None:
    upload = find(engine, ns, name, upload_id)
    session = upload.session
    if session.state in (State.CANCELLED, State.EXPIRED):
        return
    if session.state is State.COMPLETE:
        raise UploadComplete
    if session.state is State.COMPLETING:
        if session.lease_until >= engine.clock():
            raise UploadCompleting
        attempt = engine.new_id()
        now = engine.clock()
        leased = engine.ledger.lease(
            upload, attempt=attempt, until=now + engine.lease, now=now, replace=False, crc32c=None
        )
        end(engine, leased, State.CANCELLED, attempt=attempt)
        return
    end(engine, upload, State.CANCELLED)
