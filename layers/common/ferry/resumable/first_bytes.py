"""Append the bytes that a creation brings."""

from __future__ import annotations

from contextlib import suppress

from ferry.errors import FerryError, QuotaExceeded
from ferry.link_errors import LinkLimit, LinkUsedUp
from ferry.model.uploads import Upload
from ferry.resumable.append import AppendRequest, append
from ferry.resumable.delete import delete
from ferry.services import Services

_NO_ROOM = (QuotaExceeded, LinkLimit, LinkUsedUp)
"""Errors about bytes that do not fit. Nothing of them is stored."""


def append_first_bytes(services: Services, ns: str, request: AppendRequest) -> Upload:
    """Append to an upload that has just been created, and return it. Raises what `append` raises.

    An upload whose bytes do not fit is deleted: the client gets no URL of it, and it would count until it expires.
    """
    try:
        return append(services, ns, request).upload
    except _NO_ROOM:
        with suppress(FerryError):
            delete(services, ns, request.upload_id)
        raise
