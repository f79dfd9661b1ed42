"""Uploads of streams, whose end is not known at their start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.fake_responses import fail_once
from client.tests.fake_service import FakeService
from client.tests.pipes import pipe
from ferry_client.client import Ferry
from ferry_client.errors import ConflictError, IntegrityError, LocalFileError, NetworkError, NotFoundError
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

Connect = Callable[..., Ferry]

MIB = 1024 * 1024


def random_data(size: int) -> bytes:
    return os.urandom(1024) * (size // 1024) + b"x" * (size % 1024)


@pytest.mark.parametrize("size", [0, 5, 4 * MIB, 4 * MIB + 1, 9 * MIB + 7], ids=["0", "5", "4M", "4M+1", "9M+7"])
def test_stream_of_any_size_arrives(connect: Connect, fake: FakeService, size: int) -> None:
    """A stream arrives byte for byte; up to 4 MiB by one PUT, more by tus."""
    data = random_data(size)
    result = connect().upload(pipe(data), "x.txt")
    assert result.file is not None
    assert (result.file.name, result.file.size, result.sent_bytes) == ("x.txt", size, size)
    assert fake.files["x.txt"].data == data
    assert fake.files["x.txt"].content_type == "text/plain"
    assert fake.count("POST", "/uploads") == (size > 4 * MIB)


def test_stream_over_a_line_that_breaks_is_sent_once_and_whole(connect: Connect, fake: FakeService) -> None:
    """Requests that break, and responses that are lost, cost a repetition from the service's offset on."""
    data = random_data(9 * MIB)
    fake.before.append(fail_once(lambda request: request.method == "PATCH", times=2))
    fake.after.append(fail_once(lambda request: request.method == "PATCH", times=3))
    fake.after.append(fail_once(lambda request: request.method == "PATCH" and "Upload-Length" in request.headers))
    assert connect().upload(pipe(data), "x").file is not None
    assert fake.files["x"].data == data


@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_stream_for_a_taken_name_is_treated_as_asked(connect: Connect, fake: FakeService, if_exists: str) -> None:
    """A taken name: an error, the new content, a second name, or nothing, as for any other file."""
    fake.put_file("x.bin", b"old")
    data = random_data(5 * MIB)
    ferry = connect()
    if if_exists == "fail":
        with pytest.raises(ConflictError, match=r"^x\.bin exists\. Choose --if-exists replace, rename or skip"):
            ferry.upload(pipe(data), "x.bin")
    else:
        result = ferry.upload(pipe(data), "x.bin", if_exists=if_exists)  # type: ignore[arg-type]
        assert result.skipped == (if_exists == "skip")
    contents = {name: file.data for name, file in fake.files.items()}
    assert (
        contents
        == {
            "fail": {"x.bin": b"old"},
            "skip": {"x.bin": b"old"},
            "replace": {"x.bin": data},
            "rename": {"x.bin": b"old", "x (2).bin": data},
        }[if_exists]
    )


@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_stream_whose_name_is_taken_meanwhile_is_treated_as_asked(
    connect: Connect, fake: FakeService, if_exists: str
) -> None:
    """A file that gets the name while the stream is sent is never replaced unasked, and the stream is not lost."""
    data = random_data(5 * MIB)

    def take_name(request: HttpRequest) -> HttpResponse | None:
        if "Upload-Length" in request.headers and not fake.files:
            fake.put_file("x.bin", b"other")
        return None

    fake.before.append(take_name)
    ferry = connect()
    if if_exists == "fail":
        with pytest.raises(ConflictError, match="All of the input is on the service, as the upload upload-"):
            ferry.upload(pipe(data), "x.bin")
    else:
        ferry.upload(pipe(data), "x.bin", if_exists=if_exists)  # type: ignore[arg-type]
    contents = {name: file.data for name, file in fake.files.items()}
    other = {"x.bin": b"other"}
    assert (
        contents
        == {
            "fail": other,
            "skip": other,
            "replace": {"x.bin": data},
            "rename": {**other, "x (2).bin": data},
        }[if_exists]
    )


def test_stream_without_a_network_says_that_it_is_lost(connect: Connect, fake: FakeService) -> None:
    """A network that does not come back ends the upload: no advice to run the same command again."""

    def fail(request: HttpRequest) -> HttpResponse | None:
        if request.method in ("PATCH", "HEAD"):
            raise TransportError("the connection broke")
        return None

    fake.before.append(fail)
    with pytest.raises(NetworkError) as caught:
        connect(retry_for_seconds=0).upload(pipe(random_data(5 * MIB)), "x")
    assert str(caught.value) == (
        "No success for 0 seconds: the connection broke. The input cannot be read again, so its upload cannot be "
        "continued. Send it with --spool-input (in Python: from a file), which is resumed."
    )


def test_stream_whose_upload_has_ended_says_so(connect: Connect, fake: FakeService) -> None:
    """An upload that was cancelled on the service cannot go on."""

    def cancel(request: HttpRequest) -> HttpResponse | None:
        if request.method == "PATCH":
            fake.streams.clear()
        return None

    fake.before.append(cancel)
    with pytest.raises(NotFoundError, match=r"^The upload of x has ended on the service\. The input cannot be read"):
        connect().upload(pipe(random_data(5 * MIB)), "x")


def test_stream_that_cannot_be_read_leaves_nothing(connect: Connect, fake: FakeService) -> None:
    """A read error in the middle: no file appears, and no upload remains."""
    with pytest.raises(LocalFileError, match=r"^The input cannot be read: Input/output error\.$"):
        connect().upload(pipe(random_data(9 * MIB), OSError(5, "Input/output error")), "x")
    assert not fake.files
    assert not fake.streams


def test_stream_of_which_other_bytes_arrive_is_an_integrity_error(connect: Connect, fake: FakeService) -> None:
    """The checksum of all bytes is compared with that of the file."""

    def damage(request: HttpRequest) -> HttpResponse | None:
        if request.method == "PATCH":
            stream = next(iter(fake.streams.values()))
            stream.data = b"X" + stream.data[1:]
        return None

    fake.before.append(damage)
    with pytest.raises(IntegrityError, match="the service received other bytes"):
        connect().upload(pipe(random_data(9 * MIB)), "x")


def test_stream_progress_never_falls_and_ends_at_the_size(connect: Connect, fake: FakeService) -> None:
    """The callback receives durable bytes; the total is unknown."""
    fake.after.append(fail_once(lambda request: request.method == "PATCH", times=2))
    seen: list[tuple[int, int]] = []
    connect().upload(
        pipe(random_data(9 * MIB)), "x", on_progress=lambda state: seen.append((state.done_bytes, state.total_bytes))
    )
    assert seen == sorted(seen)
    assert seen[-1] == (9 * MIB, 0)


def test_stream_is_read_by_no_thread_after_a_failure(connect: Connect, fake: FakeService) -> None:
    """A service that rejects the upload leaves no thread behind that waits for ever."""
    fake.put_file("x", b"old")
    with pytest.raises(ConflictError):
        connect().upload(pipe(random_data(30 * MIB)), "x")
    for thread in threading.enumerate():
        if thread.name == "ferry-read":
            thread.join(timeout=30)
            assert not thread.is_alive()


def test_open_file_is_sent_from_where_it_is(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """An open file is resumable by its path; one that was read from, or whose name means another file, is a stream."""
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    ferry = connect()
    with path.open("rb") as file:
        ferry.upload(file, "whole")
        file.seek(2)
        ferry.upload(file, "rest")
    with path.open("rb") as file:
        path.rename(tmp_path / "b")
        path.write_bytes(b"other")
        ferry.upload(file, "renamed")
    contents = {name: file.data for name, file in fake.files.items()}
    assert contents == {"whole": b"hello", "rest": b"llo", "renamed": b"hello"}
