"""Long polling: a status request that waits until there is a newer version.

A waiting request occupies an instance of the function. So permits limit how many wait at the same time, and namespaces
share them. Each poll reads no more than it needs to detect a change: one read of the metadata store a second, and a
page of S3's listing where parts were presigned (docs/decisions/0010).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress

from ferry.errors import BackendUnavailable
from ferry.model.uploads import Upload
from ferry.ports.errors import MultipartUploadNotFound
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.status.snapshot import StatusReport, StatusSnapshot, read_snapshot, snapshot_of
from ferry.uploads.lookup import is_expired

logger = logging.getLogger(__name__)

POLL_INTERVAL_MS = SECOND_MS
"""Milliseconds from one poll to the next."""


def wait_for_update(
    services: Services,
    ns: str,
    name: str,
    upload_id: str | None = None,
    *,
    since_version: int,
    timeout_seconds: float,
) -> StatusReport:
    """Return the status of a name, or of its upload with the id.

    The wait ends when the version is newer than `since_version`, or after `timeout_seconds`.

    Any change of the version ends the wait, even to a lower one: a restored metadata store repeats versions that the
    client has seen. Without a permit for the namespace the present status is returned at once.

    Raises:
        NotFound: there is neither an upload nor a file of that name, or both disappeared during the wait.
        UploadNotFound: the name has no upload with that id.
    """
    deadline = services.clock() + int(timeout_seconds * SECOND_MS)

    def read() -> StatusSnapshot:
        return read_snapshot(services, ns, name, upload_id)

    initial = read()
    if initial.status.version > since_version:
        return initial.status
    with _permit(services, ns, deadline) as permitted:
        return _poll(services, ns, name, initial, deadline, read=read) if permitted else initial.status


def _poll(
    services: Services,
    ns: str,
    name: str,
    initial: StatusSnapshot,
    deadline: int,
    *,
    read: Callable[[], StatusSnapshot],
) -> StatusReport:
    latest, next_poll_at = initial, services.clock()
    while (now := services.clock()) < deadline:
        next_poll_at = min(deadline, max(next_poll_at + POLL_INTERVAL_MS, now))
        services.sleep((next_poll_at - now) / SECOND_MS)
        latest = _refresh(services, ns, name, latest, read=read)
        if latest.status.version != initial.status.version:
            break
    return latest.status


def _refresh(
    services: Services, ns: str, name: str, snapshot: StatusSnapshot, *, read: Callable[[], StatusSnapshot]
) -> StatusSnapshot:
    """Return a present snapshot. If nothing changed, one read suffices."""
    if snapshot.upload is None or not snapshot.status.state.in_progress:
        file, current, sequential_ids = services.sequential_repository.get_name_uploads(ns, name)
        is_unchanged = not sequential_ids and (file, current) == (snapshot.file, snapshot.current_upload)
        return snapshot if is_unchanged else read()
    upload = services.upload_repository.get_upload(snapshot.upload.record.upload_id)
    if upload is None or not upload.record.state.in_progress:
        return read()
    if (
        upload == snapshot.upload
        and not is_expired(services, upload)
        and not _has_new_parts(services, snapshot, upload)
    ):
        return snapshot
    return snapshot_of(services, snapshot.current_upload, upload, snapshot.file)


def _has_new_parts(services: Services, snapshot: StatusSnapshot, upload: Upload) -> bool:
    """Return whether S3 lists other parts than in the snapshot.

    The listing starts at the first missing part. It takes as many pages as there are gaps with parts behind them,
    usually one.
    """
    if snapshot.parts is None:
        return False
    record, known = upload.record, snapshot.parts
    last = record.layout.part_count
    gap = _first_missing(known, 1, last)
    while gap is not None:
        try:
            page, listed_to = services.object_store.list_parts_page(
                record.object_key, record.multipart_id or "", gap - 1
            )
        except MultipartUploadNotFound:
            return True
        page_end = last if listed_to is None else listed_to
        if page.keys() != {number for number in known if gap <= number <= page_end}:
            return True
        gap = _first_missing(known, page_end + 1, last)
    return False


def _first_missing(known_parts: Container[int], first: int, last: int) -> int | None:
    return next((number for number in range(first, last + 1) if number not in known_parts), None)


@contextmanager
def _permit(services: Services, ns: str, deadline: int) -> Iterator[bool]:
    """Hold a permit to wait until `deadline`. Yields False if there is none, also when the pool is not available."""
    if services.permit_pool is None:
        yield True
        return
    try:
        permit = services.permit_pool.acquire(ns, expires_at=deadline, now=services.clock())
    except BackendUnavailable as error:
        logger.warning("long polls do not wait: the permits cannot be read: %s", error.__cause__ or error)
        permit = None
    try:
        yield permit is not None
    finally:
        if permit is not None:
            with suppress(BackendUnavailable):  # the permit expires
                services.permit_pool.release(ns, permit)
