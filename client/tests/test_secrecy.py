"""Secrets, tokens and presigned URLs are in no log record, error, traceback, representation or state file."""

from __future__ import annotations

import io
import logging
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.fake_responses import fail_once, problem
from client.tests.fake_service import S3_URL, FakeService
from client.tests.raw_server import read_head, server
from ferry_client import client
from ferry_client.api import Credentials
from ferry_client.client import Ferry
from ferry_client.errors import FerryError
from ferry_client.options import ClientOptions
from ferry_client.parts import _SignedPart
from ferry_client.secret_text import SecretText
from ferry_client.transport import BytesBody, HttpRequest, HttpResponse, TransportError, UrllibTransport

MIB = 1024 * 1024
Connect = Callable[..., Ferry]

SECRETS = ("s3cret", "token-", "signature=", "correct horse", "czNjcmV0")
"""The secret of the client, its tokens, presigned URLs, the password of a link, and a part of the secret in base64."""


def assert_no_secret(text: str) -> None:
    assert not [secret for secret in SECRETS if secret in text]


def traceback_with_variables(error: BaseException) -> str:
    """Return what error reports show: the exceptions and the local variables of each frame of the client."""
    text, current = io.StringIO(), error
    while True:
        text.write(str(current))
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if Path(frame.f_code.co_filename).parent == Path(client.__file__).parent:
                text.write(f"{frame.f_code.co_name} {frame.f_locals!r}\n")
        following = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if following is None:
            return text.getvalue()
        current = following


@pytest.mark.parametrize(
    "fault",
    [
        fail_once(lambda request: "/upload/" in request.url, times=99),
        lambda request: problem(500, "internal_error", "x") if "/upload/" in request.url else None,
        lambda request: problem(401, "invalid_client", "x") if "/auth/token" in request.url else None,
        lambda request: problem(401, "invalid_token", "x") if "/upload/" in request.url else None,
        lambda request: HttpResponse(501, {}) if request.url.startswith(S3_URL) else None,
        lambda request: HttpResponse(403, {}) if request.url.startswith(S3_URL) else None,
        fail_once(lambda request: request.url.startswith(S3_URL) or "/health" in request.url, times=99),
        lambda request: HttpResponse(200, {}, b"{") if "/upload/parts" in request.url else None,
        lambda request: HttpResponse(200, {}, b"[]"),
    ],
    ids=["cut", "500", "login", "token", "S3", "URL expired", "S3 cut", "damaged", "damaged token"],
)
def test_error_of_an_upload_shows_no_secret(
    connect: Connect,
    fake: FakeService,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[HttpRequest], HttpResponse],
    tmp_path: Path,
) -> None:
    """Text, representation, and traceback with local variables of what an upload raises, and all that it logs."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a").write_bytes(bytes(10 * MIB))
    fake.before.append(fault)
    with pytest.raises(FerryError) as caught:
        connect(retry_for_seconds=0, max_jobs=1).upload(tmp_path / "a", "x")
    assert_no_secret(f"{caught.value} {caught.value!r} {caplog.text}")
    assert_no_secret(traceback_with_variables(caught.value))


def test_error_of_a_link_shows_no_password(connect: Connect, fake: FakeService) -> None:
    """The password of a link is a local variable of its caller alone."""
    fake.before.append(fail_once(lambda request: "/links" in request.url, times=99))
    with pytest.raises(FerryError) as caught:
        connect(retry_for_seconds=0).links.create_upload(password=SecretText("correct horse"))
    assert_no_secret(traceback_with_variables(caught.value))


def test_representations_show_no_secret() -> None:
    """What a notebook or debugger shows of the client's parts."""
    url = "https://s3.test/x?signature=1"
    shown = [
        Credentials("camera-7", "s3cret"),
        HttpRequest("PUT", url, {"Authorization": "Bearer token-1"}, BytesBody(b"correct horse")),
        BytesBody(b"correct horse"),
        _SignedPart(url, {}, 1),
        ClientOptions(proxy_url="http://user:s3cret@proxy.test"),
        SecretText("s3cret"),
        {"Authorization": SecretText("Bearer token-1")},
    ]
    for value in shown:
        assert_no_secret(repr(value))


def test_state_and_part_files_have_no_secret(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """What an interrupted upload and download leave on the disk."""
    (tmp_path / "a").write_bytes(bytes(10 * MIB))
    fake.put_file("y", bytes(20 * MIB))
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL) and "/1" in request.url, times=99))
    fake.before.append(fail_once(lambda request: "complete" in request.url, times=99))
    ferry = connect(retry_for_seconds=0, max_jobs=1)
    with pytest.raises(FerryError):
        ferry.upload(tmp_path / "a", "x")
    fake.before.append(fail_once(lambda request: request.method == "GET", times=99))
    with pytest.raises(FerryError):
        ferry.download("y", tmp_path / "y")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".ferry-part"]
    assert len(files) >= 2
    for path in files:
        assert_no_secret(path.read_bytes().decode("latin-1"))


def test_log_of_urllib3_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    """A program that logs everything at DEBUG does not keep presigned URLs; other records of urllib3 are unchanged."""

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    caplog.set_level(logging.DEBUG)
    with server(serve) as url:
        UrllibTransport(ClientOptions()).send(HttpRequest("GET", f"{url}/key?X-Amz-signature=1"))
    logging.getLogger("urllib3.connectionpool").debug("%s", "/other?a=1")
    assert "/key?…" in caplog.text
    assert "/other?a=1" in caplog.text
    assert_no_secret(caplog.text)


def test_sdk_installs_no_handler_and_prints_nothing(
    connect: Connect, fake: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repetitions are logged to `ferry_client`; how that is shown is the program's choice."""
    fake.before.append(fail_once(lambda request: "/files" in request.url, times=2))
    connect().upload(b"1", "x")
    assert not logging.getLogger("ferry_client").handlers
    assert capsys.readouterr() == ("", "")


def test_malformed_url_is_not_repeated_in_the_error() -> None:
    """A URL that cannot be parsed is an error of its own, which does not show it."""
    with pytest.raises(FerryError) as caught:
        UrllibTransport(ClientOptions()).send(HttpRequest("GET", "https://[s3/x?signature=1"))
    assert not isinstance(caught.value, TransportError)
    assert_no_secret(traceback_with_variables(caught.value))
