"""A small client of the HTTP API for the demo and the tests. It uses the documented API and none of Ferry's code.

Each request has a connection of its own, so several threads may share a client. Targets are sent byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_SECONDS = 60.0
OCTET_STREAM = "application/octet-stream"
_READ_SIZE_BYTES = 1024 * 1024


class UnexpectedResponseError(Exception):
    """A response with another status than the expected one."""

    def __init__(self, action: str, response: ApiResponse) -> None:
        super().__init__(f"{action}: {response.status} {response.body[:500].decode('utf-8', 'replace')}")
        self.response = response


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response."""

    status: int
    """The status code."""
    headers: Mapping[str, str]
    """Values by header name in lower case."""
    body: bytes
    """The whole body."""

    @property
    def json(self) -> Any:
        """The parsed body. Raises `ValueError` when it is not JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The `code` of a problem document, or None for another response."""
        return self.json.get("code") if "json" in self.headers.get("content-type", "") else None


@contextmanager
def open_url(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Send a request, and give the response with its body unread. Redirects are not followed.

    Raises:
        OSError, http.client.HTTPException: there is no complete response.
    """
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    )
    try:
        # Not urlsplit's target, which loses a trailing `?`.
        target = url.partition("://")[2].removeprefix(parts.netloc) or "/"
        connection.request(method, target, body, dict(headers or {}))
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def fetch(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Send a request, and return the whole response. Raises what `open_url` raises."""
    with open_url(method, url, body, headers) as response:
        lowercase_headers = {name.lower(): value for name, value in response.getheaders()}
        return ApiResponse(response.status, lowercase_headers, response.read())


def quote_filename(name: str) -> str:
    """Return a filename as one segment of a path."""
    return quote(name, safe="")


def crc32c_checksum(crc: int) -> dict[str, str]:
    """Return a checksum object for a CRC32C: big-endian, in base64."""
    return {"algorithm": "crc32c", "value": base64.b64encode(struct.pack(">I", crc)).decode()}


def content_digest(body: bytes) -> str:
    """Return the value of a Content-Digest header with SHA-256 (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class FerryClient:
    """The API's routes as methods. Without a token requests have no Authorization header."""

    def __init__(self, base_url: str, token: str = "") -> None:
        self.base_url = base_url
        self.token = token

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Send a request with the access token."""
        return fetch(method, self.base_url + target, body, {**self._authorization(), **(headers or {})})

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def post(self, target: str, **members: object) -> ApiResponse:
        """Send a JSON body. Members that are None are left out."""
        body = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        return self.request("POST", target, body, {"Content-Type": "application/json"})

    def authenticate(self, client_id: str, client_secret: str, scope: str | None = None) -> FerryClient:
        """Return a client of the same API with a new token. Raises `UnexpectedResponseError`."""
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        response = fetch("POST", self.base_url + "/auth/token", urlencode(form).encode(), headers)
        return FerryClient(self.base_url, expect(response, 200, "token").json["access_token"])

    def start(self, filename: str, size: int, **members: object) -> ApiResponse:
        """Start an upload. `members` are further members of the request."""
        return self.post("/upload/start", filename=filename, size=size, **members)

    def send_chunk(
        self, filename: str, index: int, body: bytes, *, chunk_url: str | None = None, **query: str
    ) -> ApiResponse:
        """Send a chunk in the raw form, with its digest.

        Args:
            filename: the name of the file.
            index: the chunk, from 1.
            body: its bytes.
            chunk_url: the plan's `chunk_url`; by default the route of the API.
            query: further query parameters.
        """
        url = chunk_url or f"{self.base_url}/upload/chunk"
        parameters = urlencode({"filename": filename, "chunk_index": index, **query})
        headers = {"Content-Type": OCTET_STREAM, "Content-Digest": content_digest(body)}
        return fetch("POST", f"{url}?{parameters}", body, {**self._authorization(), **headers})

    def presign_parts(self, filename: str, *part_numbers: int, **members: object) -> ApiResponse:
        """Ask for presigned URLs of parts."""
        return self.post(
            "/upload/parts", filename=filename, parts=[{"part_number": n} for n in part_numbers], **members
        )

    def complete(self, filename: str, **members: object) -> ApiResponse:
        """Complete an upload."""
        return self.post("/upload/complete", filename=filename, **members)

    def status(self, filename: str, **query: int) -> ApiResponse:
        """Return the status of an upload or file."""
        tail = f"?{urlencode(query)}" if query else ""
        return self.request("GET", f"/status/{quote_filename(filename)}{tail}")

    def download(self, filename: str, byte_range: str | None = None) -> ApiResponse:
        """Download a file or a range of it. A redirect to S3 is followed without the token, which S3 rejects."""
        route = "/download" if byte_range is None else "/download/partial"
        headers = {} if byte_range is None else {"Range": byte_range}
        response = self.request("GET", f"{route}/{quote_filename(filename)}", headers=headers)
        return fetch("GET", response.headers["location"], headers=headers) if response.status == 307 else response


def put_part(part: Mapping[str, Any], body: bytes) -> ApiResponse:
    """Send a part to S3, with the headers that its URL was signed with."""
    return fetch("PUT", part["url"], body, part["headers"])


def iter_body(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body in pieces of at most 1 MiB."""
    while data := response.read(_READ_SIZE_BYTES):
        yield data


def expect(response: ApiResponse, expected_status: int, action: str) -> ApiResponse:
    """Return the response if it has the expected status. Raises `UnexpectedResponseError`."""
    if response.status != expected_status:
        raise UnexpectedResponseError(action, response)
    return response
