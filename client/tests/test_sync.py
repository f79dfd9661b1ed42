"""Comparison of a folder and a prefix, against a service in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client.tests.collisions import with_crc32c_of
from client.tests.fake_service import FakeService
from ferry_client.client import Ferry
from ferry_client.errors import ConflictError
from ferry_client.file_cache import FileCache
from ferry_client.sync import SyncAction, SyncStep, change_service, plan_download, plan_upload


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
    assert summary(plan_upload(ferry, cache, folder, "p/", delete=True, exclude=["*.log"])) == [("delete", "p/gone")]


def test_renamed_file_is_moved(ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path) -> None:
    """A file that was only renamed is renamed on the service: no byte is sent."""
    (folder / "old").write_bytes(b"content")
    upload_all(ferry, cache, folder)
    (folder / "old").rename(folder / "new")
    steps = plan_upload(ferry, cache, folder, "p/", delete=True)
    assert summary(steps) == [("move", "p/new")]
    change_service(ferry, cache, steps[0])
    assert fake.files["p/new"].data == b"content"
    assert "p/old" not in fake.files
    assert not plan_upload(ferry, cache, folder, "p/", delete=True)


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


def test_download_plan_names_new_changed_and_rejected_files(
    ferry: Ferry, cache: FileCache, fake: FakeService, folder: Path
) -> None:
    """New and differing files are fetched; a name that the disk cannot hold beside another is rejected."""
    for name, data in {"p/same": b"s", "p/differs": b"12", "p/new/x": b"n", "p/new": b"f"}.items():
        fake.put_file(name, data)
    (folder / "same").write_bytes(b"s")
    (folder / "differs").write_bytes(b"21")
    (folder / "extra").write_bytes(b"e")
    steps = plan_download(ferry, cache, "p/", folder, delete=True)
    assert summary(steps) == [
        ("download", "p/differs"),
        ("download", "p/new"),
        ("reject", "p/new/x"),
        ("delete", "extra"),
    ]
    assert steps[-1].action is SyncAction.DELETE
    assert steps[-1].path == folder / "extra"
