"""The end of an upload that did not become a file: cancelled or expired."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from ferry.engine import DAY, HOUR, SECOND, Engine
from ferry.errors import BackendUnavailable
from ferry.model import Session, State, Upload, stage_prefix
from ferry.ports import Deleted, Moved, NoSuchMultipart
from ferry.telling import tell, untold
from ferry.uploads.received import list_parts

logger = logging.getLogger(__name__)

MEMORY = 7 * DAY
"""How long an ended upload is remembered, so that late requests are told what became of it."""


PATIENCE = 8 * SECOND
"""How long one request goes on deleting stages: a large upload has more than the time of a function allows."""


def memory_ttl(engine: Engine) -> int:
    """When to forget what ends now, in epoch seconds, as DynamoDB's TTL wants it."""
    return (engine.clock() + MEMORY) // SECOND


def end(engine: Engine, upload: Upload, state: State, *, attempt: str | None = None, thorough: bool = True) -> None:
    """Record the end, then (if `thorough`) tell it and remove what S3 has: what is left the clean-up does.

    Raises:
        Moved: the upload is not (any more) what was seen.
    """
    now = engine.clock()
    engine.ledger.end(upload, state, now=now, ttl=memory_ttl(engine), attempt=attempt)
    if not thorough:
        return
    try:
        sweep(engine, replace(upload.session, state=state, ended=now), state)
    except BackendUnavailable:
        logger.warning("upload %s ended, its remains are left to the clean-up", upload.session.upload_id)


def sweep(engine: Engine, session: Session, state: State) -> int:
    """Tell that an upload has ended as `state`, remove what S3 has of it, and return the bytes found.

    Once nothing is left that is noted; until then the upload stays due, and the clean-up goes on, from the beginning.
    """
    told = tell(engine, untold(session))
    removed = remove_remains(engine, session, state)
    if removed.done and told:
        with suppress(Moved):
            engine.ledger.swept(session.upload_id, stages_due=engine.clock() + HOUR, ttl=memory_ttl(engine))
    return removed.size


def remove_remains(engine: Engine, session: Session, state: State) -> Deleted:
    """Remove what S3 has of a cancelled or expired upload; the bytes are those of its parts and stages.

    The object goes whether noted or not: an attempt to complete whose lease had lapsed may have made it, and no
    pointer can reach it any more. That of an expired one stays for a while first: a ledger that was set back to an
    earlier time may have forgotten who points to it.
    """
    aborted = _abort(engine, session)
    staged = remove_stages(engine, session.upload_id)
    if state is State.CANCELLED:
        engine.objects.delete(session.object_key)
    elif engine.keep_objects and engine.objects.head(session.object_key) is not None:
        with suppress(Moved):
            owner = (session.ns, session.name)
            engine.ledger.keep(session.upload_id, owner, due=engine.clock() + engine.keep_objects)
    return Deleted(aborted + staged.size, staged.done)


def remove_stages(engine: Engine, upload_id: str) -> Deleted:
    """Delete an upload's stages, for as long as one request may take."""
    return engine.objects.delete_prefix(stage_prefix(upload_id), until=engine.clock() + PATIENCE)


def _abort(engine: Engine, session: Session) -> int:
    if session.multipart_id is None:
        return 0
    try:
        parts = list_parts(engine, session)
    except NoSuchMultipart:
        return 0
    engine.objects.abort_multipart(session.object_key, session.multipart_id)
    return sum(part.size for part in parts.values())
