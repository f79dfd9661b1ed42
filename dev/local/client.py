"""A small client of the HTTP API, for the demo and the tests: it knows the contract, and nothing of the code behind it.

One connection for each request, so that it may be used from several threads. Targets are sent byte for byte as given.
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
    """An answer that was not the one expected."""

    def __init__(self, action: str, response: ApiResponse) -> None:
        super().__init__(f"{action}: {response.status} {response.body[:500].decode('utf-8', 'replace')}")
        self.response = response


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Raises `ValueError` when the body is no JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The stable code of a problem, None when it is none."""
        return self.json.get("code") if "json" in self.headers.get("content-type", "") else None


@contextmanager
def open_url(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The response, its body still to be read. Redirects are not followed.

    Raises:
        OSError, http.client.HTTPException: nobody answered.
    """
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    )
    try:
        # Not urlsplit's idea of the target: a lone `?` or an escaped dot must arrive as it was written.
        target = url.partition("://")[2].removeprefix(parts.netloc) or "/"
        connection.request(method, target, body, dict(headers or {}))
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def fetch(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """As `open_url`, read to its end."""
    with open_url(method, url, body, headers) as response:
        found = {name.lower(): value for name, value in response.getheaders()}
        return ApiResponse(response.status, found, response.read())


def quote_filename(name: str) -> str:
    """A filename as one segment of a path."""
    return quote(name, safe="")


def crc32c_checksum(crc: int) -> dict[str, str]:
    """A CRC32C as the API takes it: big-endian, in base64."""
    return {"algorithm": "crc32c", "value": base64.b64encode(struct.pack(">I", crc)).decode()}


def content_digest(body: bytes) -> str:
    """The value of a Content-Digest header (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class FerryClient:
    """The routes. `token` is an access token, or empty for none."""

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
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return fetch(method, self.base_url + target, body, {**authorization, **(headers or {})})

    def post(self, target: str, **members: object) -> ApiResponse:
        """A request with a JSON body; members that are None are left out."""
        body = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        return self.request("POST", target, body, {"Content-Type": "application/json"})

    def authenticate(self, client_id: str, client_secret: str, scope: str | None = None) -> FerryClient:
        """The same API, with a token. Raises `Refused`."""
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = fetch("POST", self.base_url + "/auth/token", urlencode(form).encode(), headers)
        return FerryClient(self.base_url, expect(answer, 200, "token").json["access_token"])

    def start(self, filename: str, size: int, **members: object) -> ApiResponse:
        return self.post("/upload/start", filename=filename, size=size, **members)

    def send_chunk(self, filename: str, index: int, body: bytes, **query: str) -> ApiResponse:
        """One chunk in the raw form, its digest with it."""
        target = "/upload/chunk?" + urlencode({"filename": filename, "chunk_index": index, **query})
        return self.request(
            "POST", target, body, {"Content-Type": OCTET_STREAM, "Content-Digest": content_digest(body)}
        )

    def presign_parts(self, filename: str, *part_numbers: int, **members: object) -> ApiResponse:
        return self.post(
            "/upload/parts", filename=filename, parts=[{"part_number": n} for n in part_numbers], **members
        )

    def complete(self, filename: str, **members: object) -> ApiResponse:
        return self.post("/upload/complete", filename=filename, **members)

    def status(self, filename: str, **query: int) -> ApiResponse:
        tail = f"?{urlencode(query)}" if query else ""
        return self.request("GET", f"/status/{quote_filename(filename)}{tail}")

    def download(self, filename: str, byte_range: str | None = None) -> ApiResponse:
        """The file or a range of it, the redirect followed without the token, which is not S3's to see."""
        route = "/download" if byte_range is None else "/download/partial"
        headers = {} if byte_range is None else {"Range": byte_range}
        answer = self.request("GET", f"{route}/{quote_filename(filename)}", headers=headers)
        return fetch("GET", answer.headers["location"], headers=headers) if answer.status == 307 else answer


def put_part(part: Mapping[str, Any], body: bytes) -> ApiResponse:
    """A part straight to S3, with the headers that its URL was signed with."""
    return fetch("PUT", part["url"], body, part["headers"])


def iter_body(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body bit by bit, so that a large one needs no memory."""
    while piece := response.read(_READ_SIZE_BYTES):
        yield piece


def expect(response: ApiResponse, expected_status: int, action: str) -> ApiResponse:
    """The answer, which has this status. Raises `Refused`."""
    if response.status != expected_status:
        raise UnexpectedResponseError(action, response)
    return response
