"""Completions that took longer than a request may."""

from __future__ import annotations

import logging

from ferry.errors import BackendUnavailable, FerryError
from ferry.services import Services
from ferry.uploads.complete import resume_async

logger = logging.getLogger(__name__)


def continue_completion(services: Services, upload_id: str, lease_id: str) -> None:
    """Go on with a completion that was handed on. What stands in its way is told whoever asks next.

    Raises:
        BackendUnavailable: to be tried again; where the lease was taken already, that finds nothing to do, and the
            sweep goes on when it has lapsed.
    """
    try:
        resume_async(services, upload_id, lease_id)
    except BackendUnavailable:
        raise
    except FerryError as error:
        logger.info("%s is not completed: %s", upload_id, error.code)
