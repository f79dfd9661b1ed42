"""Uploads through the SDK, against a service in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.contents import content
from client.tests.fake_responses import fail_once, problem
from client.tests.fake_service import CHUNK_SIZE, S3_URL, FakeService
from ferry_client.client import Ferry
from ferry_client.errors import (
    AccessError,
    ConflictError,
    IntegrityError,
    NetworkError,
    SourceChangedError,
)
from ferry_client.models import TransferProgress
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

MIB = 1024 * 1024
Connect = Callable[..., Ferry]

SIZES = {"empty": 0, "by PUT": 3 * MIB, "by chunks": 5 * MIB + 3, "by parts": 12 * MIB + 5}
by_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())


def local_file(folder: Path, data: bytes, name: str = "source.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@by_size
def test_upload_of_any_size_stores_the_bytes(connect: Connect, fake: FakeService, tmp_path: Path, size: int) -> None:
    """A file of each size class arrives byte for byte, with its type and metadata."""
    data = content(size)
    result = connect().upload(local_file(tmp_path, data), "a/b.jpg", metadata={"k": "v"})
    stored = fake.files["a/b.jpg"]
    assert stored.data == data
    assert (stored.content_type, stored.metadata) == ("image/jpeg", {"k": "v"})
    assert result.file is not None
    assert result.file.etag == stored.etag
    assert (result.sent_bytes, result.resumed_bytes) == (size, 0)


@by_size
def test_upload_over_another_file_fails_by_default(connect: Connect, fake: FakeService, size: int) -> None:
    """Without `if_exists`, a taken name is a conflict, and the file stays."""
    fake.put_file("x", b"old")
    with pytest.raises(ConflictError) as caught:
        connect().upload(content(size), "x")
    assert caught.value.code == "file_exists"
    assert fake.files["x"].data == b"old"


@by_size
def test_upload_with_replace_replaces(connect: Connect, fake: FakeService, size: int) -> None:
    """With `replace`, the new file has the name."""
    fake.put_file("x", b"old")
    connect().upload(content(size), "x", if_exists="replace")
    assert fake.files["x"].data == content(size)


@by_size
def test_upload_with_skip_leaves_the_file(connect: Connect, fake: FakeService, size: int) -> None:
    """With `skip`, the existing file stays and nothing is sent."""
    fake.put_file("x", b"old")
    result = connect().upload(content(size), "x", if_exists="skip")
    assert result.skipped
    assert result.file is None
    assert fake.files["x"].data == b"old"
    assert result.sent_bytes == 0


@by_size
def test_upload_with_lost_responses_succeeds_once(connect: Connect, fake: FakeService, size: int) -> None:
    """Each kind of request loses its first response; the repetition gets the same success."""
    for route in ("/upload/start", "/upload/chunk", "/upload/parts", "/upload/complete", "/files"):
        fake.after.append(fail_once(lambda request, route=route: route in request.url))  # type: ignore[misc]
    fake.after.append(fail_once(lambda request: request.url.startswith(S3_URL)))
    result = connect().upload(content(size), "x")
    assert fake.files["x"].data == content(size)
    assert result.file is not None


@pytest.mark.parametrize("size", [5 * MIB + 3, 12 * MIB + 5], ids=["chunks", "parts"])
def test_upload_after_an_interruption_sends_the_rest_only(
    connect: Connect, fake: FakeService, tmp_path: Path, size: int
) -> None:
    """A second call of the same file sends what the service lacks."""
    path = local_file(tmp_path, content(size))
    sent = []

    def stop_after_three(request: HttpRequest) -> HttpResponse | None:
        if request.method == "PUT" or "/upload/chunk" in request.url:
            sent.append(request)
            if len(sent) >= 3:
                raise TransportError("the connection broke")
        return None

    fake.before.append(stop_after_three)
    with pytest.raises(NetworkError):
        connect(retry_for_seconds=0, max_jobs=1).upload(path, "x")
    fake.before.clear()
    result = connect().upload(path, "x")
    assert fake.files["x"].data == content(size)
    assert result.resumed_bytes > 0
    assert result.resumed_bytes + result.sent_bytes == size


def test_upload_of_a_changed_file_starts_anew(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A file that changed since its upload began is sent from the start, and never mixed."""
    path = local_file(tmp_path, content(5 * MIB))
    fake.before.append(fail_once(lambda request: "/upload/complete" in request.url, times=99))
    with pytest.raises(NetworkError):
        connect(retry_for_seconds=0).upload(path, "x")
    fake.before.clear()
    path.write_bytes(content(5 * MIB, seed=2))
    os.utime(path, ns=(1, 1))
    notes: list[str] = []
    result = connect().upload(path, "x", on_note=notes.append)
    assert fake.files["x"].data == content(5 * MIB, seed=2)
    assert result.resumed_bytes == 0
    assert any("changed" in note for note in notes)


def test_upload_of_another_file_of_the_name_conflicts(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """An upload in progress that this machine did not begin is not discarded without `restart`."""
    path = local_file(tmp_path, content(5 * MIB))
    ferry = connect()
    ferry.api.request_json("POST", "/upload/start", {"filename": "x", "size": 7, "fingerprint": "f"}, accept=(201,))
    with pytest.raises(ConflictError) as caught:
        ferry.upload(path, "x")
    assert caught.value.code == "upload_in_progress"
    ferry.upload(path, "x", restart=True)
    assert fake.files["x"].data == content(5 * MIB)


def test_upload_of_a_file_that_changes_meanwhile_fails(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A file that is written during its upload is an error, and no file appears."""
    path = local_file(tmp_path, content(5 * MIB))

    def touch(request: HttpRequest) -> HttpResponse | None:
        if "chunk_index=3" in request.url:
            os.utime(path, ns=(7, 7))
        return None

    fake.before.append(touch)
    with pytest.raises(SourceChangedError):
        connect(max_jobs=1).upload(path, "x")
    assert "x" not in fake.files


def test_upload_of_a_file_that_shrinks_meanwhile_fails(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A file that becomes shorter during its upload is an error, and no file appears."""
    path = local_file(tmp_path, content(5 * MIB))

    def truncate(request: HttpRequest) -> HttpResponse | None:
        if "chunk_index=2" in request.url:
            os.truncate(path, 1000)
        return None

    fake.before.append(truncate)
    with pytest.raises(SourceChangedError):
        connect(max_jobs=1).upload(path, "x")
    assert "x" not in fake.files


def test_upload_of_silently_changed_bytes_is_an_integrity_error(
    connect: Connect, fake: FakeService, tmp_path: Path
) -> None:
    """Bytes that change without a new time are found by the checksum of the whole file."""
    path = local_file(tmp_path, content(5 * MIB))
    status = path.stat()
    fake.before.append(fail_once(lambda request: "/upload/complete" in request.url, times=99))
    with pytest.raises(NetworkError):
        connect(retry_for_seconds=0).upload(path, "x")
    fake.before.clear()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(IntegrityError):
        connect().upload(path, "x")
    assert "x" not in fake.files


def test_upload_without_a_way_to_s3_goes_through_the_api(connect: Connect, fake: FakeService) -> None:
    """Where S3 is out of reach, all bytes go in chunks, and that is said once."""
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL), times=10_000))
    notes: list[str] = []
    ferry = connect()
    ferry.upload(content(12 * MIB), "x", on_note=notes.append)
    assert fake.files["x"].data == content(12 * MIB)
    assert fake.count("POST", "/upload/chunk") == 12 * MIB // CHUNK_SIZE
    assert len(notes) == 1


def test_upload_that_expired_starts_anew(connect: Connect, fake: FakeService) -> None:
    """An upload that ended on the service is started anew, and that is said."""
    ended: list[object] = []

    def end(request: HttpRequest) -> HttpResponse | None:
        if "chunk_index=4" in request.url and not ended:
            ended.append(fake.uploads.popitem())
        return None

    fake.before.append(end)
    notes: list[str] = []
    connect(max_jobs=1).upload(content(5 * MIB), "x", on_note=notes.append)
    assert fake.files["x"].data == content(5 * MIB)
    assert len(notes) == 1


def test_upload_with_a_revoked_token_asks_for_a_new_one(connect: Connect, fake: FakeService) -> None:
    """A token that the service no longer accepts is replaced once."""
    ferry = connect()
    ferry.upload(b"1", "one")
    fake.tokens.clear()
    ferry.upload(b"2", "two")
    assert fake.files["two"].data == b"2"
    assert fake.count("POST", "/auth/token") == 2


def test_upload_with_a_wrong_secret_is_an_access_error(connect: Connect, fake: FakeService) -> None:
    """A rejected secret says what to do, and is not repeated."""
    fake.before.append(lambda request: problem(401, "invalid_client", "no") if "/auth/token" in request.url else None)
    with pytest.raises(AccessError, match="ferry login"):
        connect().upload(b"1", "x")
    assert fake.count("POST", "/auth/token") == 1


def test_upload_progress_never_falls_and_ends_at_the_size(connect: Connect) -> None:
    """The callback receives durable bytes only: never fewer than before, the size at the end."""
    seen: list[TransferProgress] = []
    connect().upload(content(5 * MIB + 3), "x", on_progress=seen.append)
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert done[-1] == 5 * MIB + 3


def test_upload_error_of_s3_names_no_url(connect: Connect, fake: FakeService) -> None:
    """A presigned URL is a secret: no error contains it."""
    fake.before.append(lambda request: HttpResponse(501, {}) if request.url.startswith(S3_URL) else None)
    with pytest.raises(NetworkError) as caught:
        connect().upload(content(12 * MIB), "x")
    assert "s3.test" not in str(caught.value)
    assert "signature" not in str(caught.value)


def test_upload_of_parts_outlasts_an_outage(connect: Connect, fake: FakeService) -> None:
    """Broken connections count against the time without success, not against a number of attempts."""
    breaks = fail_once(lambda request: request.url.startswith(S3_URL) and "/2?" in request.url, times=50)
    fake.before.append(breaks)
    connect(max_jobs=1).upload(content(16 * MIB), "x")
    assert fake.files["x"].data == content(16 * MIB)


def test_upload_where_nothing_responds_does_not_give_up_on_s3(connect: Connect, fake: FakeService) -> None:
    """An outage of the whole network says nothing about S3: parts go there afterwards."""
    left = [0]

    def outage(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL) and not fake.count("GET", "/health"):
            left[0] = 9
        if left[0]:
            left[0] -= 1
            raise TransportError("the connection broke")
        return None

    fake.before.append(outage)
    notes: list[str] = []
    connect(max_jobs=1).upload(content(16 * MIB), "x", on_note=notes.append)
    assert fake.files["x"].data == content(16 * MIB)
    assert not notes
    assert fake.count("PUT", "/") > 2


def test_missing_way_to_s3_is_said_once_for_all_files(connect: Connect, fake: FakeService) -> None:
    """What one transfer found out about S3 holds for the next ones, up and down."""
    fake.before.append(fail_once(lambda request: request.url.startswith(S3_URL), times=10_000))
    notes: list[str] = []
    ferry = connect(max_jobs=1)
    for name in "abc":
        ferry.upload(content(12 * MIB), name, on_note=notes.append)
    assert len(notes) == 1


@by_size
def test_upload_with_rename_of_the_same_file_is_that_file(connect: Connect, fake: FakeService, size: int) -> None:
    """With `rename`, a file that is there already gets no second name."""
    fake.put_file("x", content(size))
    if size <= 4 * MIB:
        result = connect().upload(content(size), "x", if_exists="rename")
        assert list(fake.files) == ["x"]
        assert result.file is not None
        assert result.file.name == "x"


@by_size
def test_upload_with_rename_takes_the_next_free_name(connect: Connect, fake: FakeService, size: int) -> None:
    """With `rename`, another file of the name stays, and the new one gets the next name."""
    fake.put_file("x.bin", b"old")
    result = connect().upload(content(size), "x.bin", if_exists="rename")
    assert result.file is not None
    assert result.file.name == "x (2).bin"
    assert fake.files["x.bin"].data == b"old"
    assert fake.files["x (2).bin"].data == content(size)


def test_upload_is_repeated_at_once_after_one_broken_connection(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that carried bytes and broke costs no pause; a second break does."""
    left = [1]

    def cut(request: HttpRequest) -> HttpResponse | None:
        if "chunk_index=3" in request.url and left[0]:
            left[0] -= 1
            raise TransportError("the connection broke", sent_bytes=1000)
        return None

    fake.before.append(cut)
    ferry = connect(max_jobs=1, allow_direct=False)
    pauses: list[float] = []
    monkeypatch.setattr(ferry.api, "sleep", pauses.append)
    ferry.upload(content(5 * MIB), "one")
    assert not pauses
    left[0] = 2
    ferry.upload(content(5 * MIB), "two")
    assert len(pauses) == 1


EXISTS = r"^x\.bin exists\. Choose --if-exists replace, rename or skip \(in Python: if_exists\)\.$"


@pytest.mark.parametrize("size", [0, 3 * MIB, 5 * MIB, 11 * MIB], ids=["empty", "put", "chunks", "parts"])
def test_taken_name_has_one_message_at_every_size(connect: Connect, fake: FakeService, size: int) -> None:
    """One PUT, chunks and parts name a taken name in the same words."""
    fake.put_file("x.bin", b"old")
    with pytest.raises(ConflictError, match=EXISTS) as caught:
        connect().upload(os.urandom(size), "x.bin")
    assert caught.value.code == "file_exists"


@pytest.mark.parametrize("if_exists", ["fail", "replace", "skip"])
def test_name_that_is_taken_meanwhile_is_treated_as_asked(connect: Connect, fake: FakeService, if_exists: str) -> None:
    """A file that gets the name while chunks are sent: the same choices hold, and with `skip` no upload remains."""
    data = os.urandom(5 * MIB)

    def take_name(request: HttpRequest) -> None:
        if "/upload/complete" in request.url and "x.bin" not in fake.files:
            fake.put_file("x.bin", b"other")

    fake.before.append(take_name)
    ferry = connect()
    if if_exists == "fail":
        with pytest.raises(ConflictError, match=EXISTS):
            ferry.upload(data, "x.bin")
        fake.before.clear()
        sent = fake.count("POST", "/upload/chunk")
        assert ferry.upload(data, "x.bin", if_exists="replace").resumed_bytes == len(data)
        assert fake.count("POST", "/upload/chunk") == sent
    else:
        assert ferry.upload(data, "x.bin", if_exists=if_exists).skipped == (if_exists == "skip")  # type: ignore[arg-type]
    assert fake.files["x.bin"].data == (b"other" if if_exists == "skip" else data)
    assert not fake.uploads


@pytest.mark.parametrize("size", [5 * MIB, 11 * MIB], ids=["chunks", "parts"])
def test_two_processes_that_send_one_file_both_succeed(
    connect: Connect, fake: FakeService, tmp_path: Path, size: int
) -> None:
    """The second completes the upload that the first sends: for the first, the file is there, and nothing failed."""
    path = local_file(tmp_path, content(size))
    first, second = connect(max_jobs=1), connect(max_jobs=1)
    seen = [0]

    def complete_elsewhere(request: HttpRequest) -> None:
        is_bytes = "/upload/chunk" in request.url or (request.url.startswith(S3_URL) and request.method == "PUT")
        seen[0] += is_bytes
        if is_bytes and seen[0] == 2:
            second.upload(path, "x")

    fake.before.append(complete_elsewhere)
    result = first.upload(path, "x", on_note=pytest.fail)
    assert result.file is not None
    assert fake.files["x"].data == content(size)
