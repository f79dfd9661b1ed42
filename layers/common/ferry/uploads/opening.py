"""creating → open: the one step of a start that is outside the ledger, repeated by whoever finds it undone."""

from __future__ import annotations

from dataclasses import replace

from ferry.engine import Engine
from ferry.model import State, Upload
from ferry.ports import Moved
from ferry.telling import PATIENCE, tell, untold


def ensure_open(engine: Engine, upload: Upload) -> Upload:
    """Give a session that is still `creating` its multipart upload. An empty file needs none.

    Raises:
        Moved: somebody else was faster; read again.
    """
    session = upload.session
    if session.state is not State.CREATING:
        return upload
    multipart_id = None
    if session.grid.size:
        multipart_id = engine.objects.create_multipart(session.object_key, content_type=session.content_type)
    told = tell(engine, untold(session))
    due = upload.expires_at if told else min(engine.clock() + PATIENCE, upload.expires_at)
    try:
        engine.ledger.opened(session.upload_id, multipart_id, due=due, untold=not told)
    except Moved:
        # A write that was repeated after a lost answer fails its own condition: only the row tells whose upload it
        # names. Where even that cannot be read, the clean-up compares.
        settled = engine.ledger.upload(session.upload_id)
        if multipart_id is not None and (settled is None or settled.session.multipart_id != multipart_id):
            engine.objects.abort_multipart(session.object_key, multipart_id)
        raise
    return replace(
        upload,
        session=replace(
            session, state=State.OPEN, multipart_id=multipart_id, untold=not told, version=session.version + 1
        ),
    )
