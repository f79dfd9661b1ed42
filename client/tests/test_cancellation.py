"""Transfers that are stopped: from another thread, by Ctrl-C, and by what a callback raises."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.fake_service import S3_URL, FakeService
from client.tests.raw_server import read_head, server
from ferry_client.cancellation import CancelToken, current_token, new_thread, running_under
from ferry_client.client import Ferry
from ferry_client.errors import CancelledError
from ferry_client.models import TransferProgress
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, HttpResponse, TransportError, UrllibTransport
from ferry_client.workers import TransferLimit, run_tasks

MIB = 1024 * 1024
Connect = Callable[..., Ferry]

PHASES = {
    "login": "/auth/token",
    "start": "/upload/start",
    "chunk": "/upload/chunk",
    "signing": "/upload/parts",
    "part": S3_URL,
    "completion": "/upload/complete",
}


def transfer_threads() -> list[threading.Thread]:
    """Return the threads of transfers that run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("ferry-")]


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())
def test_upload_that_is_cancelled_in_any_phase_continues_later(
    connect: Connect, fake: FakeService, tmp_path: Path, phase: str
) -> None:
    """The call raises `CancelledError`, no thread is left, and the same call with another token completes the file."""
    data = bytes(range(256)) * ((10 if phase in (PHASES["signing"], S3_URL) else 5) * MIB // 256)
    path = tmp_path / "a"
    path.write_bytes(data)
    cancel, ferry = CancelToken(), connect()

    def stop(request: HttpRequest) -> None:
        if phase in request.url:
            cancel.cancel()
            raise TransportError("the connection broke")

    fake.before.append(stop)
    with pytest.raises(CancelledError):
        ferry.upload(path, "x", cancel=cancel)
    assert not transfer_threads()
    assert "x" not in fake.files
    fake.before.clear()
    ferry.upload(path, "x", cancel=CancelToken())
    assert fake.files["x"].data == data


@pytest.mark.parametrize("phase", ["/download", S3_URL], ids=["record", "range"])
def test_download_that_is_cancelled_continues_later(
    connect: Connect, fake: FakeService, tmp_path: Path, phase: str
) -> None:
    """The target does not appear, and the same call with another token completes it."""
    data = bytes(range(256)) * (20 * MIB // 256)
    fake.put_file("x", data)
    cancel, ferry, seen = CancelToken(), connect(max_jobs=1), list[int]()

    def stop(request: HttpRequest) -> None:
        if phase in request.url:
            seen.append(1)
            if len(seen) == 2 or phase != S3_URL:
                cancel.cancel()
                raise TransportError("the connection broke")

    fake.before.append(stop)
    with pytest.raises(CancelledError):
        ferry.download("x", tmp_path / "x", cancel=cancel)
    assert not (tmp_path / "x").exists()
    fake.before.clear()
    result = ferry.download("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == data
    assert result.resumed_bytes == (8 * MIB if phase == S3_URL else 0)


def test_cancelled_token_stops_a_transfer_before_it_begins(connect: Connect, fake: FakeService) -> None:
    """A token that was cancelled earlier: no request is sent."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        connect().upload(b"1", "x", cancel=cancel)
    assert not fake.requests


def test_interrupted_threads_stop_the_calls_that_they_make(connect: Connect, fake: FakeService) -> None:
    """What ends a group of threads, as Ctrl-C ends the files of a command, ends their uploads, too."""
    group = CancelToken()
    fake.after.append(lambda request: group.cancel() if "/upload/chunk" in request.url else None)
    with running_under(group), pytest.raises(CancelledError):
        connect(max_jobs=1).upload(bytes(5 * MIB), "a")
    assert not fake.files


def test_cancelled_transfer_leaves_the_others_alone(connect: Connect, fake: FakeService) -> None:
    """One transfer of a client is stopped while another one runs to its end."""
    cancel, ferry = CancelToken(), connect()
    fake.before.append(lambda request: cancel.cancel() if "filename=a&chunk_index=3" in request.url else None)
    results: list[object] = []
    other = threading.Thread(target=lambda: results.append(ferry.upload(bytes(5 * MIB), "b")))
    other.start()
    with pytest.raises(CancelledError):
        ferry.upload(bytes(5 * MIB), "a", cancel=cancel)
    other.join(30)
    assert results
    assert list(fake.files) == ["b"]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most 30 seconds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("by_close", [False, True], ids=["token", "close"])
def test_request_that_waits_for_its_response_is_cut_at_once(*, by_close: bool) -> None:
    """A silent server does not hold a stopped request until its time-out, an hour here."""
    asked, ended = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        read_head(connection)
        asked.set()
        ended.wait(60)

    cancel = CancelToken()
    transport = UrllibTransport(ClientOptions(stall_seconds=3600))
    raised: list[BaseException] = []

    def ask(url: str) -> None:
        with running_under(cancel):
            try:
                transport.send(HttpRequest("GET", url))
            except CancelledError as error:
                raised.append(error)

    with server(serve) as url:
        thread = threading.Thread(target=ask, args=(url,), daemon=True)
        thread.start()
        assert asked.wait(30)
        transport.close() if by_close else cancel.cancel()
        thread.join(30)
        ended.set()
        assert raised


def test_interrupted_tasks_end_before_the_interruption_is_raised() -> None:
    """After Ctrl-C no thread writes to what the caller closes: each has ended."""
    started = threading.Barrier(3)
    ended: list[int] = []

    def work(task: int) -> int:
        if task == 0:
            return task
        started.wait(30)
        try:
            CancelToken(current_token()).wait(3600)
        finally:
            ended.append(task)
        return task

    def interrupt() -> None:
        for task in run_tasks(range(3), work, 3):
            started.wait(30)
            raise KeyboardInterrupt(task)

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert sorted(ended) == [1, 2]
    assert not transfer_threads()


def test_wait_for_other_transfers_ends_with_the_token() -> None:
    """A transfer that waits for its turn ends once it is stopped, although the others go on."""
    limit, cancel = TransferLimit(1), CancelToken()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            with limit.acquire():
                pass
        except CancelledError as error:
            raised.append(error)

    with limit.acquire():
        with running_under(cancel):
            thread = new_thread(wait, "ferry-test")
        thread.start()
        cancel.cancel()
        thread.join(30)
    assert raised


@pytest.mark.parametrize("size", [MIB, 5 * MIB, 12 * MIB], ids=["put", "chunks", "parts"])
def test_exception_of_a_progress_callback_ends_the_upload(connect: Connect, fake: FakeService, size: int) -> None:
    """What the callback raises is raised by the call, and no thread is left."""

    class Enough(Exception):
        pass

    def stop(progress: TransferProgress) -> None:
        if progress.done_bytes:
            raise Enough

    with pytest.raises(Enough):
        connect().upload(bytes(size), "x", on_progress=stop)
    assert not transfer_threads()


def test_exception_of_a_progress_callback_ends_the_download(
    connect: Connect, fake: FakeService, tmp_path: Path
) -> None:
    """What the callback raises is raised by the call; the target does not appear."""
    fake.put_file("x", bytes(20 * MIB))

    def stop(progress: TransferProgress) -> None:
        raise ZeroDivisionError(progress.done_bytes)

    with pytest.raises(ZeroDivisionError):
        connect().download("x", tmp_path / "x", on_progress=stop)
    assert not (tmp_path / "x").exists()
    assert not transfer_threads()


def test_closed_client_sends_nothing_more(connect: Connect, fake: FakeService) -> None:
    """A call after `close` raises `CancelledError`."""
    ferry = connect()
    ferry.upload(b"1", "x")
    ferry.close()
    sent = len(fake.requests)
    calls: list[Callable[[], object]] = [
        lambda: ferry.stat("x"),
        lambda: ferry.read("x"),
        lambda: ferry.upload(b"2", "y"),
        lambda: ferry.download("x", io.BytesIO()),
        lambda: list(ferry.links.list()),
    ]
    for call in calls:
        with pytest.raises(CancelledError, match="closed"):
            call()
    assert len(fake.requests) == sent


def test_reader_that_stops_early_leaves_no_thread(connect: Connect, fake: FakeService) -> None:
    """A loop over the content of a file that ends after its first block."""
    fake.put_file("x", bytes(24 * MIB))
    blocks = connect().iter_content("x")
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert not transfer_threads()


def test_stream_that_waits_for_its_input_ends_with_the_token(connect: Connect) -> None:
    """A pipe into which nothing is written does not hold a transfer that was stopped."""
    cancel, asked, ended = CancelToken(), threading.Event(), threading.Event()

    class Silent:
        """Delivers 5 MiB, then nothing for a long time."""

        def __init__(self) -> None:
            self.left = 5 * MIB

        def read(self, size: int = -1) -> bytes:
            if not self.left:
                asked.set()
                ended.wait(60)
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    raised: list[BaseException] = []

    def send() -> None:
        try:
            connect().upload(Silent(), "x", cancel=cancel)  # type: ignore[arg-type]
        except CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    assert asked.wait(30)
    cancel.cancel()
    thread.join(30)
    ended.set()
    assert raised


def test_response_is_not_given_to_a_cancelled_transfer(connect: Connect, fake: FakeService) -> None:
    """A transport without connections, as tests have it: the token is looked at before each request."""
    cancel = CancelToken()

    def respond(request: HttpRequest) -> HttpResponse | None:
        if request.method == "PUT":
            cancel.cancel()
            return HttpResponse(503, {})
        return None

    fake.before.append(respond)
    with pytest.raises(CancelledError):
        connect().upload(b"1", "x", cancel=cancel)
