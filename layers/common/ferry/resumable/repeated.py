"""Recognize the repetition of a request that creates an upload with all its bytes."""

from __future__ import annotations

from ferry.model.files import DEFAULT_CONTENT_TYPE, File, IfExists
from ferry.resumable.create import CreateRequest
from ferry.rules.digests import crc32c
from ferry.services import Services


def find_same_file(services: Services, ns: str, request: CreateRequest, body: bytes) -> File | None:
    """Return the file that a creation with the whole body, under `rename`, has made before; None if it has not.

    It is the file of the requested name with this size, CRC32C and content type.
    """
    if request.name is None or request.is_partial or request.if_exists is not IfExists.RENAME:
        return None
    file = services.file_repository.get_file(ns, request.name)
    if file is None or file.size != len(body) or file.crc32c != crc32c(body):
        return None
    return file if file.content_type == (request.content_type or DEFAULT_CONTENT_TYPE) else None
