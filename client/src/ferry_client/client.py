"""`Ferry`, the client of a service."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode

from ferry_client.api import Api, Credentials
from ferry_client.callbacks import ignore
from ferry_client.direct import DirectAccess
from ferry_client.errors import ConflictError, NotFoundError, name_taken_error
from ferry_client.jobs import JobTuner
from ferry_client.line import Line
from ferry_client.links import Links
from ferry_client.models import DownloadResult, FileRecord, IfExists, ListPage, TransferProgress, UploadResult
from ferry_client.options import MAX_AUTO_JOBS, ClientOptions
from ferry_client.sources import StreamStart, open_source
from ferry_client.state import StateFolder
from ferry_client.workers import TransferLimit

if TYPE_CHECKING:
    from ferry_client.transport import Transport

ProgressCallback = Callable[[TransferProgress], None]
"""Receives the state of a transfer, from any thread."""

MAX_DELETED_AT_ONCE = 100
"""Names of one request of `POST /files/delete`. The service's limit."""


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
        """Prepare a client. The first request asks for an access token.

        Args:
            url: the service, for example `https://files.example.com`.
            client_id: the client's id.
            client_secret: the client's secret. It is sent to the service alone and never logged.
            options: how to transfer; None for the defaults.
            state_dir: folder for what is kept between runs; None keeps nothing. Uploads resume without it, too.
            transport: sends the requests; None for urllib3. Tests pass their own.
        """
        from ferry_client.transport import UrllibTransport

        self.options = options or ClientOptions()
        """How this client transfers."""
        transport = transport or UrllibTransport(self.options)
        self.api = Api(url, Credentials(client_id, client_secret), self.options, transport)
        """The service's routes."""
        self.links = Links(self.api)
        """Links for people without an account."""
        self._client_id = client_id
        self.line = Line(Path(state_dir) if state_dir is not None else None, self.api.url)
        """What is known of the line to the service."""
        self._state = StateFolder(Path(state_dir)) if state_dir is not None else None
        self._transfer_limit = TransferLimit(self.options.max_jobs or self.line.first_jobs())
        self._job_tuner: JobTuner | None = None
        if self.options.max_jobs is None:
            self._job_tuner = JobTuner(self._transfer_limit, MAX_AUTO_JOBS)
            transport.on_bytes = self._job_tuner.record
        self.api.on_break = self._record_break
        self._direct = DirectAccess(self.api)

    def __enter__(self) -> Ferry:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is running, and close the connections."""
        self.api.stop()

    def _record_break(self, sent_bytes: int) -> None:
        """Count a connection that broke, with the bytes of its request that were on their way."""
        self.line.record_break(sent_bytes)
        if self._job_tuner is not None:
            self._job_tuner.record_break()

    def upload(
        self,
        source: Path | str | bytes | BinaryIO,
        name: str,
        *,
        if_exists: IfExists = "fail",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        restart: bool = False,
        on_progress: ProgressCallback | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> UploadResult:
        """Upload a file, or continue its upload where it stopped.

        Args:
            source: a path, bytes, or an open binary file. A file without a name on disk, such as a pipe, is read once
                and sent as it comes; its upload cannot be continued by another call.
            name: the name that the file gets.
            if_exists: what to do where the name has a file.
            content_type: its type; None: by the extension of its name.
            metadata: stored with the file, up to 2 KB.
            restart: discard an upload in progress of this name, also one of another machine.
            on_progress: called with durable bytes.
            on_note: called with what people should know, for example that S3 is out of reach.

        Raises:
            ConflictError: the name has a file and `if_exists` is `fail`.
            SourceChangedError: the file changed while it was sent.
            NetworkError: there was no success for `ClientOptions.retry_for_seconds`. Call again to continue.
            FerryError: see `ferry_client.errors` for the others.
        """
        from ferry_client.stream_upload import StreamRequest, StreamUploader
        from ferry_client.upload_request import UploadRequest
        from ferry_client.uploads import Uploader

        content_type = content_type or guess_content_type(name)
        opened = open_source(source)
        if isinstance(opened, StreamStart):
            stream = StreamRequest(
                opened.stream,
                name,
                first=opened.first,
                if_exists=if_exists,
                content_type=content_type,
                metadata=metadata or {},
                on_progress=lambda done: on_progress(TransferProgress(name, done, 0)) if on_progress else None,
            )
            return StreamUploader(self.api, self._transfer_limit, self.line).upload(stream)
        size = opened.size
        try:
            request = UploadRequest(
                opened,
                name,
                if_exists=if_exists,
                content_type=content_type,
                metadata=metadata or {},
                restart=restart,
                on_progress=lambda done: on_progress(TransferProgress(name, done, size)) if on_progress else None,
                on_note=on_note or ignore,
            )
            uploader = Uploader(
                self.api,
                transfer_limit=self._transfer_limit,
                direct=self._direct,
                line=self.line,
                state=self._state,
                client_id=self._client_id,
            )
            return uploader.upload(request)
        finally:
            opened.close()

    def download(
        self,
        name: str,
        target: Path | str,
        *,
        file: FileRecord | None = None,
        on_progress: ProgressCallback | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> DownloadResult:
        """Download a file to a path, or continue its download. The path appears complete and verified, or not at all.

        Args:
            name: the file.
            target: the path; an existing file is replaced in one step at the end.
            file: its record, as `stat` or `list` returned it a moment ago; it saves a request. None: it is asked for.
            on_progress: called with the bytes on the disk.
            on_note: called with what people should know, for example that the file was replaced meanwhile.

        Raises:
            NotFoundError: there is no such file.
            IntegrityError: the received bytes differ from the file's checksum.
            NoSpaceError: the local disk is full.
            FerryError: see `ferry_client.errors` for the others.
        """
        from ferry_client.downloads import Downloader, DownloadRequest

        def report(done: int, total: int) -> None:
            if on_progress:
                on_progress(TransferProgress(name, done, total))

        request = DownloadRequest(name, Path(target), file, on_progress=report, on_note=on_note or ignore)
        return Downloader(self.api, self._transfer_limit, self._direct).download(request)

    def read(self, name: str) -> bytes:
        """Return the content of a file in memory, verified by its checksum."""
        return b"".join(self.iter_content(name))

    def iter_content(self, name: str, *, on_note: Callable[[str], None] | None = None) -> Iterator[bytes]:
        """Yield the content of a file in order. The last block comes after the checksum was verified.

        Ranges are fetched ahead, up to 32 MiB in memory.

        Args:
            name: the file.
            on_note: called with what people should know, for example that S3 is out of reach.

        Raises:
            IntegrityError: the received bytes differ from the file's checksum.
            ConflictError: the file was replaced meanwhile.
        """
        from ferry_client.content import iter_content
        from ferry_client.downloads import Downloader

        yield from iter_content(Downloader(self.api, self._transfer_limit, self._direct), name, on_note or ignore)

    def stat(self, name: str) -> FileRecord:
        """Return the record of a file. Raises `NotFoundError` if there is none."""
        try:
            response = self.api.request("GET", self.api.file_path("/files", name))
        except NotFoundError as error:
            raise NotFoundError(error.status, error.code, f"There is no file {name}.", error.request_id) from error
        return FileRecord.from_json(response.json())

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
        """
        query = {
            "prefix": prefix or None,
            "delimiter": delimiter,
            "cursor": cursor,
            "limit": limit,
            "deleted": "true" if deleted else None,
        }
        encoded = urlencode({key: value for key, value in query.items() if value is not None}, quote_via=quote)
        body = self.api.request("GET", f"/files?{encoded}").json()
        files = [FileRecord.from_json(record) for record in body["files"]]
        return ListPage(files, body.get("prefixes", []), body.get("cursor"))

    def list(self, prefix: str = "", *, deleted: bool = False) -> Iterator[FileRecord]:
        """Yield all files whose names begin with `prefix`."""
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
            etag: move only this content. With it, the call may be repeated after a lost response.
            to_etag: replace only this content under the new name.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: the new name is taken, or a file has another ETag.
        """
        members = {
            "from": name,
            "to": to,
            "if_exists": "replace" if replace else None,
            "etag": etag,
            "to_etag": to_etag,
        }
        try:
            return FileRecord.from_json(self.api.request_json("POST", "/files/move", members).json())
        except ConflictError as error:
            if error.code != "file_exists":
                raise
            raise name_taken_error(to, error, "another name, or --replace (in Python: replace=True)") from error

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """Delete a file; only this content, if `etag` is given. Raises `NotFoundError` if there is none."""
        headers = {"If-Match": etag} if etag else {}
        response = self.api.request("DELETE", self.api.file_path("/files", name), headers=headers, accept=(204, 404))
        if response.status == 404 and response.attempts == 1:
            raise NotFoundError(404, "not_found", f"There is no file {name}.")

    def delete_many(self, names: Iterable[str]) -> Mapping[str, str]:
        """Delete files, and return an error code by name for the others: `not_found`, or why a file remains."""
        errors: dict[str, str] = {}
        remaining = list(names)
        while remaining:
            batch, remaining = remaining[:MAX_DELETED_AT_ONCE], remaining[MAX_DELETED_AT_ONCE:]
            response = self.api.request_json("POST", "/files/delete", {"filenames": batch})
            body = response.json()
            if response.attempts == 1:  # After a lost response, the names are missing because they were deleted.
                errors.update(dict.fromkeys(body["missing"], "not_found"))
            errors.update({error["filename"]: error["code"] for error in body["errors"]})
        return errors

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
        """
        members = {"filename": name, "to": to, "upload_id": upload_id, "if_exists": if_exists}
        try:
            return FileRecord.from_json(self.api.request_json("POST", "/files/restore", members).json())
        except ConflictError as error:
            if error.code != "file_exists":
                raise
            choice = "--if-exists replace or rename (in Python: if_exists)"
            raise name_taken_error(to or name, error, choice) from error

    def status(self, name: str) -> Mapping[str, Any]:
        """Return the status of an upload or file, as the members of the service's response."""
        return dict(self.api.request("GET", self.api.file_path("/status", name)).json())

    def uploads(self) -> Iterator[Mapping[str, Any]]:
        """Yield the status of each upload in progress."""
        cursor: str | None = None
        while True:
            query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
            body = self.api.request("GET", f"/status{query}").json()
            yield from body["uploads"]
            cursor = body.get("cursor")
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
        """
        try:
            self.api.request("DELETE", self.api.file_path("/upload", name, upload_id=upload_id), accept=(204,))
        except NotFoundError as error:
            detail = f"There is no upload of {name} in progress."
            raise NotFoundError(error.status, error.code, detail, error.request_id) from error


def guess_content_type(name: str) -> str | None:
    """Return the type by the extension of a name; None if it is unknown."""
    return mimetypes.guess_type(name, strict=False)[0]
