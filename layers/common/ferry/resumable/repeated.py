"""Recognize the repetition of a request that creates an upload with all its bytes."""

from __future__ import annotations

from dataclasses import replace

from ferry.model.files import DEFAULT_CONTENT_TYPE, File, IfExists
from ferry.ports.retry import retry_on_conflict
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
    if file.content_type != (request.content_type or DEFAULT_CONTENT_TYPE):
        return None
    retry_on_conflict(lambda: _show_again(services, file.upload_id))
    return file


def _show_again(services: Services, upload_id: str) -> None:
    """Let a complete upload that its client has deleted be found again: the response has its URL.

    Raises:
        ConcurrentUpdate: the upload is no longer as read.
    """
    upload = services.upload_repository.get_upload(upload_id)
    state = upload.record.sequential if upload is not None else None
    if upload is None or state is None or not state.is_forgotten:
        return
    shown = replace(upload.record, sequential=replace(state, is_forgotten=False))
    services.sequential_repository.change_sequential(upload, shown, now=services.clock())
