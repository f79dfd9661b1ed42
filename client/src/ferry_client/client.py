"""`Ferry`, the client of a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode

from ferry_client import file_requests
from ferry_client.api import Api, Credentials
from ferry_client.arguments import check_login, check_name, check_options, check_upload
from ferry_client.callbacks import note_callback, progress_callback
from ferry_client.direct import DirectAccess
from ferry_client.errors import NotFoundError
from ferry_client.jobs import JobTuner
from ferry_client.line import Line
from ferry_client.links import Links
from ferry_client.members import objects, optional_text
from ferry_client.models import (
    DownloadResult,
    FileRecord,
    IfExists,
    ListPage,
    TransferProgress,
    UploadResult,
    UploadStatus,
)
from ferry_client.options import MAX_AUTO_JOBS, ClientOptions
from ferry_client.sources import UploadSource
from ferry_client.state import StateFolder
from ferry_client.transfers import Transfers
from ferry_client.upload_request import UploadChoices
from ferry_client.workers import TransferLimit

if TYPE_CHECKING:
    from ferry_client.cancellation import CancelToken
    from ferry_client.transport import Transport

ProgressCallback = Callable[[TransferProgress], None]
"""Receives the state of a transfer, from any thread, one call at a time. What it raises ends the transfer, and the call
raises it."""

NoteCallback = Callable[[str], None]
"""Receives a sentence for people, from any thread."""


class Ferry:
    """A client of a Ferry service. Thread-safe; use one for all transfers of a process.

    Example:
        with Ferry("https://files.example.com", client_id="…", client_secret="…") as ferry:
            ferry.upload("video.mp4", "videos/video.mp4")
            ferry.download("videos/video.mp4", "copy.mp4")
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        options: ClientOptions | None = None,
        state_dir: Path | str | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare a client. It sends nothing yet; the first request asks for an access token.

        Args:
            url: the service, for example `https://files.example.com`.
            client_id: the client's id.
            client_secret: the client's secret. It is sent to the service alone and never logged.
            options: how to transfer; None for the defaults.
            state_dir: folder for what is kept between runs; None keeps nothing. Uploads resume without it, too.
            transport: sends the requests; None for urllib3. Tests pass their own.

        Raises:
            UsageError: the URL, id, secret or an option is not valid.
        """
        from ferry_client.transport import UrllibTransport

        check_login(client_id, client_secret)
        check_options(options or ClientOptions())
        self.options = options or ClientOptions()
        """How this client transfers."""
        transport = transport or UrllibTransport(self.options)
        self.api = Api(url, Credentials(client_id, client_secret), self.options, transport)
        """The service's routes."""
        self.links = Links(self.api)
        """Links for people without an account."""
        self.line = Line(Path(state_dir) if state_dir is not None else None, self.api.url)
        """What is known of the line to the service."""
        limit = TransferLimit(self.options.max_jobs or self.line.first_jobs())
        self._job_tuner = JobTuner(limit, MAX_AUTO_JOBS) if self.options.max_jobs is None else None
        if self._job_tuner is not None:
            transport.on_bytes = self._job_tuner.record
        self.api.on_break = self._record_break
        state = StateFolder(Path(state_dir)) if state_dir is not None else None
        self._transfers = Transfers(self.api, limit, DirectAccess(self.api), self.line, state)

    def __enter__(self) -> Ferry:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is running, and close the connections. What runs, and every later call, raises `CancelledError`."""
        self.api.stop()

    def _record_break(self, sent_bytes: int) -> None:
        """Count a connection that broke, with the bytes of its request that were sent before."""
        self.line.record_break(sent_bytes)
        if self._job_tuner is not None:
            self._job_tuner.record_break()

    def upload(
        self,
        source: UploadSource,
        name: str,
        *,
        if_exists: IfExists = "fail",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        restart: bool = False,
        on_progress: ProgressCallback | None = None,
        on_note: NoteCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> UploadResult:
        """Upload a file, or continue its upload where it stopped.

        Args:
            source: a path, bytes, or an open binary file, which is read from its position on. A file without a name on
                disk, such as a pipe or what `gzip.open` returns, is read once and sent as it comes; above 4 MiB its
                upload cannot be continued by another call.
            name: the name that the file gets.
            if_exists: what to do where the name has a file.
            content_type: its type; None: by the extension of its name.
            metadata: stored with the file, up to 2 KB.
            restart: discard an upload in progress of this name, also one of another machine.
            on_progress: called with durable bytes.
            on_note: called with what people should know, for example that S3 is out of reach.
            cancel: stops this upload, from any thread.

        Raises:
            UsageError: an argument is not valid.
            LocalFileError: the source cannot be read.
            ConflictError: the name has a file and `if_exists` is `fail`, or another upload of it is in progress.
            AccessError: the client's secret or its scope does not suffice.
            QuotaError: the quota of the namespace leaves no room.
            SourceChangedError: the file changed while it was sent.
            IntegrityError: the service received other bytes.
            NetworkError: there was no success for `ClientOptions.retry_for_seconds`. Call again to continue.
            CancelledError: it was stopped. Call again to continue.
            ApiError: the service rejected the upload for another reason.
        """
        check_upload(name, if_exists, content_type, metadata)
        choices = UploadChoices(
            if_exists,
            content_type,
            metadata or {},
            restart,
            progress_callback(self.api, name, on_progress),
            note_callback(self.api, on_note),
        )
        return self._transfers.upload(source, name, choices, cancel)

    def download(
        self,
        name: str,
        target: Path | str | BinaryIO,
        *,
        file: FileRecord | None = None,
        on_progress: ProgressCallback | None = None,
        on_note: NoteCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> DownloadResult:
        """Download a file to a path, or continue its download. The path appears complete and verified, or not at all.

        Args:
            name: the file.
            target: the path; an existing file is replaced in one step at the end. Or a file open for writing in binary
                mode: it gets the content in order, the last block once the checksum was verified; it is not continued.
            file: its record, as `stat` or `list` returned it a moment ago; it saves a request. None: it is asked for.
            on_progress: called with the bytes on the disk.
            on_note: called with what people should know, for example that the file was replaced meanwhile.
            cancel: stops this download, from any thread.

        Raises:
            UsageError: an argument is not valid.
            NotFoundError: there is no such file.
            AccessError: the client's secret or its scope does not suffice.
            IntegrityError: the received bytes differ from the file's checksum.
            ConflictError: the file is replaced again and again; into an open file, it was replaced meanwhile.
            NoSpaceError: the local disk is full.
            LocalFileError: the target cannot be written, or another download writes it.
            NetworkError: there was no success for `ClientOptions.retry_for_seconds`. Call again to continue.
            CancelledError: it was stopped. Call again to continue.
            ApiError: the service rejected the download for another reason.
        """
        report, note = progress_callback(self.api, name, on_progress), note_callback(self.api, on_note)
        return self._transfers.download(name, target, file, report, note, cancel=cancel)

    def read(self, name: str) -> bytes:
        """Return the content of a file in memory, verified by its checksum. Raises what `iter_content` raises."""
        return b"".join(self.iter_content(name))

    def iter_content(self, name: str, *, on_note: NoteCallback | None = None) -> Iterator[bytes]:
        """Yield the content of a file in order. The last block comes after the checksum was verified.

        Ranges are fetched ahead, up to 32 MiB in memory.

        Args:
            name: the file.
            on_note: called with what people should know, for example that S3 is out of reach.

        Raises:
            NotFoundError: there is no such file.
            IntegrityError: the received bytes differ from the file's checksum.
            ConflictError: the file was replaced meanwhile.
            FerryError: any other, as of `stat`.
        """
        yield from self._transfers.iter_content(name, note_callback(self.api, on_note))

    def stat(self, name: str) -> FileRecord:
        """Return the record of a file.

        Raises:
            NotFoundError: there is no such file.
            UsageError: the name is no text.
            AccessError: the client's secret or its scope does not suffice.
            NetworkError: there was no success for `ClientOptions.retry_for_seconds`.
            CancelledError: the client was closed.
            ApiError: the service rejected the request for another reason.
        """
        return file_requests.stat(self.api, name)

    def list_page(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        cursor: str | None = None,
        limit: int = 1000,
        deleted: bool = False,
    ) -> ListPage:
        """Return one page of the files whose names begin with `prefix`, ordered by the UTF-8 bytes of their names.

        Args:
            prefix: text that names begin with.
            delimiter: `/` lists one folder: deeper names are summarized in `prefixes`.
            cursor: the previous page's.
            limit: most files and prefixes of the page, 1 to 1,000.
            deleted: list deleted and replaced files that can be restored.

        Raises:
            FerryError: any but `NotFoundError`, as of `stat`.
        """
        return file_requests.list_page(
            self.api, prefix, delimiter=delimiter, cursor=cursor, limit=limit, deleted=deleted
        )

    def list(self, prefix: str = "", *, deleted: bool = False) -> Iterator[FileRecord]:
        """Yield all files whose names begin with `prefix`. A page is asked for when it is needed.

        Args:
            prefix: text that names begin with.
            deleted: list deleted and replaced files that can be restored.

        Raises:
            FerryError: any but `NotFoundError`, as of `stat`.
        """
        cursor: str | None = None
        while True:
            page = self.list_page(prefix, cursor=cursor, deleted=deleted)
            yield from page.files
            cursor = page.cursor
            if cursor is None:
                return

    def move(
        self, name: str, to: str, *, replace: bool = False, etag: str | None = None, to_etag: str | None = None
    ) -> FileRecord:
        """Rename a file. No byte is copied.

        Args:
            name: the file.
            to: its new name.
            replace: whether a file of the new name is replaced.
            etag: move only this content; None: what the name has now, which is asked first. So the request can be
                repeated after a lost response.
            to_etag: replace only this content under the new name.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: the new name is taken, or a file has another ETag.
            FerryError: any other, as of `stat`.
        """
        return file_requests.move(self.api, name, to, replace=replace, etag=etag, to_etag=to_etag)

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """Delete a file.

        Args:
            name: the file.
            etag: delete only this content.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: the file has another ETag.
            FerryError: any other, as of `stat`.
        """
        file_requests.delete(self.api, name, etag)

    def delete_many(self, names: Iterable[str]) -> Mapping[str, str]:
        """Delete files, and return an error code by name for the others: `not_found`, or why a file remains.

        Args:
            names: the files; 100 are deleted by each request.

        Raises:
            FerryError: any but `NotFoundError`, as of `stat`. The files of earlier requests are deleted.
        """
        return file_requests.delete_many(self.api, names)

    def restore(
        self, name: str, *, to: str | None = None, upload_id: str | None = None, if_exists: str = "fail"
    ) -> FileRecord:
        """Restore a deleted or replaced file.

        Args:
            name: its name.
            to: the name that it gets; None: its own.
            upload_id: which one; None: the last that was deleted or replaced.
            if_exists: `fail`, `replace` or `rename`, where the name is taken.

        Raises:
            NotFoundError: there is nothing to restore any more.
            ConflictError: the name is taken.
            NetworkError: there was no success; under `rename` also where the response was lost, because a repetition
                would restore another one.
            FerryError: any other, as of `stat`.
        """
        return file_requests.restore(self.api, name, to=to, upload_id=upload_id, if_exists=if_exists)

    def status(self, name: str) -> UploadStatus:
        """Return the status of the upload in progress of a name, else of its file.

        Raises:
            NotFoundError: there is neither.
            FerryError: any other, as of `stat`.
        """
        check_name(name)
        return UploadStatus.from_json(self.api.get(self.api.file_path("/status", name)))

    def uploads(self) -> Iterator[UploadStatus]:
        """Yield the status of each upload in progress. Raises what `list` raises."""
        cursor: str | None = None
        while True:
            query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
            body = self.api.get(f"/status{query}")
            yield from map(UploadStatus.from_json, objects(body, "uploads"))
            cursor = optional_text(body, "cursor")
            if cursor is None:
                return

    def cancel(self, name: str, *, upload_id: str | None = None) -> None:
        """Cancel the upload in progress of a name. A finished file of that name is untouched.

        Args:
            name: the name.
            upload_id: which upload; None: the only one.

        Raises:
            NotFoundError: there is none.
            ConflictError: there are several, and `upload_id` is None.
            FerryError: any other, as of `stat`.
        """
        check_name(name)
        try:
            self.api.request("DELETE", self.api.file_path("/upload", name, upload_id=upload_id), accept=(204,))
        except NotFoundError as error:
            detail = f"There is no upload of {name} in progress."
            raise NotFoundError(error.status, error.code, detail, error.request_id) from error
