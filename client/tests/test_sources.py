"""What may be uploaded, what is rejected with a sentence, and what a client does in threads and forks."""

from __future__ import annotations

import bz2
import gzip
import io
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.tests.fake_responses import problem, reply
from client.tests.fake_service import URL, FakeService
from ferry_client.client import Ferry
from ferry_client.errors import AccessError, FerryError, LocalFileError, UsageError
from ferry_client.models import FileRecord
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, HttpResponse

MIB = 1024 * 1024
Connect = Callable[..., Ferry]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_uploaded(connect: Connect, fake: FakeService, kind: Callable[[bytes], Any]) -> None:
    """Bytes, a bytearray, a memoryview."""
    connect().upload(kind(b"hello"), "x")
    assert fake.files["x"].data == b"hello"


@pytest.mark.parametrize("size", [10, 5 * MIB], ids=["small", "large"])
@pytest.mark.parametrize("opener", [gzip.open, bz2.open], ids=["gzip", "bz2"])
def test_compressed_file_is_sent_as_it_reads(
    connect: Connect, fake: FakeService, tmp_path: Path, size: int, opener: Any
) -> None:
    """What `gzip.open` returns has the name of a file with other bytes: those that it reads are sent."""
    with opener(tmp_path / "a", "wb") as file:
        file.write(bytes(size))
    with opener(tmp_path / "a") as file:
        connect().upload(file, "x")
    assert fake.files["x"].data == bytes(size)


@pytest.mark.parametrize("size", [10, 5 * MIB], ids=["small", "large"])
def test_open_file_is_sent_from_its_position_on(connect: Connect, fake: FakeService, tmp_path: Path, size: int) -> None:
    """A file of which something was read, on the disk or in memory."""
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as file:
        file.seek(3)
        connect().upload(file, "x")
    assert fake.files["x"].data == data[3:]
    memory = io.BytesIO(data)
    memory.seek(3)
    connect().upload(memory, "y")
    assert fake.files["y"].data == data[3:]


def test_temporary_file_is_uploaded(connect: Connect, fake: FakeService) -> None:
    """Files of `tempfile`, with and without a name, and one that begins in memory."""
    for number, make in enumerate((tempfile.NamedTemporaryFile, tempfile.TemporaryFile, tempfile.SpooledTemporaryFile)):
        with make() as file:  # type: ignore[operator]
            file.write(b"hello")
            file.flush()
            file.seek(0)
            connect().upload(file, f"x{number}")
            assert fake.files[f"x{number}"].data == b"hello"


def open_closed(path: Path) -> object:
    """Return a file that is closed."""
    file = path.open("rb")
    file.close()
    return file


def open_temporary(path: Path) -> object:
    """Return a temporary file in text mode."""
    return tempfile.NamedTemporaryFile("w+", dir=path.parent)


def open_gzip(path: Path) -> object:
    """Return a compressed file in text mode."""
    return gzip.open(path.with_name("z"), "wt")


REJECTED_SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "generator": (lambda path: (b"x" for _ in range(3)), "generator"),
    "list": (lambda path: [b"x"], "list"),
    "None": (lambda path: None, "NoneType"),
    "number": (lambda path: 7, "int"),
    "text file": (lambda path: path.open(), "text mode"),
    "temporary text file": (open_temporary, "text mode"),
    "text in memory": (lambda path: io.StringIO("x"), "text mode"),
    "gzip in text mode": (open_gzip, "text mode"),
    "closed file": (open_closed, "closed"),
    "file for writing": (lambda path: path.open("ab"), "reading"),
    "reader of text": (lambda path: type("Reader", (), {"read": lambda self, size=-1: "x"})(), "str, not bytes"),
    "reader that does not wait": (lambda path: type("Reader", (), {"read": lambda self, size=-1: None})(), "wait"),
    "NUL": (lambda path: "a\0b", "NUL"),
    "empty path": (lambda path: "", "empty"),
}
"""What cannot be uploaded: made of the path of a text file, with what the error says."""


@pytest.mark.parametrize("name", REJECTED_SOURCES)
def test_source_that_is_none_is_a_usage_error(connect: Connect, fake: FakeService, tmp_path: Path, name: str) -> None:
    """Before anything is sent, the error names what is wrong."""
    make, text = REJECTED_SOURCES[name]
    path = tmp_path / "a"
    path.write_text("text")
    source = make(path)
    try:
        with pytest.raises(UsageError, match=text):
            connect().upload(source, "x")  # type: ignore[arg-type]
    finally:
        if isinstance(source, io.IOBase | tempfile._TemporaryFileWrapper):
            source.close()
    assert not fake.requests


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": None},
        {"name": ""},
        {"name": "a\udcff"},
        {"name": b"x"},
        {"if_exists": "overwrite"},
        {"metadata": {"a": 1}},
        {"metadata": {1: "a"}},
        {"content_type": 7},
    ],
    ids=str,
)
def test_argument_of_an_upload_that_is_wrong_is_a_usage_error(
    connect: Connect, fake: FakeService, arguments: dict[str, Any]
) -> None:
    """A mistake is named at once, and not after a request."""
    with pytest.raises(UsageError):
        connect().upload(b"1", **{"name": "x", **arguments})
    assert not fake.requests


@pytest.mark.parametrize(
    "options",
    [
        {"stall_seconds": 0},
        {"connect_seconds": -1},
        {"retry_for_seconds": float("nan")},
        {"retry_for_seconds": float("inf")},
        {"max_jobs": 0},
        {"chunk_bytes": 100_000},
        {"chunk_bytes": 8 * MIB},
        {"range_bytes": 0},
        {"part_bytes": 0},
        {"direct_from_bytes": -1},
        {"rate_limit_bytes": 0},
    ],
    ids=str,
)
def test_option_out_of_its_bounds_is_a_usage_error(options: dict[str, Any]) -> None:
    """An option that no transfer can use is named when the client is made."""
    with pytest.raises(UsageError, match=next(iter(options))):
        Ferry(URL, client_id="a", client_secret="b", options=ClientOptions(**options))


@pytest.mark.parametrize("login", [{"client_id": None}, {"client_secret": None}, {"client_secret": ""}], ids=str)
def test_login_that_is_not_set_is_a_usage_error(login: dict[str, Any]) -> None:
    """`os.environ.get` of a variable that is not set is None."""
    with pytest.raises(UsageError, match=next(iter(login))):
        Ferry(URL, **{"client_id": "a", "client_secret": "b", **login})


@pytest.mark.parametrize("size", [0, 3, 9 * MIB], ids=["empty", "small", "large"])
def test_download_into_an_open_file_is_whole(connect: Connect, fake: FakeService, tmp_path: Path, size: int) -> None:
    """A file on the disk without a buffer, and one in memory."""
    data = os.urandom(size)
    fake.put_file("x", data)
    memory = io.BytesIO()
    result = connect().download("x", memory)
    assert (memory.getvalue(), result.received_bytes) == (data, size)
    with (tmp_path / "a").open("wb", buffering=0) as file:
        connect().download("x", file)
    assert (tmp_path / "a").read_bytes() == data


def test_download_to_what_cannot_be_written_is_an_error(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A folder, a text file, a closed file: named before the file is fetched, or as an error of the local file."""
    fake.put_file("x", b"1")
    closed = io.BytesIO()
    closed.close()
    for target, kind in ((tmp_path, LocalFileError), (io.StringIO(), UsageError), (closed, LocalFileError)):
        with pytest.raises(kind):
            connect().download("x", target)  # type: ignore[arg-type]
    for wrong in ("", "a\0b", 7, None, b"a"):
        with pytest.raises((UsageError, LocalFileError)):
            connect().download("x", wrong)  # type: ignore[arg-type]


def test_listing_asks_for_pages_as_they_are_needed(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of thousands of names costs one request."""
    monkeypatch.setattr("client.tests.fake_service.completed", lambda request, response: response)  # It takes seconds.
    for number in range(2500):
        fake.put_file(f"a/{number:04}", b"")
    ferry = connect()
    names = ferry.list("a/")
    assert next(names).name == "a/0000"
    assert fake.count("GET", "/files") == 1
    assert sum(1 for _ in names) == 2499
    assert fake.count("GET", "/files") == 3


def test_status_is_typed(connect: Connect, fake: FakeService) -> None:
    """The status of an upload in progress has fields, and the whole response."""
    ferry = connect()
    ferry.api.request_json("POST", "/upload/start", {"filename": "x", "size": 5 * MIB}, accept=(201,))
    (status,) = ferry.uploads()
    assert (status.name, status.state, status.size, status.received_bytes) == ("x", "pending", 5 * MIB, 0)
    assert status.members["expires_at"] == status.expires_at
    assert ferry.status("x") == status


def run_in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """Run a function in threads that begin together, and return results and exceptions."""
    barrier, results = threading.Barrier(count), list[object]()

    def run(number: int) -> None:
        barrier.wait(30)
        try:
            results.append(work(number))
        except FerryError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_sixteen_threads_renew_a_token_once(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """Uploads and downloads of one client, while its token is revoked in the middle."""
    for number in range(8):
        fake.put_file(f"down/{number}", bytes(100))
    ferry = connect()
    ferry.api.authenticate()
    fake.tokens.clear()

    def transfer(number: int) -> object:
        if number < 8:
            return ferry.download(f"down/{number}", tmp_path / str(number)).received_bytes
        return ferry.upload(bytes(100), f"up/{number}").sent_bytes

    assert run_in_threads(16, transfer) == [100] * 16
    assert fake.count("POST", "/auth/token") == 2


def test_rotated_secret_is_an_access_error_in_every_thread(connect: Connect, fake: FakeService) -> None:
    """The token ends after the secret was replaced: each call says so, and nothing is repeated for minutes."""
    ferry = connect()
    ferry.api.authenticate()
    fake.tokens.clear()
    fake.before.append(lambda request: problem(401, "invalid_client", "x") if "/auth" in request.url else None)
    results = run_in_threads(8, lambda number: ferry.upload(b"1", str(number)))
    assert [type(result) for result in results] == [AccessError] * 8


def test_token_is_renewed_before_it_ends(connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute before, or with a fifth of its lifetime left; this machine's date decides nothing."""
    now = [1000.0]
    monkeypatch.setattr("ferry_client.api.time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.time", lambda: 0.0)
    fake.put_file("x", b"1")
    ferry = connect()
    for at, logins in ((1000.0, 1), (1839.0, 1), (1841.0, 2)):
        now[0] = at
        ferry.stat("x")
        assert fake.count("POST", "/auth/token") == logins
    assert not any("401" in repr(request) for request in fake.requests)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_of_a_client_is_rejected(connect: Connect, fake: FakeService) -> None:
    """A child process shares the connections and locks of its parent: it makes a client of its own."""
    fake.put_file("x", b"1")
    ferry = connect()
    ferry.stat("x")
    sent = len(fake.requests)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def use() -> None:
        texts = []
        for call in (lambda: ferry.stat("x"), lambda: ferry.upload(b"1", "y"), lambda: ferry.read("x")):
            try:
                call()
            except UsageError as error:
                texts.append(str(error))
        ferry.close()
        sender.send((texts, len(fake.requests)))

    child = context.Process(target=use)
    child.start()
    assert receiver.poll(30)
    texts, requests = receiver.recv()
    child.join(30)
    assert [text.partition(",")[0] for text in texts] == ["This Ferry was made before the process was forked"] * 3
    assert requests == sent
    assert isinstance(ferry.stat("x"), FileRecord)


def test_completion_that_asks_for_an_absurd_pause_waits_a_minute(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A date in a hundred years, and no number: at most 60 seconds."""
    values = iter(["Wed, 21 Oct 2099 07:28:00 GMT", "soon", "9" * 30])
    pauses: list[float] = []

    def not_yet(request: HttpRequest) -> HttpResponse | None:
        if "/upload/complete" not in request.url or (value := next(values, None)) is None:
            return None
        response = reply(202, {"state": "completing"})
        return HttpResponse(202, {**response.headers, "Retry-After": value}, response.body)

    fake.before.append(not_yet)
    ferry = connect(max_jobs=1)
    monkeypatch.setattr(ferry.api, "sleep", pauses.append)
    ferry.upload(bytes(5 * MIB), "x")
    assert pauses == [60.0, 1.0, 60.0]
