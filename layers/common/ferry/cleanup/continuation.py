"""Completions that took longer than a request may."""

from __future__ import annotations

import logging

from ferry.engine import Engine
from ferry.errors import BackendUnavailable, FerryError
from ferry.uploads.complete import take_over

logger = logging.getLogger(__name__)


def finish(engine: Engine, upload_id: str, attempt: str) -> None:
    """Go on with a completion that was handed on. What stands in its way is told whoever asks next.

    Raises:
        BackendUnavailable: to be tried again; where the lease was taken already, that finds nothing to do, and the
            sweep goes on when it has lapsed.
    """
    try:
        take_over(engine, upload_id, attempt)
    except BackendUnavailable:
        raise
    except FerryError as error:
        logger.info("%s is not completed: %s", upload_id, error.code)
