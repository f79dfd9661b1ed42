"""Uploads by a link: the use cases of uploads over a view of the repositories that has the link's uploads alone.

Other uploads and files only make their names unavailable. New uploads are reserved in the link's limits before they are
created.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from ferry.errors import BackendUnavailable, FerryError, FileNotFound, InvalidField
from ferry.instance import OpenUploadCache, StagedChunkCache
from ferry.link_errors import LinkForbidden, LinkLimit, LinkPassword, LinkUsedUp
from ferry.links.downloads import LinkCaller
from ferry.links.events import publish_used_up, used_up_event
from ferry.model.files import File, IfExists
from ferry.model.links import Link, LinkKind
from ferry.model.quotas import Quota
from ferry.model.starts import RenamedStart
from ferry.model.uploads import CurrentUpload, Upload, UploadRecord
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.link_repository import LinkLimitReached
from ferry.ports.sequential_repository import SequentialRepository
from ferry.ports.upload_repository import UploadRepository
from ferry.services import Services, UploadIdCache

_OTHER_SIZE = -1
"""The size that a start sees of a file which did not come by the link. No upload has this size, so the start never
returns the file as its result; the file only makes the name unavailable."""


class _View:
    """Delegates to another object what a subclass does not define."""

    def __init__(self, inner: object) -> None:
        self._inner: Any = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class LinkUploads(_View):
    """An `UploadRepository` that has the uploads of one link alone, and reserves new ones in the link's limits."""

    def __init__(self, services: Services, caller: LinkCaller) -> None:
        super().__init__(services.upload_repository)
        self._services = services
        self._repository = services.link_repository()
        self._caller = caller
        self._clock = services.clock

    @property
    def _link(self) -> Link:
        return self._caller.link

    def get_upload(self, upload_id: str) -> Upload | None:
        upload: Upload | None = self._inner.get_upload(upload_id)
        return upload if upload is not None and upload.record.link_id == self._link.link_id else None

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None:
        return self.only_own(self._inner.get_current_upload(ns, name))

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        file, current_upload, quota = self._inner.get_name(ns, name)
        return _without_content(file), current_upload, quota

    def get_renamed_start(
        self, ns: str, name: str, start_id: str
    ) -> tuple[File | None, CurrentUpload | None, Quota | None, RenamedStart | None]:
        file, current_upload, quota, start = self._inner.get_renamed_start(ns, name, self._own_id(start_id))
        return (
            _without_content(file),
            current_upload,
            quota,
            None if start is None else replace(start, start_id=start_id),
        )

    def create_upload(
        self,
        record: UploadRecord,
        *,
        expected: CurrentUpload | None,
        due_at: int,
        quota: Quota | None = None,
        renamed_start: RenamedStart | None = None,
        expected_start: RenamedStart | None = None,
    ) -> None:
        """Reserve the upload in the limits and create it. If it is not created, release the reservation.

        After a crash in between, cleanup releases it.

        Raises:
            LinkUsedUp, LinkLimit: the limits of the link leave no room; nothing was created.
            ConcurrentUpdate: as `UploadRepository.create_upload`.
        """
        self.reserve(record)
        try:
            self._inner.create_upload(
                record,
                expected=expected,
                due_at=due_at,
                quota=quota,
                renamed_start=self._own_start(renamed_start),
                expected_start=self._own_start(expected_start),
            )
        except ConcurrentUpdate:
            self.release(record)
            raise

    def acquire_lease(self, upload: Upload, **options: Any) -> Upload:
        """Acquire the lease, then reserve the upload, if it is not reserved. Raises what `create_upload` raises.

        The lease comes first: it fails for an upload that has ended, which must not be reserved again.
        """
        leased: Upload = self._inner.acquire_lease(upload, **options)
        self.reserve_leased(leased)
        return leased

    def reserve_leased(self, leased: Upload) -> None:
        """Reserve an upload that is being completed, if it is not reserved. If that fails, release its lease."""
        try:
            self.reserve(leased.record)
        except FerryError:
            with suppress(ConcurrentUpdate, BackendUnavailable):
                self._inner.release_lease(
                    leased,
                    lease_id=leased.record.lease_id,
                    stored_object=leased.record.stored_object,
                    lost_chunks=(),
                    due_at=leased.expires_at,
                )
            raise

    def only_own(self, current_upload: CurrentUpload | None) -> CurrentUpload | None:
        """Return the upload if it is the link's."""
        if current_upload is None or self.get_upload(current_upload.upload_id) is None:
            return None
        return current_upload

    def reserve(self, record: UploadRecord) -> None:
        """Reserve an upload in the limits. Idempotent. Raises `LinkUsedUp`, `LinkLimit`, `ConcurrentUpdate`."""
        state = record.sequential
        partial_ids = None
        if state is not None and state.sources:
            partial_ids = list(dict.fromkeys(source.upload_id for source in state.sources))
        event = used_up_event(self._services)
        try:
            usage = self._repository.reserve_upload(
                self._link,
                record.upload_id,
                record.layout.size,
                self._clock(),
                is_partial=record.is_partial,
                partial_ids=partial_ids,
                event=event,
            )
        except LinkLimitReached as reached:
            left = reached.usage.left(self._link)
            if 0 in left:
                raise LinkUsedUp from reached
            raise LinkLimit(left=left) from reached
        publish_used_up(self._services, self._link, usage, event)

    def grow(self, record: UploadRecord, size: int) -> None:
        """Reserve the bytes by which an upload grows. Raises what `reserve` raises."""
        event = used_up_event(self._services)
        try:
            usage = self._repository.grow_upload(
                self._link, record.upload_id, from_size=record.layout.size, size=size, now=self._clock(), event=event
            )
        except LinkLimitReached as reached:
            left = reached.usage.left(self._link)
            if not left[1]:
                raise LinkUsedUp from reached
            raise LinkLimit(left=left) from reached
        if usage is None:
            # Another request has ended the upload meanwhile.
            raise ConcurrentUpdate
        publish_used_up(self._services, self._link, usage, event)

    def release(self, record: UploadRecord) -> None:
        """Release the reservation of an upload that was not created."""
        self._repository.release_upload(self._link.link_id, record.upload_id, received_bytes=0, has_started=False)

    def _own_start(self, start: RenamedStart | None) -> RenamedStart | None:
        return None if start is None else replace(start, start_id=self._own_id(start.start_id))

    def _own_id(self, start_id: str) -> str:
        """Return the id of a start by this link. The same start by a client or another link has another id."""
        return hashlib.sha256(f"{self._link.link_id} {start_id}".encode()).hexdigest()[:32]


class LinkFiles(_View):
    """A `FileRepository` in which a name has a file only if it came by the link. For the status of uploads."""

    def __init__(self, inner: FileRepository, uploads: LinkUploads) -> None:
        super().__init__(inner)
        self._uploads = uploads

    def get_file(self, ns: str, name: str) -> File | None:
        return self.only_own(self._inner.get_file(ns, name))

    def only_own(self, file: File | None) -> File | None:
        """Return the file if it came by the link."""
        return None if file is None or self._uploads.get_upload(file.upload_id) is None else file


class LinkSequentials(_View):
    """A `SequentialRepository` that has the uploads of one link alone, and reserves their bytes in its limits."""

    def __init__(self, inner: SequentialRepository, uploads: LinkUploads, files: LinkFiles) -> None:
        super().__init__(inner)
        self._uploads = uploads
        self._files = files

    def create_sequential(self, record: UploadRecord, *, due_at: int, quota: Quota | None = None) -> None:
        """Reserve the upload in the limits and create it. Raises what `LinkUploads.create_upload` raises.

        A final upload that is not created stays reserved: the reservations of its partial uploads have ended, and the
        caller tries again with the same id. If that fails, cleanup releases it.
        """
        self._uploads.reserve(record)
        try:
            self._inner.create_sequential(record, due_at=due_at, quota=quota)
        except ConcurrentUpdate:
            if record.sequential is None or not record.sequential.sources:
                self._uploads.release(record)
            raise

    def change_sequential(self, upload: Upload, changed: UploadRecord, **options: Any) -> Upload:
        """Reserve what the upload grows by, and change it. At its end, reserve it if it is not reserved.

        Raises what `LinkUploads.create_upload` raises.
        """
        if changed.layout.size > upload.record.layout.size:
            self._uploads.grow(upload.record, changed.layout.size)
        stored: Upload = self._inner.change_sequential(upload, changed, **options)
        if options.get("lease") is not None:
            self._uploads.reserve_leased(stored)
        return stored

    def get_sequential_ids(self, ns: str, name: str) -> tuple[str, ...]:
        return self._own_ids(self._inner.get_sequential_ids(ns, name))

    def get_name_uploads(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, tuple[str, ...]]:
        file, current_upload, upload_ids = self._inner.get_name_uploads(ns, name)
        return self._files.only_own(file), self._uploads.only_own(current_upload), self._own_ids(upload_ids)

    def _own_ids(self, upload_ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(each for each in upload_ids if self._uploads.get_upload(each) is not None)


def link_services(services: Services, caller: LinkCaller, *, for_status: bool = False) -> Services:
    """Return the services for requests by an upload link.

    Args:
        services: the backends.
        caller: who sends the request.
        for_status: whether files that are not the link's are hidden, too. A start must see that a name is taken.
    """
    uploads = LinkUploads(services, caller)
    files = LinkFiles(services.file_repository, uploads)
    sequentials = LinkSequentials(services.sequential_repository, uploads, files)
    return replace(
        services,
        link_id=caller.link.link_id,
        link_network=caller.network,
        # The caches of the instance also have uploads of clients and of other links, by name.
        upload_id_cache=UploadIdCache(),
        open_upload_cache=OpenUploadCache(),
        staged_chunk_cache=StagedChunkCache(),
        upload_repository=cast("UploadRepository", uploads),
        sequential_repository=cast("SequentialRepository", sequentials),
        file_repository=cast("FileRepository", files) if for_status else services.file_repository,
    )


def require_open_upload(link: Link) -> None:
    """Check that files can be sent by the secret alone.

    Raises:
        LinkForbidden: the link is for downloads.
        LinkPassword: it has a password, so a token is needed.
    """
    if link.kind is not LinkKind.UPLOAD:
        raise LinkForbidden("The link is for downloads. Nothing can be sent by it.")
    if link.password is not None:
        raise LinkPassword


def require_within(link: Link, name: str) -> None:
    """Raise `FileNotFound` for a name outside the folder of the link."""
    if not link.includes(name):
        raise FileNotFound


def choose_rename(if_exists: IfExists | None, if_match: str | None = None) -> IfExists:
    """Return `rename`, which every upload by a link has. Raises `InvalidField` for a choice that replaces a file."""
    if if_match is not None:
        raise InvalidField.for_member("if_match", "must not be sent by a link, which replaces no file; omit it")
    if if_exists is IfExists.REPLACE:
        raise InvalidField.for_member("if_exists", "must not be replace: a link replaces no file; omit it")
    return IfExists.RENAME


def _without_content(file: File | None) -> File | None:
    """Return a file of a name so that a start sees that the name is taken, and finds no content of its own there."""
    return None if file is None else replace(file, size=_OTHER_SIZE)
