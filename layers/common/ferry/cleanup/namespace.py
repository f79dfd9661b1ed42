"""Clean up one namespace on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ferry.cleanup.decision import apply, decide
from ferry.cleanup.report import CleanupReport
from ferry.errors import InvalidField
from ferry.model.uploads import Upload, UploadState
from ferry.rules.durations import SECOND_MS
from ferry.services import Services

PAGE_SIZE = 100
"""How many current uploads one query reads."""

_CURSOR_PREFIX = "cleanup."
"""Beginning of this route's cursors. The listing of uploads has the same positions, and no dot in its cursors."""


def clean_namespace(
    services: Services,
    ns: str,
    *,
    has_time: Callable[[], bool],
    older_than_seconds: int | None = None,
    filename: str | None = None,
    dry_run: bool = False,
    cursor: str | None = None,
) -> CleanupReport:
    """Expire the stale uploads of a namespace. Uploads that are being completed are left alone.

    Orphans belong to no namespace; the scheduled sweep finds them.

    Args:
        services: the backends.
        ns: the namespace.
        has_time: whether there is time for one more upload. The first is examined in any case.
        older_than_seconds: expire uploads that were idle for that long; None: those past their expiry.
        filename: examine only the current upload of this name.
        dry_run: report what would be done, and change nothing.
        cursor: where an earlier report ended.

    Raises:
        InvalidField: the cursor is not one of this route's.
    """
    report = CleanupReport(dry_run=dry_run)
    run = _NamespaceRun(services, report, has_time, older_than_seconds)
    if filename is not None:
        current_upload = services.upload_repository.get_current_upload(ns, filename)
        if current_upload is not None and current_upload.in_progress:
            run.clean(current_upload.upload_id)
    else:
        position = run.clean_pages(ns, None if cursor is None else _position_from_cursor(cursor))
        report.complete, report.cursor = position is None, position and _CURSOR_PREFIX + position
    return report


def _position_from_cursor(cursor: str) -> str:
    """Return where the listing of open uploads continues. Raises `InvalidField` for a cursor of another route."""
    if not cursor.startswith(_CURSOR_PREFIX):
        raise InvalidField.for_member("cursor", "is not a cursor of this route; omit it to begin with the first upload")
    return cursor.removeprefix(_CURSOR_PREFIX)


@dataclass(frozen=True, slots=True)
class _NamespaceRun:
    """A run over one namespace."""

    services: Services
    """The backends."""
    report: CleanupReport
    """Counts what the run does."""
    has_time: Callable[[], bool]
    """Returns whether the run may begin another upload."""
    older_than_seconds: int | None
    """Expire uploads without activity for this long; None: those past their expiry."""

    def clean_pages(self, ns: str, cursor: str | None) -> str | None:
        """Clean page after page. Return where to continue, or None if no upload is left."""
        repository = self.services.upload_repository
        while True:
            page = repository.list_open_uploads(ns, cursor, PAGE_SIZE)
            for current_upload in page.items:
                if self.report.examined and not self.has_time():
                    return cursor
                self.clean(current_upload.upload_id)
                cursor = repository.cursor_after(current_upload)
            cursor = page.cursor
            if cursor is None or not self.has_time():
                return cursor

    def clean(self, upload_id: str) -> None:
        """Expire one upload if it is stale. A failure is counted, and does not stop the run."""
        self.report.examined += 1
        self.report.run_step(upload_id, lambda: self._expire_if_stale(upload_id))

    def _expire_if_stale(self, upload_id: str) -> None:
        upload = self.services.upload_repository.get_upload(upload_id)
        if upload is None or upload.record.state not in (UploadState.CREATING, UploadState.OPEN):
            return
        if self._is_stale(upload):
            decision = decide(self.services, upload, is_stale=True)
            apply(self.services, upload, decision, self.report, purge_now=self.has_time())

    def _is_stale(self, upload: Upload) -> bool:
        now = self.services.clock()
        if self.older_than_seconds is None:
            return now >= upload.expires_at
        return now - upload.last_activity_at >= self.older_than_seconds * SECOND_MS
