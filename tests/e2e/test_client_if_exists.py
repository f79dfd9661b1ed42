"""What `if_exists` means is the same at every size: by PUT, in chunks, and in parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ferry_client import Ferry
from ferry_client.errors import ConflictError
from ferry_client.options import MIN_PART_BYTES, ClientOptions
from tests.e2e.clients import MIB, ServiceUnderTest, random_bytes
from tests.e2e.ferry_command import LARGE_CHUNKS, FerryCommand

OPTIONS = ClientOptions(direct_from_bytes=2 * MIN_PART_BYTES, part_bytes=MIN_PART_BYTES, chunk_bytes=MIB)
"""Files from 10 MiB on go in parts, and chunks are large: few requests and bytes take each way."""

IN_PARTS, IN_MANY_PARTS = 11 * MIB, 46 * MIB
"""Files of three parts, and of more parts than a client sends at once at first."""

SIZES = pytest.mark.parametrize(
    "size",
    [0, 3 * MIB, 5 * MIB, IN_PARTS, pytest.param(IN_MANY_PARTS, marks=pytest.mark.stress)],
    ids=["empty", "put", "chunks", "parts", "many parts"],
)


@pytest.fixture
def ferry(service: ServiceUnderTest) -> Iterator[Ferry]:
    client = next(client for client in service.connection_info["clients"] if client["client_id"] == "demo")
    with Ferry(
        service.connection_info["base_url"],
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        options=OPTIONS,
    ) as connected:
        yield connected


@pytest.fixture
def command(service: ServiceUnderTest, tmp_path: Path) -> FerryCommand:
    return FerryCommand(service, tmp_path)


@SIZES
@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_taken_name_is_treated_as_asked(ferry: Ferry, name: str, size: int, if_exists: str) -> None:
    """A taken name: an error, a new content, a second name, or nothing. The old file is never lost unasked."""
    data = random_bytes(size)
    ferry.upload(b"old", name)
    if if_exists == "fail":
        with pytest.raises(ConflictError) as caught:
            ferry.upload(data, name)
        assert caught.value.code == "file_exists"
        assert ferry.read(name) == b"old"
        return
    result = ferry.upload(data, name, if_exists=if_exists)  # type: ignore[arg-type]
    if if_exists == "skip":
        assert result.skipped
        assert ferry.read(name) == b"old"
        return
    assert result.file is not None
    second = name if if_exists == "replace" else name.replace(".bin", " (2).bin")
    assert result.file.name == second
    assert ferry.read(second) == data
    assert ferry.read(name) == (data if if_exists == "replace" else b"old")


@SIZES
@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_free_name_is_taken(ferry: Ferry, name: str, size: int, if_exists: str) -> None:
    """A free name: the file gets it. The same file again is that file, under every choice."""
    data = random_bytes(size)
    for _ in range(2):
        result = ferry.upload(data, name, if_exists=if_exists)  # type: ignore[arg-type]
        if if_exists == "skip" and result.skipped:
            continue
        assert result.file is not None
        assert result.file.name == name
    assert [file.name for file in ferry.list(name.removesuffix(".bin"))] == [name]
    assert ferry.read(name) == data


@pytest.mark.stress
@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
@pytest.mark.parametrize("options", [(), ("--no-direct",), ("--preserve",)], ids=["any", "chunks-alone", "preserve"])
@pytest.mark.parametrize("size", [0, 3 * MIB, 5 * MIB, 20 * MIB], ids=["empty", "put", "chunks", "parts"])
def test_command_has_one_answer_at_every_size(
    ferry: Ferry, command: FerryCommand, name: str, *, size: int, options: tuple[str, ...], if_exists: str
) -> None:
    """Exit code and message of a taken name do not depend on the way that the bytes take."""
    ferry.upload(b"old", name)
    command.write("new", random_bytes(size))
    done = command.run("put", "new", name, "--if-exists", if_exists, "--json", *options, before=LARGE_CHUNKS)
    if if_exists == "fail":
        message = f"ferry: {name} exists. Choose --if-exists replace, rename or skip (in Python: if_exists).\n"
        assert (done.code, done.out, done.err) == (5, "", message)
        return
    assert done.code == 0, done.err
    (line,) = done.lines
    if if_exists == "skip":
        assert line == {"filename": name, "skipped": True}
        return
    assert line["filename"] == (name if if_exists == "replace" else name.replace(".bin", " (2).bin"))
    assert line["size"] == size
