"""Wrong responses: methods return what the service sent, or raise an exception of the documented tree."""

from __future__ import annotations

import io
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.tests.fake_responses import reply
from client.tests.fake_service import S3_URL, FakeService
from client.tests.raw_server import read_head, server
from ferry_client.client import Ferry
from ferry_client.errors import AccessError, FerryError, NetworkError, NotFoundError, ResponseError, UsageError
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, HttpResponse, UrllibTransport

MIB = 1024 * 1024
Connect = Callable[..., Ferry]
PAGE = b"<!DOCTYPE html><title>Log in to the network</title>"

BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    PAGE,
    b"[" * 100_000,
    b'{"filename": 1}',
    b"\xff\xfe",
    b'{"size": 1e999, "expires_in": NaN, "access_token": "a"}',
    b'{"access_token": "a\\r\\nHost: other", "expires_in": 900}',
    b'{"files": [1], "links": {}, "uploads": "x", "parts": [{}], "activity": null, "missing": 3, "errors": [[]]}',
)


def calls(ferry: Ferry, folder: Path) -> dict[str, Callable[[], object]]:
    """Return a call of each method that sends a request."""
    return {
        "upload by PUT": lambda: ferry.upload(b"1", "x"),
        "upload by chunks": lambda: ferry.upload(bytes(5 * MIB), "x"),
        "upload by parts": lambda: ferry.upload(bytes(9 * MIB), "x"),
        "upload of a stream": lambda: upload_stream(ferry),
        "download": lambda: ferry.download("x", folder / "x"),
        "download into a file": lambda: ferry.download("x", io.BytesIO()),
        "read": lambda: ferry.read("x"),
        "stat": lambda: ferry.stat("x"),
        "list": lambda: list(ferry.list()),
        "move": lambda: ferry.move("x", "y"),
        "delete": lambda: ferry.delete("x"),
        "delete_many": lambda: ferry.delete_many(["x"]),
        "restore": lambda: ferry.restore("x"),
        "status": lambda: ferry.status("x"),
        "uploads": lambda: list(ferry.uploads()),
        "cancel": lambda: ferry.cancel("x"),
        "create_download": lambda: ferry.links.create_download(filename="x"),
        "create_upload": ferry.links.create_upload,
        "links.get": lambda: ferry.links.get("i"),
        "links.list": lambda: list(ferry.links.list()),
        "links.revoke": lambda: ferry.links.revoke("i"),
        "links.activity": lambda: list(ferry.links.activity("i")),
    }


def upload_stream(ferry: Ferry) -> None:
    """Send a stream of unknown length."""
    with Path("/dev/zero").open("rb") as stream:
        ferry.upload(stream, "x")


NAMES = tuple(calls(Ferry("https://a.test", client_id="a", client_secret="b"), Path()))


class Deceptive(FakeService):
    """Logs in, then responds to each request with one of many wrong responses."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.left = 200

    def send(self, request: HttpRequest) -> HttpResponse:
        """Return a wrong response. The first exception that leaves the client is what the test is about."""
        self.left -= 1
        assert self.left, "the client goes on for ever"
        choose = self._random.choice
        if "/auth/token" in request.url and self._random.random() < 0.9:
            return reply(200, {"access_token": "t", "expires_in": 900})
        if self._random.random() < 0.3:
            try:
                return super().send(request)
            except (AssertionError, KeyError, StopIteration):
                pass  # The fake has no such route.
        status = choose((200, 200, 200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 409, 410, 412, 416, 422, 503))
        headers = {
            "Content-Type": choose(("application/json", "text/html", "")),
            "Content-Length": choose(("0", "12", "-1", "x", "99999999999999999999")),
            "ETag": choose(('"a"', "a\nb", "")),
            "Retry-After": choose(("0", "1", "x", "99999999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "²")),
            "Location": choose(("/uploads/1", "https://elsewhere.test/uploads/1", "\n", "http://elsewhere.test/")),
            "Upload-Offset": choose(("0", "x", "-5", "999999999999999999999")),
            "Repr-Digest": choose(("crc32c=:AAAAAA==:", "crc32c=:!:", "sha-256=:AAAA:", "")),
            "Ferry-Size": choose(("1", "x", "", "12884901888")),
        }
        if choose((True, False)):
            del headers["ETag" if choose((True, False)) else "Location"]
        return HttpResponse(status, headers, choose(BODIES))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_responses_raise_documented_exceptions_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Malformed JSON, login pages, absurd header fields, lost members, any status: `FerryError` or a result."""
    for seed in range(12):
        transport = Deceptive(f"{name} {seed}")
        ferry = Ferry(
            "https://ferry.test",
            client_id="a",
            client_secret="b",
            options=ClientOptions(retry_for_seconds=0, max_jobs=1, direct_from_bytes=8 * MIB),
            transport=transport,
        )
        monkeypatch.setattr(ferry.api, "sleep", check_pause)
        try:
            calls(ferry, tmp_path)[name]()
        except FerryError:
            continue


def check_pause(seconds: float) -> None:
    """Fail if a server makes the client wait longer than is documented."""
    assert 0 <= seconds <= 72


@pytest.mark.parametrize("name", NAMES)
def test_login_page_of_a_network_is_named(connect: Connect, fake: FakeService, tmp_path: Path, name: str) -> None:
    """A captive portal responds to each request with a page of any status: it is no file, and no missing file."""
    ferry = connect(retry_for_seconds=0)
    ferry.api.authenticate()
    for status in (200, 404):
        page = HttpResponse(status, {"Content-Type": "text/html"}, PAGE)
        fake.before[:] = [lambda request, page=page: page]  # type: ignore[misc]
        with pytest.raises(ResponseError, match="log in to the network"):
            calls(ferry, tmp_path)[name]()
    assert not list(tmp_path.glob("x"))


def test_redirect_to_another_host_gets_no_token() -> None:
    """A redirect is not followed: the other host receives nothing."""
    heads: list[bytes] = []

    def other(connection: socket.socket) -> None:
        heads.append(read_head(connection))

    with server(other) as target:

        def serve(connection: socket.socket) -> None:
            head = read_head(connection)
            if b"/auth/token" in head:
                body = b'{"access_token": "t", "expires_in": 900}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            else:
                location = f"{target}/files".encode()
                connection.sendall(b"HTTP/1.1 307 x\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)

        with server(serve) as url, Ferry(url, client_id="a", client_secret="b") as ferry:
            with pytest.raises(ResponseError):
                ferry.stat("x")
            with pytest.raises(ResponseError):
                ferry.upload(b"1", "x")
    assert not heads


def test_address_without_tls_gets_no_token(connect: Connect, fake: FakeService) -> None:
    """Where the service has TLS, an address of it without TLS is rejected before the token is sent."""
    original = fake._plan
    fake._plan = lambda upload: {**original(upload), "chunk_url": "http://ferry.test/c"}  # type: ignore[method-assign]
    with pytest.raises(ResponseError, match="without TLS"):
        connect().upload(bytes(5 * MIB), "x")
    assert not any(request.url.startswith("http://") for request in fake.requests)


@pytest.mark.parametrize(
    "members",
    [
        {"chunk_size": 0},
        {"chunk_count": 10**12},
        {"part_size": 5 * MIB + 1},
        {"size": 1},
        {"received": {"chunks": [[1, 10**12]], "parts": []}},
        {"received": {"chunks": [[0, 1]], "parts": []}},
        {"received_bytes": -1},
        {"chunk_url": "https://ferry.test/a b"},
        {"upload_id": None},
    ],
    ids=str,
)
def test_plan_that_makes_no_sense_is_rejected(connect: Connect, fake: FakeService, members: dict[str, Any]) -> None:
    """Chunks that do not make the file would send wrong bytes, or fill the memory."""

    def damage(request: HttpRequest) -> HttpResponse | None:
        if "/upload/start" not in request.url:
            return None
        plan = {
            "upload_id": "u",
            "filename": "x",
            "size": 5 * MIB,
            "chunk_url": "https://ferry.test/upload/chunk",
            "chunk_size": MIB,
            "chunk_count": 5,
            "part_size": 5 * MIB,
            "part_count": 1,
            "received": {"chunks": [], "parts": []},
            "received_bytes": 0,
        }
        return reply(201, {**plan, **members})

    fake.before.append(damage)
    with pytest.raises(ResponseError):
        connect().upload(bytes(5 * MIB), "x")
    assert not fake.count("POST", "/upload/chunk")


def test_signed_parts_that_were_not_asked_for_are_rejected(connect: Connect, fake: FakeService) -> None:
    """An address for another part would put bytes where they do not belong."""
    fake.before.append(lambda request: reply(200, {"parts": []}) if "/upload/parts" in request.url else None)
    with pytest.raises(ResponseError):
        connect().upload(bytes(10 * MIB), "x")
    assert not any(request.url.startswith(S3_URL) for request in fake.requests)


@pytest.mark.parametrize("etag", ['"a"\r\nX: 1', "ü", "a\0"])
def test_etag_that_no_header_holds_is_a_usage_error(connect: Connect, fake: FakeService, etag: str) -> None:
    """Header fields of a caller cannot add others."""
    with pytest.raises(UsageError):
        connect().delete("x", etag=etag)
    assert not fake.requests


def test_header_field_that_no_request_holds_is_a_usage_error() -> None:
    """The transport does not send it, and raises nothing of another library."""
    with pytest.raises(UsageError):
        UrllibTransport(ClientOptions()).send(HttpRequest("GET", "http://127.0.0.1:1/", {"A": "b\nc: d"}))


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", NetworkError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", ResponseError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NetworkError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", FerryError),
        (b"HTTP/1.1 99999 OK\r\n\r\n", NetworkError),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", FerryError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", NetworkError),
        (b"", NetworkError),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ResponseError),
        (b"HTTP/1.1 401 x\r\nContent-Length: 2\r\n\r\n{}", AccessError),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", NetworkError),
    ],
    ids=str,
)
def test_bytes_that_are_no_response_raise_documented_exceptions(response: bytes, kind: type[FerryError]) -> None:
    """Truncated bodies, wrong lengths, other protocols."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(response)

    options = ClientOptions(retry_for_seconds=0, stall_seconds=30)
    with server(serve) as url:
        ferry = Ferry(url, client_id="a", client_secret="b", options=options)
        with pytest.raises(kind):
            ferry.stat("x")
        ferry.close()


def test_missing_file_is_a_not_found_error(connect: Connect) -> None:
    """The service's own 404 is not taken for that of a login page."""
    with pytest.raises(NotFoundError):
        connect().stat("x")
