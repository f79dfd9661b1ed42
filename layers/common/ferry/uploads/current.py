"""Which upload a request means, and whether it may go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ferry.engine import Engine
from ferry.errors import (
    BackendUnavailable,
    UploadCancelled,
    UploadComplete,
    UploadCompleting,
    UploadExpired,
    UploadNotFound,
    UploadSuperseded,
)
from ferry.model import State, Upload
from ferry.ports import Moved
from ferry.uploads.opening import ensure_open

T = TypeVar("T")

DECISIONS = 8
"""How often a request reads and decides anew when others keep moving what it looks at."""


def decide(step: Callable[[], T]) -> T:
    """Run `step`, which reads and then writes by condition, again whenever a condition did not hold.

    Raises:
        BackendUnavailable: it did not hold time after time.
    """
    for _ in range(DECISIONS):
        try:
            return step()
        except Moved:
            continue
    raise BackendUnavailable("too many requests are changing this upload at once; try again")


def find(engine: Engine, ns: str, name: str, upload_id: str | None, *, or_complete: bool = False) -> Upload:
    """The current upload of a name, in whatever state; `upload_id`, if given, must be its id.

    With `or_complete` it may also be that of an earlier one that was completed.

    Raises:
        UploadNotFound: the name has none.
        UploadSuperseded: the name has another one.
    """
    guess = upload_id or engine.hints.get(ns, name)
    upload = _owned(engine, ns, name, guess) if guess else None
    if upload is not None and upload.session.state.in_progress:
        return upload
    if or_complete and upload_id is not None and upload is not None and upload.session.state is State.COMPLETE:
        return upload
    slot = engine.ledger.slot(ns, name)
    if slot is None:
        raise UploadNotFound
    if upload_id is not None and slot.upload_id != upload_id:
        raise UploadSuperseded
    if upload is None or upload.session.upload_id != slot.upload_id:
        upload = _owned(engine, ns, name, slot.upload_id)
    if upload is None:
        raise UploadNotFound
    engine.hints.put(ns, name, upload.session.upload_id)
    return upload


def _owned(engine: Engine, ns: str, name: str, upload_id: str) -> Upload | None:
    upload = engine.ledger.upload(upload_id)
    if upload is None or (upload.session.ns, upload.session.name) != (ns, name):
        return None
    return upload


def find_open(engine: Engine, ns: str, name: str, upload_id: str | None) -> Upload:
    """The current upload of a name, if chunks and parts may be added to it now.

    Raises:
        UploadNotFound, UploadSuperseded: as `find`.
        UploadCancelled, UploadExpired, UploadCompleting, UploadComplete: its state.
    """
    upload = find(engine, ns, name, upload_id)
    refuse_ended(engine, upload)
    if upload.session.state is State.COMPLETE:
        raise UploadComplete
    if upload.session.state is State.COMPLETING:
        raise UploadCompleting
    if upload.session.made is not None:
        raise UploadCompleting("All its bytes are put together; complete it with if_exists: replace, or cancel it")
    return ensure_open(engine, upload)


def refuse_ended(engine: Engine, upload: Upload) -> None:
    """Raises `UploadCancelled` or `UploadExpired`; the latter by the clock, whether or not a clean-up has run."""
    state = upload.session.state
    if state is State.CANCELLED:
        raise UploadCancelled
    if state is State.EXPIRED or is_expired(engine, upload):
        raise UploadExpired


def is_expired(engine: Engine, upload: Upload) -> bool:
    """Whether its time is up though nobody has ended it yet. A completing upload does not expire."""
    return upload.session.state in (State.CREATING, State.OPEN) and engine.clock() >= upload.expires_at
