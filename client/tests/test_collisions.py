"""Two files of one size and one CRC32C, with different content: neither is taken for the other."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from client.tests.collisions import with_crc32c_of
from client.tests.commands import Run, run
from client.tests.fake_service import FakeService
from client.tests.pipes import pipe
from ferry_client.checksums import crc32c
from ferry_client.client import Ferry
from ferry_client.errors import ConflictError
from ferry_client.etags import has_content
from ferry_client.file_cache import FileCache
from ferry_client.spool import Spool, SpoolOptions

__all__ = ["run"]

Connect = Callable[..., Ferry]
MIB = 1024 * 1024

SIZES = pytest.mark.parametrize("size", [9, 5 * MIB], ids=["put", "chunks"])


def pair(size: int) -> tuple[bytes, bytes]:
    """Return two contents that size and CRC32C do not tell apart."""
    first = random.Random(1).randbytes(size)
    second = with_crc32c_of(random.Random(2).randbytes(size), first)
    assert first != second
    assert (len(first), crc32c(first)) == (len(second), crc32c(second))
    return first, second


@SIZES
@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_put_takes_no_file_for_one_that_collides(
    connect: Connect, fake: FakeService, size: int, if_exists: str
) -> None:
    """A colliding file of the name is another file: it is an error, replaced, beside it, or left."""
    first, second = pair(size)
    ferry = connect()
    ferry.upload(first, "x.bin")
    if if_exists == "fail":
        with pytest.raises(ConflictError):
            ferry.upload(second, "x.bin")
    else:
        assert ferry.upload(second, "x.bin", if_exists=if_exists).skipped == (if_exists == "skip")  # type: ignore[arg-type]
    contents = {name: file.data for name, file in fake.files.items()}
    old = {"x.bin": first}
    assert (
        contents
        == {"fail": old, "skip": old, "replace": {"x.bin": second}, "rename": {**old, "x (2).bin": second}}[if_exists]
    )


def test_put_of_the_same_bytes_is_recognized_whatever_the_etag(connect: Connect, fake: FakeService) -> None:
    """Where the ETag is no MD5, the bytes themselves are compared."""
    ferry = connect()
    ferry.upload(b"hello", "x")
    fake.files["x"].etag = '"opaque"'
    assert ferry.upload(b"hello", "x", if_exists="rename").file is not None
    assert list(fake.files) == ["x"]


def test_stream_takes_no_file_for_one_that_collides(connect: Connect, fake: FakeService) -> None:
    """A stream cannot be compared with a file, so that it gets a name of its own."""
    first, second = pair(5 * MIB)
    ferry = connect()
    ferry.upload(first, "x.bin")
    ferry.upload(pipe(second), "x.bin", if_exists="rename")
    assert fake.files["x (2).bin"].data == second


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "d"
    path.mkdir()
    return path


def write_old(path: Path, data: bytes, time: int = 1_700_000_000) -> None:
    """Write a file with a time that is not of this moment, so that its checksums are remembered."""
    path.write_bytes(data)
    os.utime(path, (time, time))


@pytest.mark.parametrize("size", [9, 5 * MIB])
def test_sync_sends_and_fetches_what_collides(run: Run, fake: FakeService, folder: Path, size: int) -> None:
    """A file whose content became a colliding one is sent, and fetched; an unchanged one is neither."""
    first, second = pair(size)
    write_old(folder / "a", first)
    assert run("sync", "d", "p/") == 0
    write_old(folder / "a", second, 1_700_000_001)
    assert run("sync", "d", "p/") == 0
    assert fake.files["p/a"].data == second
    fake.put_file("p/a", first)
    assert run("sync", "p/", "d") == 0
    assert (folder / "a").read_bytes() == first
    fake.requests.clear()
    assert run("sync", "d", "p/") == 0
    assert run("sync", "p/", "d") == 0
    assert fake.count("GET", "/download") == fake.count("PUT", "/files") == fake.count("POST", "/upload") == 0


def test_sync_moves_no_file_for_one_that_collides(run: Run, fake: FakeService, folder: Path) -> None:
    """The old name's file is gone here, a colliding one has a new name: it is sent, not moved."""
    first, second = pair(9)
    write_old(folder / "old", first)
    assert run("sync", "d", "p/") == 0
    (folder / "old").unlink()
    write_old(folder / "new", second)
    assert run("sync", "d", "p/", "--delete") == 0
    assert {name: file.data for name, file in fake.files.items()} == {"p/new": second}


def test_sync_without_a_cache_sends_what_it_cannot_recognize(run: Run, fake: FakeService, folder: Path) -> None:
    """An ETag that is no MD5 proves nothing on a machine that did not send the file: it is sent again, once."""
    write_old(folder / "a", b"hello")
    fake.put_file("p/a", b"hello")
    fake.files["p/a"].etag = '"opaque"'
    assert run("sync", "d", "p/") == 0
    assert fake.count("PUT", "/files") == 1
    assert run("sync", "d", "p/") == 0
    assert fake.count("PUT", "/files") == 1


def test_spool_deletes_no_file_for_one_that_collides(connect: Connect, fake: FakeService, folder: Path) -> None:
    """The service has a colliding file of the name: the spool sends its own before it deletes it."""
    first, second = pair(9)
    fake.put_file("p/a.bin", first)
    (folder / "a.bin").write_bytes(second)
    Spool(connect(), folder, "p/", SpoolOptions(settle_seconds=0), on_event=print).run(once=True)
    assert not (folder / "a.bin").exists()
    assert {name: file.data for name, file in fake.files.items()} == {"p/a.bin": first, "p/a (2).bin": second}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FileCache]:
    with closing(FileCache(tmp_path / "state", "https://ferry.test")) as opened:
        yield opened


def md5(data: bytes) -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)


def multipart_etag(data: bytes, part_bytes: int) -> str:
    digests = [md5(data[i : i + part_bytes]).digest() for i in range(0, len(data), part_bytes)]
    return f'"{md5(b"".join(digests)).hexdigest()}-{len(digests)}"'


@pytest.mark.parametrize(("part_mib", "size"), [(5, 5 * MIB), (6, 11 * MIB), (8, 11 * MIB)])
def test_etag_of_parts_is_recognized(tmp_path: Path, part_mib: int, size: int) -> None:
    """The ETag of a multipart upload is that of the file, whatever size the parts had."""
    first, second = pair(size)
    (tmp_path / "a").write_bytes(first)
    (tmp_path / "b").write_bytes(second)
    etag = multipart_etag(first, part_mib * MIB)
    assert has_content(tmp_path / "a", etag)
    assert not has_content(tmp_path / "b", etag)


def test_content_is_read_once(cache: FileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is unchanged is recognized without reading it again; a changed one is read."""
    path = tmp_path / "a"
    write_old(path, b"hello")
    etag = f'"{md5(b"hello").hexdigest()}"'
    assert cache.has_content(path, etag)
    monkeypatch.setattr("ferry_client.file_cache.has_content", lambda path, etag: False)
    assert cache.has_content(path, etag)
    assert not cache.has_content(path, '"other"')
    path.write_bytes(b"hellO")
    assert not cache.has_content(path, etag)
