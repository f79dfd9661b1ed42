"""The check of SeaweedFS's volumes, on a volume that SeaweedFS has written."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dev.local import s3_server
from dev.local.s3_volumes import DamagedVolumeError, check_volumes, record_volumes
from dev.local.state import StateFolder
from tests.support import damage

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
BUCKET = "ferry-bucket"


def put_when_ready(s3: Any, key: str, body: bytes) -> None:
    """Store an object. SeaweedFS rejects the first ones after its start."""
    for attempt in range(100):
        with contextlib.suppress(ClientError):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            return
        asyncio.run(asyncio.sleep(0.1 * (attempt > 0)))
    raise AssertionError(f"{key} was not stored")


@pytest.fixture(scope="module")
def written_volumes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield SeaweedFS's folder after some objects were stored, one was deleted, and the process was killed."""
    with contextlib.closing(StateFolder(tmp_path_factory.mktemp("volumes") / "state")) as state:
        (state.folder / "s3").mkdir()

        async def write() -> None:
            server = await s3_server.start(state, CREDENTIALS, ())
            try:
                await asyncio.to_thread(store_objects, server.url)
            finally:
                await server.kill()

        asyncio.run(write())
        yield state.folder / "s3"


def store_objects(url: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    for _ in range(100):
        with contextlib.suppress(ClientError):
            s3.create_bucket(Bucket=BUCKET)
            break
    for number in range(5):
        put_when_ready(s3, f"key-{number}", bytes([number]) * 50_000)
    s3.delete_object(Bucket=BUCKET, Key="key-2")


@pytest.fixture
def volumes(written_volumes: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder."""
    return Path(shutil.copytree(written_volumes, tmp_path / "s3"))


def data_file(volumes: Path) -> Path:
    """Return the data file that the objects are in."""
    return max(volumes.glob("*.dat"), key=lambda path: path.stat().st_size)


def test_volumes_after_kill_need_no_repair(volumes: Path) -> None:
    """A second check finds nothing either."""
    assert data_file(volumes).stat().st_size > 200_000
    assert check_volumes(volumes, s3_server.find_binary()) == []
    assert check_volumes(volumes, s3_server.find_binary()) == []


@pytest.mark.parametrize("change", damage.DAMAGES)
def test_damaged_data_file_is_named(volumes: Path, change: damage.Damage) -> None:
    """A data file that is gone, truncated, garbage or changed by one bit is an error with its path."""
    check_volumes(volumes, s3_server.find_binary())
    path = data_file(volumes)
    change(path)
    with pytest.raises(DamagedVolumeError, match=str(path)):
        check_volumes(volumes, s3_server.find_binary())


@pytest.mark.parametrize("change", damage.DAMAGES)
def test_damaged_index_is_built_again(volumes: Path, change: damage.Damage) -> None:
    """An index that is gone, truncated, garbage or changed by one bit is built again from the data, with a note."""
    path = data_file(volumes).with_suffix(".idx")
    entries = set(iter_entries(path.read_bytes()))
    change(path)
    (note,) = check_volumes(volumes, s3_server.find_binary())
    assert str(path) in note
    assert set(iter_entries(path.read_bytes())) >= {
        entry for entry in entries if not entry.endswith(b"\xff\xff\xff\xff")
    }
    assert check_volumes(volumes, s3_server.find_binary()) == []


def iter_entries(index: bytes) -> Iterator[bytes]:
    for offset in range(0, len(index), 17):
        yield index[offset : offset + 17]


def test_volume_without_any_file_is_named(volumes: Path) -> None:
    """A volume whose files are all gone is an error: its name was written down."""
    check_volumes(volumes, s3_server.find_binary())
    path = data_file(volumes)
    for suffix in (".dat", ".idx", ".vif"):
        path.with_suffix(suffix).unlink()
    with pytest.raises(DamagedVolumeError, match=str(path)):
        check_volumes(volumes, s3_server.find_binary())


@pytest.mark.parametrize("change", damage.DAMAGES)
def test_damaged_list_of_volumes_is_written_again(volumes: Path, change: damage.Damage) -> None:
    """The list of volumes follows from the files: it is written again."""
    check_volumes(volumes, s3_server.find_binary())
    path = volumes / "volumes.json"
    names = path.read_text(encoding="utf-8")
    change(path)
    (note,) = check_volumes(volumes, s3_server.find_binary())
    assert str(path) in note
    assert path.read_text(encoding="utf-8") == names


@pytest.mark.parametrize("tail", [b"\0" * 1000, b"torn needle" * 20])
def test_torn_end_of_data_file_is_no_damage(volumes: Path, tail: bytes) -> None:
    """What a kill left of a needle that the index does not have was not acknowledged."""
    with data_file(volumes).open("ab") as file:
        file.write(tail)
    assert check_volumes(volumes, s3_server.find_binary()) == []


@pytest.mark.parametrize("index", [b"", None], ids=["empty index", "no index"])
@pytest.mark.parametrize("data", [b"", b"\x03\0\0"], ids=["empty", "torn"])
def test_volume_in_creation_at_a_kill_is_deleted(volumes: Path, data: bytes, index: bytes | None) -> None:
    """A volume without a super block and without an index entry never held an object: the service starts."""
    check_volumes(volumes, s3_server.find_binary())
    (volumes / "bucket_99.dat").write_bytes(data)
    if index is not None:
        (volumes / "bucket_99.idx").write_bytes(index)
    record_volumes(volumes)
    (note,) = check_volumes(volumes, s3_server.find_binary())
    assert "bucket_99.dat" in note
    assert not list(volumes.glob("bucket_99.*"))
    assert check_volumes(volumes, s3_server.find_binary()) == []


def test_volume_that_lost_data_and_index_is_named(volumes: Path) -> None:
    """A volume that was written down had a super block: without it, and with an empty index, it is damaged."""
    check_volumes(volumes, s3_server.find_binary())
    path = data_file(volumes)
    path.write_bytes(b"")
    path.with_suffix(".idx").write_bytes(b"")
    with pytest.raises(DamagedVolumeError, match=str(path)):
        check_volumes(volumes, s3_server.find_binary())


def test_volume_with_an_index_entry_and_no_super_block_is_named(volumes: Path) -> None:
    """The index has an object that the data file has lost: it is damaged, also if the list of volumes lacks it."""
    path = data_file(volumes)
    path.write_bytes(b"")
    with pytest.raises(DamagedVolumeError, match=str(path)):
        check_volumes(volumes, s3_server.find_binary())
