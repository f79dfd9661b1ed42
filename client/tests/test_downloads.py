"""Downloads through the SDK, against a service in memory."""

from __future__ import annotations

import random
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from client.tests.fake_responses import fail_once
from client.tests.fake_service import S3_URL, FakeService
from ferry_client.client import Ferry
from ferry_client.downloads import range_length
from ferry_client.errors import ConflictError, IntegrityError, LocalFileError, NetworkError, NotFoundError
from ferry_client.options import ClientOptions
from ferry_client.part_file import Journal
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

MIB = 1024 * 1024
Connect = Callable[..., Ferry]


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 20 * MIB])
def test_download_of_any_size_writes_the_bytes(connect: Connect, fake: FakeService, tmp_path: Path, size: int) -> None:
    """A file of any size arrives byte for byte, and no part file remains."""
    fake.put_file("x", content(size))
    result = connect().download("x", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content(size)
    assert result.received_bytes == size
    assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == ["out"]


def test_download_of_no_file_is_not_found(connect: Connect, tmp_path: Path) -> None:
    """A missing file is an error that names it, and nothing is written."""
    with pytest.raises(NotFoundError, match="nope"):
        connect().download("nope", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_download_after_an_interruption_fetches_the_rest_only(
    connect: Connect, fake: FakeService, tmp_path: Path
) -> None:
    """A second call fetches what is not on the disk yet."""
    fake.put_file("x", content(20 * MIB))
    passed = []

    def stop(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL):
            passed.append(request)
            if len(passed) > 3:
                raise TransportError("the connection broke")
        return None

    fake.before.append(stop)
    with pytest.raises(NetworkError):
        connect(retry_for_seconds=0, max_jobs=1, range_bytes=4 * MIB).download("x", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    fake.before.clear()
    result = connect(range_bytes=4 * MIB).download("x", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content(20 * MIB)
    assert result.resumed_bytes == 12 * MIB
    assert result.received_bytes == 8 * MIB


def test_download_with_damaged_part_file_fetches_the_damaged_range(
    connect: Connect, fake: FakeService, tmp_path: Path
) -> None:
    """What the journal says is on the disk is compared with its checksum before it counts."""
    fake.put_file("x", content(12 * MIB))
    passed = []

    def stop(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL):
            passed.append(request)
            if len(passed) > 2:
                raise TransportError("the connection broke")
        return None

    fake.before.append(stop)
    with pytest.raises(NetworkError):
        connect(retry_for_seconds=0, max_jobs=1, range_bytes=4 * MIB).download("x", tmp_path / "out")
    fake.before.clear()
    with (tmp_path / ".out.ferry-part").open("r+b") as part:
        part.write(b"damaged")
    result = connect(range_bytes=4 * MIB).download("x", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content(12 * MIB)
    assert result.resumed_bytes == 4 * MIB


def test_download_of_a_file_replaced_meanwhile_starts_anew(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A file that is replaced during its download is fetched from the start, and that is said once."""
    fake.put_file("x", content(20 * MIB))
    requests = []

    def replace(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL):
            requests.append(request)
            if len(requests) == 2:
                fake.put_file("x", content(20 * MIB, seed=2))
        return None

    fake.before.append(replace)
    notes: list[str] = []
    connect(max_jobs=1, range_bytes=4 * MIB).download("x", tmp_path / "out", on_note=notes.append)
    assert (tmp_path / "out").read_bytes() == content(20 * MIB, seed=2)
    assert len(notes) == 1


def test_download_of_other_bytes_is_an_integrity_error(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """Bytes that differ from the file's checksum never get the target's name."""
    file = fake.put_file("x", content(8 * MIB))

    def damage(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL):
            return HttpResponse(206, {"ETag": file.etag}, stream=iter([bytes(4 * MIB)]))
        return None

    fake.before.append(damage)
    with pytest.raises(IntegrityError):
        connect(range_bytes=4 * MIB).download("x", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_download_without_a_way_to_s3_comes_through_the_api(
    connect: Connect, fake: FakeService, tmp_path: Path
) -> None:
    """Where S3 is out of reach, ranges come through the API, and that is said once."""
    fake.put_file("x", content(9 * MIB))
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL), times=10_000))
    notes: list[str] = []
    connect().download("x", tmp_path / "out", on_note=notes.append)
    assert (tmp_path / "out").read_bytes() == content(9 * MIB)
    assert len(notes) == 1


def test_read_returns_the_content(connect: Connect, fake: FakeService) -> None:
    """The content of a file comes in order, verified."""
    fake.put_file("x", content(9 * MIB))
    assert connect().read("x") == content(9 * MIB)


def test_read_of_a_file_replaced_meanwhile_conflicts(connect: Connect, fake: FakeService) -> None:
    """Blocks of two contents are never joined."""
    fake.put_file("x", b"a" * 60 * MIB)
    blocks = connect().iter_content("x")
    next(blocks)
    fake.put_file("x", b"b" * 60 * MIB)
    with pytest.raises(ConflictError):
        list(blocks)


def test_downloads_to_one_target_at_once_are_rejected(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """Two downloads never write one part file: the second is an error while the first runs."""
    fake.put_file("x", content(20 * MIB))
    fake.put_file("y", content(20 * MIB, seed=2))
    errors: list[Exception] = []

    def second(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL) and not errors:
            errors.append(AssertionError())
            with pytest.raises(LocalFileError, match="another") as caught:
                connect().download("y", tmp_path / "out")
            errors[0] = caught.value
        return None

    fake.before.append(second)
    connect(max_jobs=1).download("x", tmp_path / "out")
    assert isinstance(errors[0], LocalFileError)
    assert (tmp_path / "out").read_bytes() == content(20 * MIB)


@pytest.mark.parametrize("target", ["é" * 127, "x" * 255, "x" * 254 + "y"])
def test_download_to_a_long_name_works(connect: Connect, fake: FakeService, tmp_path: Path, target: str) -> None:
    """A name of up to 255 bytes gets its part file beside it."""
    fake.put_file("x", content(5 * MIB))
    connect().download("x", tmp_path / target)
    assert (tmp_path / target).read_bytes() == content(5 * MIB)


def test_download_whose_folder_is_removed_ends_at_once(
    connect: Connect, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No further range is requested, the error says what happened, and the folder is not made again."""
    monkeypatch.setattr("ferry_client.downloads.JOURNAL_EVERY_SECONDS", 0.0)
    fake.put_file("x", content(6 * MIB))
    folder = tmp_path / "folder"
    folder.mkdir()
    ranges: list[HttpRequest] = []

    def remove(request: HttpRequest) -> None:
        if request.url.startswith(S3_URL):
            ranges.append(request)
            if len(ranges) == 2:
                # A write of the journal may run beside this: no new entry may appear in a folder that is being emptied.
                shutil.rmtree(folder.rename(tmp_path / "removed"))

    fake.before.append(remove)
    with pytest.raises(LocalFileError, match="removed or renamed"):
        connect(max_jobs=1, range_bytes=MIB).download("x", folder / "out")
    assert len(ranges) == 2
    assert not folder.exists()


def test_download_whose_folder_is_removed_while_its_journal_is_written_says_so(
    connect: Connect, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is removed after the download has looked for it, and before the journal is written there."""
    monkeypatch.setattr("ferry_client.downloads.JOURNAL_EVERY_SECONDS", 0.0)
    fake.put_file("x", content(6 * MIB))
    folder = tmp_path / "folder"
    folder.mkdir()
    save = Journal.save

    def remove_and_save(journal: Journal, unfinished: Mapping[int, tuple[int, int]]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        save(journal, unfinished)

    monkeypatch.setattr(Journal, "save", remove_and_save)
    with pytest.raises(LocalFileError, match="removed or renamed"):
        connect(max_jobs=1, range_bytes=MIB).download("x", folder / "out")
    assert not folder.exists()


def test_download_with_urls_that_s3_rejects_gives_up(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """Signing succeeds, S3 rejects: that is no success, and ends."""
    fake.put_file("x", content(20 * MIB))
    passed: list[object] = []

    def reject(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL):
            passed.append(request)
            if len(passed) > 1:
                return HttpResponse(403, {})
        assert len(passed) < 2000, "it never gives up"
        return None

    fake.before.append(reject)
    with pytest.raises(NetworkError, match="clock"):
        connect(max_jobs=1).download("x", tmp_path / "out")


def test_download_reports_bytes_within_a_range(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """Bytes on the disk are reported before their range is complete, and never fall."""
    fake.put_file("x", content(8 * MIB))
    seen: list[int] = []
    connect(max_jobs=1, range_bytes=8 * MIB).download(
        "x", tmp_path / "out", on_progress=lambda progress: seen.append(progress.done_bytes)
    )
    assert any(0 < done < 8 * MIB for done in seen)
    assert seen == sorted(seen)
    assert seen[-1] == 8 * MIB


def test_content_over_a_line_that_breaks_comes_in_order(connect: Connect, fake: FakeService) -> None:
    """Several ranges are fetched at once; each break costs the rest of its range; the order is kept."""
    data = content(30 * MIB + 5)
    fake.put_file("x", data)
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL), times=5))
    blocks = list(connect().iter_content("x"))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) == 4 * MIB


def test_content_is_fetched_ahead_within_bounds(connect: Connect, fake: FakeService) -> None:
    """A reader that stops after the first block has caused few requests, and leaves no thread that waits."""
    fake.put_file("x", bytes(100 * MIB))
    blocks = connect().iter_content("x")
    next(blocks)
    fetched = sum(request.url.startswith(S3_URL) for request in fake.requests)
    assert 1 <= fetched <= 10
    blocks.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "ferry-transfer":
            thread.join(timeout=30)
            assert not thread.is_alive()


def test_content_without_a_way_to_s3_comes_through_the_api(connect: Connect, fake: FakeService) -> None:
    """Where S3 is out of reach, the rest comes through the API, and that is said once."""
    data = content(12 * MIB)
    fake.put_file("x", data)
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL), times=100))
    notes: list[str] = []
    assert b"".join(connect().iter_content("x", on_note=notes.append)) == data
    assert len(notes) == 1


def test_content_of_other_bytes_is_an_integrity_error_before_the_last_block(
    connect: Connect, fake: FakeService
) -> None:
    """A pipe gets no complete file of wrong bytes."""
    data = content(9 * MIB)
    file = fake.put_file("x", data)

    def damage(request: HttpRequest) -> None:
        if request.url.startswith(S3_URL):
            file.data = b"X" + data[1:]

    fake.before.append(damage)
    received: list[int] = []
    with pytest.raises(IntegrityError, match="differ from the file's checksum"):
        received.extend(map(len, connect().iter_content("x")))
    assert sum(received) == 8 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_downloaded_file_has_the_mode_of_a_new_file(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A fetched file is as readable as any that this user creates."""
    fake.put_file("x", b"hello")
    (tmp_path / "new").touch()
    connect().download("x", tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("size", [4 * MIB, 5 * MIB])
def test_download_with_a_record_asks_nothing_twice(
    connect: Connect, fake: FakeService, tmp_path: Path, size: int
) -> None:
    """With the record of a listing, a file costs one request, and one more for the URL where S3 sends it."""
    fake.put_file("x", content(size))
    ferry = connect(range_bytes=8 * MIB)
    record = ferry.stat("x")
    fake.requests.clear()
    ferry.download("x", tmp_path / "out", file=record)
    assert (tmp_path / "out").read_bytes() == content(size)
    assert [request.method for request in fake.requests] == ["GET"] * (1 if size <= 4 * MIB else 2)


@pytest.mark.parametrize("size", [3 * MIB, 9 * MIB])
def test_download_with_an_old_record_fetches_the_new_content(
    connect: Connect, fake: FakeService, tmp_path: Path, size: int
) -> None:
    """A file that was replaced after it was listed arrives with its new bytes."""
    fake.put_file("x", content(size, 1))
    ferry = connect()
    notes: list[str] = []
    record = ferry.stat("x")
    fake.put_file("x", content(size + 1, 2))
    ferry.download("x", tmp_path / "out", file=record, on_note=notes.append)
    assert (tmp_path / "out").read_bytes() == content(size + 1, 2)
    assert len(notes) == 1


@pytest.mark.parametrize(("size", "length"), [(MIB, 8), (512 * MIB, 16), (2048 * MIB, 32), (20_000 * MIB, 32)])
def test_ranges_of_large_files_are_larger(size: int, length: int) -> None:
    """Fewer requests for a large file, and still four ranges for each of eight threads."""
    assert range_length(size, ClientOptions(max_jobs=8)) == length * MIB


def test_ranges_are_as_large_as_the_option_says() -> None:
    """The option holds for files of every size."""
    assert range_length(20_000 * MIB, ClientOptions(range_bytes=4 * MIB)) == 4 * MIB
