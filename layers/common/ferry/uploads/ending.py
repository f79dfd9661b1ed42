"""The end of an upload that did not become a file: cancelled or expired."""

from __future__ import annotations

import logging
from contextlib import suppress

from ferry.engine import DAY, HOUR, SECOND, Engine
from ferry.errors import BackendUnavailable
from ferry.model import Session, State, Upload, stage_prefix
from ferry.ports import Moved, NoSuchMultipart

logger = logging.getLogger(__name__)

MEMORY = 7 * DAY
"""How long an ended upload is remembered, so that late requests are told what became of it."""


def memory_ttl(engine: Engine) -> int:
    """When to forget what ends now, in epoch seconds, as DynamoDB's TTL wants it."""
    return (engine.clock() + MEMORY) // SECOND


def end(engine: Engine, upload: Upload, state: State, *, attempt: str | None = None) -> None:
    """Record the end, then remove what S3 has. The record is what counts: what fails after it the clean-up does.

    Raises:
        Moved: the upload is not (any more) what was seen.
    """
    engine.ledger.end(upload, state, now=engine.clock(), ttl=memory_ttl(engine), attempt=attempt)
    try:
        sweep(engine, upload.session)
    except BackendUnavailable:
        logger.warning("upload %s ended, its remains are left to the clean-up", upload.session.upload_id)


def sweep(engine: Engine, session: Session) -> int:
    """Remove what S3 has of an ended upload, note that it is done, and return the bytes found. Idempotent."""
    reclaimed = remove_remains(engine, session)
    with suppress(Moved):
        engine.ledger.swept(session.upload_id, stages_due=engine.clock() + HOUR, ttl=memory_ttl(engine))
    return reclaimed


def remove_remains(engine: Engine, session: Session) -> int:
    """Remove the multipart upload, the stages and the object of a cancelled or expired upload; the bytes of the first
    two.

    The object goes whether noted or not: an attempt to complete whose lease had lapsed may have made it, and no
    pointer can reach it any more.
    """
    reclaimed = _abort(engine, session)
    reclaimed += engine.objects.delete_prefix(stage_prefix(session.upload_id))
    engine.objects.delete(session.object_key)
    return reclaimed


def _abort(engine: Engine, session: Session) -> int:
    if session.multipart_id is None:
        return 0
    try:
        parts = engine.objects.list_parts(session.object_key, session.multipart_id)
    except NoSuchMultipart:
        return 0
    engine.objects.abort_multipart(session.object_key, session.multipart_id)
    return sum(part.size for part in parts.values())
