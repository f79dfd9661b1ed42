"""The uploads and downloads of one client: what they share, and which way each one takes."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ferry_client.api import Api
from ferry_client.arguments import check_name, checked_path
from ferry_client.callbacks import raise_if_in_callback
from ferry_client.cancellation import CancelToken, current_token, running_under
from ferry_client.direct import DirectAccess
from ferry_client.errors import LocalFileError, UsageError
from ferry_client.line import Line
from ferry_client.models import DownloadResult, FileRecord, UploadResult
from ferry_client.part_file import local_file_error
from ferry_client.sources import Source, StreamStart, UploadSource, is_text, open_source
from ferry_client.state import StateFolder
from ferry_client.workers import TransferLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferry_client.downloads import Downloader
    from ferry_client.upload_request import UploadChoices


@dataclass(frozen=True, slots=True)
class Transfers:
    """What the transfers of a client share. Thread-safe."""

    api: Api
    """The service."""
    limit: TransferLimit
    """How many requests transfer bytes at once."""
    direct: DirectAccess
    """Whether bytes go straight between this machine and S3."""
    line: Line
    """What is known of the line to the service."""
    state: StateFolder | None
    """What is kept between runs; None keeps nothing."""

    def upload(
        self, source: UploadSource, name: str, choices: UploadChoices, cancel: CancelToken | None
    ) -> UploadResult:
        """Upload a source by the way that suits it. Raises what `Ferry.upload` documents."""
        self._raise_if_unusable()
        with running_under(CancelToken(self.api.token, cancel, current_token())):
            opened = open_source(source)
            content_type = choices.content_type or guess_content_type(name)
            if isinstance(opened, StreamStart):
                return self._upload_stream(opened, name, content_type, choices)
            with closing(opened):
                return self._upload_source(opened, name, content_type, choices)

    def _upload_stream(
        self, start: StreamStart, name: str, content_type: str | None, choices: UploadChoices
    ) -> UploadResult:
        from ferry_client.stream_upload import StreamRequest, StreamUploader

        request = StreamRequest(
            start.stream,
            name,
            first=start.first,
            if_exists=choices.if_exists,
            content_type=content_type,
            metadata=choices.metadata,
            on_progress=lambda done: choices.on_progress(done, 0),
        )
        return StreamUploader(self.api, self.limit, self.line).upload(request)

    def _upload_source(
        self, source: Source, name: str, content_type: str | None, choices: UploadChoices
    ) -> UploadResult:
        from ferry_client.upload_request import UploadRequest
        from ferry_client.uploads import Uploader

        size = source.size
        request = UploadRequest(
            source,
            name,
            if_exists=choices.if_exists,
            content_type=content_type,
            metadata=choices.metadata,
            restart=choices.restart,
            on_progress=lambda done: choices.on_progress(done, size),
            on_note=choices.on_note,
        )
        uploader = Uploader(self.api, transfer_limit=self.limit, direct=self.direct, line=self.line, state=self.state)
        return uploader.upload(request)

    def download(
        self,
        name: str,
        target: Path | str | BinaryIO,
        file: FileRecord | None,
        on_progress: Callable[[int, int], None],
        on_note: Callable[[str], None],
        *,
        cancel: CancelToken | None,
    ) -> DownloadResult:
        """Download a file to a path or into an open file. Raises what `Ferry.download` documents."""
        from ferry_client.downloads import DownloadRequest

        check_name(name)
        self._raise_if_unusable()
        with running_under(CancelToken(self.api.token, cancel, current_token())):
            if hasattr(target, "write"):
                if is_text(target):
                    raise UsageError("The file to write to is in text mode. Open it in binary mode: open(…, 'wb').")
                return self._download_into(name, target.write, on_progress, on_note)
            path = Path(checked_path(target))
            if path.is_dir() or not path.name:
                raise LocalFileError(f"{path} is a folder. Name the file to write.")
            return self._downloader().download(
                DownloadRequest(name, path, file, on_progress=on_progress, on_note=on_note)
            )

    def _download_into(
        self,
        name: str,
        write: Callable[[bytes], object],
        on_progress: Callable[[int, int], None],
        on_note: Callable[[str], None],
    ) -> DownloadResult:
        """Write the content of a file in order, the last block after the checksum was verified."""
        from ferry_client.content import iter_file

        downloader = self._downloader()
        file, done = downloader.stat(name), 0
        on_progress(done, file.size)
        for block in iter_file(downloader, file, on_note):
            _write_all(write, block)
            done += len(block)
            on_progress(done, file.size)
        return DownloadResult(file, done, 0)

    def iter_content(self, name: str, on_note: Callable[[str], None]) -> Iterator[bytes]:
        """Yield the content of a file in order. Raises what `Ferry.iter_content` documents."""
        from ferry_client.content import iter_content

        check_name(name)
        self._raise_if_unusable()
        yield from iter_content(self._downloader(), name, on_note)

    def _raise_if_unusable(self) -> None:
        """Raise `UsageError` or `CancelledError` unless a transfer may start now, in this thread."""
        self.api.raise_if_unusable()
        raise_if_in_callback(self.api)

    def _downloader(self) -> Downloader:
        from ferry_client.downloads import Downloader

        return Downloader(self.api, self.limit, self.direct)


def _write_all(write: Callable[[bytes], object], block: bytes) -> None:
    """Write a block to a caller's file; one without a buffer may take a part of it. Raises `LocalFileError`."""
    while block:
        try:
            written = write(block)
        except OSError as error:
            raise local_file_error(Path("the file to write to"), error) from error
        except ValueError as error:
            raise LocalFileError(f"The file to write to cannot be written: {error}.") from error
        if not isinstance(written, int) or written >= len(block):
            return
        block = block[written:]


def guess_content_type(name: str) -> str | None:
    """Return the type by the extension of a name; None if it is unknown."""
    return mimetypes.guess_type(name, strict=False)[0]
