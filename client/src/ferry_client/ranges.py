"""Ranges of one content of a file: from S3 by presigned URLs, or through the API where S3 is out of reach."""

from __future__ import annotations

import threading
from typing import NoReturn

from ferry_client.api import Api
from ferry_client.direct import MAX_REJECTIONS, DirectAccess
from ferry_client.errors import ApiError, ConflictError, NetworkError
from ferry_client.members import header_value, url
from ferry_client.models import FileRecord
from ferry_client.retries import RETRYABLE_STATUSES
from ferry_client.secret_text import SecretText
from ferry_client.transport import HttpRequest, HttpResponse, TransportError


class ContentChangedError(Exception):
    """The name has another content than the download started with."""


class RangeSource:
    """Where the ranges of one content come from. Thread-safe."""

    def __init__(self, api: Api, direct: DirectAccess, file: FileRecord) -> None:
        self._api = api
        self._direct = direct
        self._file = file
        self._link: str | None = None
        self._link_lock = threading.Lock()
        self.rejections = 0
        """Presigned URLs that S3 rejected; the caller sets it to 0 with each byte that comes."""

    def after_break(self, reason: str, attempt: int, received_bytes: int) -> int:
        """Wait before the rest of a range is requested, and return the attempts without a byte so far."""
        if received_bytes:
            self.record_success()
            return 0
        self._link = None  # The next URL may lead to another server.
        if self._direct.is_allowed:
            self._direct.record_failure(reason, attempt)
        else:
            self._api.pause_after_failure(reason, attempt)
        return attempt

    def record_success(self) -> None:
        """Start the time without success anew."""
        if self._direct.is_allowed:
            self._direct.record_success()
        else:
            self._api.record_success()

    def open(self, first: int, last: int) -> HttpResponse:
        """Return the response with a range of this content. Raises `TransportError` where it may be repeated."""
        headers = {"Range": f"bytes={first}-{last}", "If-Match": self._file.etag}
        if self._direct.is_allowed:
            response = self._api.transport.send(HttpRequest("GET", self._presigned_url(), headers, stream=True))
        else:
            path = self._api.file_path("/download/partial", self._file.name)
            try:
                response = self._api.request("GET", path, headers=headers, accept=(206,), stream=True)
            except ConflictError as error:
                raise ContentChangedError from error
        if response.status == 206 and response.headers.get("etag", self._file.etag) == self._file.etag:
            return response
        response.close()
        if response.status in (206, 404, 412):
            raise ContentChangedError
        if response.status == 403:
            self._reject_link()
        if response.status in RETRYABLE_STATUSES:
            raise TransportError(f"S3 responded with status {response.status}")
        raise NetworkError(f"S3 rejected a range with status {response.status}.")

    def _reject_link(self) -> NoReturn:
        """Forget a presigned URL: it has expired. Raises `TransportError`, after too many `NetworkError`."""
        self._link = None
        self.rejections += 1
        if self.rejections > MAX_REJECTIONS:
            raise NetworkError(
                f"S3 rejects the presigned URLs of {self._file.name}. Check the clock and the proxy: ferry doctor"
            )
        raise TransportError("the presigned URL has expired")

    def _presigned_url(self) -> str:
        with self._link_lock:  # The first range asks for it, the others wait.
            if self._link is None:
                self._link = self._sign()
            return self._link

    def _sign(self) -> str:
        """Ask the service for a presigned URL of this content."""
        path = self._api.file_path("/download", self._file.name, redirect="false")
        try:
            link = self._api.get(path, {"If-Match": self._file.etag})
        except ApiError as error:
            if error.status in (404, 412):
                raise ContentChangedError from error
            raise
        if header_value(link, "etag") != self._file.etag:
            raise ContentChangedError
        return SecretText(url(link, "url"))
