"""Comparison of a folder and a prefix, against a service in memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from client.tests.collisions import with_crc32c_of
from client.tests.fake_service import FakeService
from ferry_client.client import Ferry
from ferry_client.errors import ConflictError, LocalFileError
from ferry_client.file_cache import FileCache, FileIdentity
from ferry_client.sources import FileSource
from ferry_client.sync import SyncAction, SyncOptions, SyncStep, change_service, plan_download, plan_upload


@pytest.fixture
def ferry(connect: Callable[..., Ferry]) -> Ferry:
    return connect()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FileCache]:
    cache = FileCache(tmp_path / "state", "https://ferry.test")
    yield cache
    cache.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def summary(steps: list[SyncStep]) -> list[tuple[str, str]]:
    return [(step.action.value, step.name) for step in steps]


def upload_all(ferry: Ferry, cache: FileCache, folder: Path) -> None:
    for step in plan_upload(ferry, cache, folder, "p/"):
        assert step.path is not None
        ferry.upload(step.path, step.name, if_exists="replace")
    assert not plan_upload(ferry, cache, folder, "p/")


def test_upload_plan_names_new_and_changed_files(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """New and differing files are sent; files of the same bytes are not."""
    fake.put_file("p/same", b"same")
    fake.put_file("p/differs", b"1234")
    for name, data in {"same": b"same", "differs": b"4321", "new": b"n"}.items():
        (folder / name).write_bytes(data)
    assert summary(plan_upload(ferry, cache, folder, "p/")) == [("upload", "p/differs"), ("upload", "p/new")]


def test_upload_plan_deletes_only_when_asked(ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path) -> None:
    """Files without a local counterpart stay, unless `delete` is given; excluded ones stay always."""
    fake.put_file("p/gone", b"g")
    fake.put_file("p/kept.log", b"k")
    assert not plan_upload(ferry, cache, folder, "p/")
    assert summary(plan_upload(ferry, cache, folder, "p/", SyncOptions(delete=True, exclude=["*.log"]))) == [
        ("delete", "p/gone")
    ]


def test_renamed_file_is_moved(ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path) -> None:
    """A file that was only renamed is renamed on the service: no byte is sent."""
    (folder / "old").write_bytes(b"content")
    upload_all(ferry, cache, folder)
    (folder / "old").rename(folder / "new")
    steps = plan_upload(ferry, cache, folder, "p/", SyncOptions(delete=True))
    assert summary(steps) == [("move", "p/new")]
    change_service(ferry, cache, steps[0])
    assert fake.files["p/new"].data == b"content"
    assert "p/old" not in fake.files
    assert not plan_upload(ferry, cache, folder, "p/", SyncOptions(delete=True))


def test_renamed_file_is_sent_where_the_service_has_another_content(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """Equal size and checksum are no proof: without the very ETag that was sent, the file is sent again."""
    (folder / "old").write_bytes(b"content")
    upload_all(ferry, cache, folder)
    fake.put_file("p/old", with_crc32c_of(b"CONTENT", b"content"))
    (folder / "old").rename(folder / "new")
    assert summary(plan_upload(ferry, cache, folder, "p/")) == [("upload", "p/new")]


def test_move_of_a_file_replaced_meanwhile_conflicts(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """A move names the content that was compared: another one is not moved."""
    (folder / "old").write_bytes(b"content")
    upload_all(ferry, cache, folder)
    (folder / "old").rename(folder / "new")
    steps = plan_upload(ferry, cache, folder, "p/")
    fake.put_file("p/old", b"newer")
    with pytest.raises(ConflictError):
        change_service(ferry, cache, steps[0])
    assert fake.files["p/old"].data == b"newer"


def test_unchanged_tree_is_not_read_again(
    ferry: Ferry, cache: FileCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checksum of an unchanged file comes from the cache."""
    (folder / "f").write_bytes(b"content")
    os.utime(folder / "f", (1, 1))
    upload_all(ferry, cache, folder)

    def fail(*arguments: object) -> int:
        raise AssertionError("the file was read")

    monkeypatch.setattr("ferry_client.file_cache.range_crc32c", fail)
    assert not plan_upload(ferry, cache, folder, "p/")


def test_damaged_cache_costs_reading_alone(tmp_path: Path) -> None:
    """A database that is none is replaced by an empty one."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "files.sqlite").write_bytes(b"garbage" * 1000)
    (tmp_path / "f").write_bytes(b"123456789")
    cache = FileCache(state, "https://ferry.test")
    assert cache.crc32c(tmp_path / "f") == 0xE3069283
    cache.close()


def test_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """What a newer client keeps is neither read nor changed."""
    state = tmp_path / "state"
    FileCache(state, "https://ferry.test").close()
    with closing(sqlite3.connect(state / "files.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    (tmp_path / "f").write_bytes(b"123456789")
    os.utime(tmp_path / "f", (1, 1))
    cache = FileCache(state, "https://ferry.test")
    assert cache.crc32c(tmp_path / "f") == 0xE3069283
    cache.close()
    with closing(sqlite3.connect(state / "files.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM file").fetchone() == (0,)
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        sqlite3.DatabaseError("database disk image is malformed"),
    ],
    ids=["full", "gone", "malformed"],
)
def test_cache_whose_disk_fails_costs_reading_alone(cache: FileCache, tmp_path: Path, error: sqlite3.Error) -> None:
    """A state folder that becomes full, vanishes or is damaged while it is used is no error."""
    (tmp_path / "f").write_bytes(b"123456789")
    os.utime(tmp_path / "f", (1, 1))

    class Broken:
        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *arguments: object) -> None:
            pass

        def execute(self, *arguments: object) -> None:
            raise error

        def close(self) -> None:
            pass

    cache._database = Broken()  # type: ignore[assignment]
    assert cache.crc32c(tmp_path / "f") == 0xE3069283
    identity = FileIdentity.of(tmp_path / "f")
    cache.record_synced("p/f", identity, '"etag"')
    assert cache.earlier_names(identity) == [("p/f", '"etag"')]
    assert (tmp_path / "state" / "files.sqlite").exists() == (type(error) is sqlite3.OperationalError)


def test_cache_takes_a_folder_whose_name_is_not_utf8(cache: FileCache, tmp_path: Path) -> None:
    """A path that is not UTF-8 is remembered as any other."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    (folder / "f").write_bytes(b"123456789")
    os.utime(folder / "f", (1, 1))
    assert cache.crc32c(folder / "f") == 0xE3069283


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of files that cannot be opened; root could read them by their mode."""
    original = FileSource.__init__

    def init(source: FileSource, path: Path) -> None:
        if path.name == "secret":
            raise LocalFileError(f"{path} cannot be read: Permission denied.")
        original(source, path)

    monkeypatch.setattr(FileSource, "__init__", init)
    return "secret"


def test_upload_plan_with_an_unreadable_file_has_the_others(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path, unreadable: str
) -> None:
    """A file that cannot be read is rejected, the others are sent, and nothing is deleted."""
    fake.put_file(f"p/{unreadable}", b"1234")
    fake.put_file("p/gone", b"1234")
    (folder / unreadable).write_bytes(b"4321")
    (folder / "new").write_bytes(b"n")
    assert summary(plan_upload(ferry, cache, folder, "p/", SyncOptions(delete=True))) == [
        ("reject", f"p/{unreadable}"),
        ("upload", "p/new"),
    ]


def test_download_plan_with_an_unreadable_file_has_the_others(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path, unreadable: str
) -> None:
    """A local file that cannot be read is fetched anew; it does not end the comparison."""
    fake.put_file(f"p/{unreadable}", b"1234")
    fake.put_file("p/z", b"1234")
    (folder / unreadable).write_bytes(b"4321")
    assert summary(plan_download(ferry, cache, "p/", folder)) == [("download", f"p/{unreadable}"), ("download", "p/z")]


def test_upload_plan_deletes_nothing_that_is_left_out(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """A symbolic link that is not followed keeps what an earlier run sent of it."""
    for name in ("p/link", "p/dir/f", "p/directory", "p/gone"):
        fake.put_file(name, b"1")
    (folder / "link").symlink_to("target")
    (folder / "dir").symlink_to(".")
    steps = plan_upload(ferry, cache, folder, "p/", SyncOptions(delete=True))
    assert summary(steps) == [("delete", "p/directory"), ("delete", "p/gone")]


def test_download_plan_deletes_nothing_that_it_rejects(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """Of two names that a disk may not distinguish, the second is rejected: its file here is not deleted."""
    for name in ("A", "a"):
        fake.put_file(f"p/{name}", b"1")
        (folder / name).write_bytes(b"1")
    steps = plan_download(ferry, cache, "p/", folder, SyncOptions(delete=True))
    assert summary(steps) == [("reject", "p/a")]


def test_download_plan_deletes_no_file_that_it_wants_in_another_spelling(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """On a disk that does not distinguish letter case, the file of the other spelling is the same file."""
    fake.put_file("p/Photo", b"1")
    (folder / "photo").write_bytes(b"1")
    (folder / "extra").write_bytes(b"1")
    if not (folder / "Photo").exists():
        os.link(folder / "photo", folder / "Photo")
    steps = plan_download(ferry, cache, "p/", folder, SyncOptions(delete=True))
    assert summary(steps) == [("delete", "extra")]


def test_download_plan_with_links_in_a_circle_rejects_what_is_behind_them(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """A link that leads to itself is no way to a file, and does not end the comparison."""
    fake.put_file("p/loop/f", b"1")
    fake.put_file("p/z", b"1")
    (folder / "loop").symlink_to("loop")
    assert summary(plan_download(ferry, cache, "p/", folder)) == [("reject", "p/loop/f"), ("download", "p/z")]


def test_download_plan_names_new_changed_and_rejected_files(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """New and differing files are fetched; a name that the disk cannot hold beside another is rejected."""
    for name, data in {"p/same": b"s", "p/differs": b"12", "p/new/x": b"n", "p/new": b"f"}.items():
        fake.put_file(name, data)
    (folder / "same").write_bytes(b"s")
    (folder / "differs").write_bytes(b"21")
    (folder / "extra").write_bytes(b"e")
    steps = plan_download(ferry, cache, "p/", folder, SyncOptions(delete=True))
    assert summary(steps) == [
        ("download", "p/differs"),
        ("download", "p/new"),
        ("reject", "p/new/x"),
    ]


def test_download_plan_deletes_what_the_prefix_has_not(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """Files without a counterpart are deleted only when asked for."""
    fake.put_file("p/same", b"s")
    (folder / "same").write_bytes(b"s")
    (folder / "extra").write_bytes(b"e")
    assert not plan_download(ferry, cache, "p/", folder)
    (step,) = plan_download(ferry, cache, "p/", folder, SyncOptions(delete=True))
    assert step.action is SyncAction.DELETE
    assert step.path == folder / "extra"
