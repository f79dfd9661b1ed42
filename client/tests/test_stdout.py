"""Standard output and input as other programs leave them: unbuffered, non-blocking, nearly full."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from client.tests.commands import Run, run
from client.tests.fake_service import FakeService

__all__ = ["run"]

MIB = 1024 * 1024
DATA = bytes(range(256)) * (3 * MIB // 256)


class Partial(io.RawIOBase):
    """An unbuffered output that takes a part of each write, and at first nothing, as a pipe that is full."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        self.writes += 1
        if self.writes % 2:
            return None
        self.data += bytes(data[:1_000_000])
        return min(len(data), 1_000_000)


@pytest.mark.parametrize("arguments", [("cat", "x"), ("get", "x", "-")], ids=["cat", "get"])
def test_unbuffered_output_gets_every_byte(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """With PYTHONUNBUFFERED, one call of write may take a part: the rest follows, and exit code 0 means all."""
    fake.put_file("x", DATA)
    output = Partial()
    monkeypatch.setattr("ferry_client.cli.stdout._wait", lambda: None)
    with monkeypatch.context() as replaced:
        replaced.setattr(sys, "stdout", io.TextIOWrapper(output, write_through=True))  # type: ignore[type-var]
        assert run(*arguments) == 0
    assert output.data == DATA


@pytest.mark.skipif(os.name == "nt", reason="Windows has no non-blocking pipes")
def test_output_that_does_not_block_gets_every_byte(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that a parent process made non-blocking is waited for."""
    fake.put_file("x", DATA)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with monkeypatch.context() as replaced, os.fdopen(writing, "wb") as output:
        stdout = io.TextIOWrapper(output)
        replaced.setattr(sys, "stdout", stdout)
        assert run("cat", "x") == 0
        stdout.detach()
    thread.join(60)
    assert got == [DATA]


class Hesitant(io.RawIOBase):
    """An input that has nothing yet, now and then."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._reads = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int | None:
        self._reads += 1
        if self._reads % 2:
            return None
        block, self._data = self._data[: min(len(target), MIB)], self._data[min(len(target), MIB) :]
        target[: len(block)] = block
        return len(block)


@pytest.mark.parametrize("options", [(), ("--spool-input",)], ids=["stream", "spooled"])
@pytest.mark.parametrize("data", [DATA, DATA * 2], ids=["small", "large"])
def test_input_that_does_not_block_is_read_to_its_end(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, data: bytes, options: tuple[str, ...]
) -> None:
    """An input that has nothing yet has not ended: no short file appears."""
    monkeypatch.setattr("ferry_client.sources.time.sleep", lambda seconds: None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Hesitant(data))))
    assert run("put", "-", "x", *options) == 0
    assert fake.files["x"].data == data


def test_file_that_a_rate_limit_makes_slow_goes_in_chunks(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """What one request would take longer than ten seconds for is resumable."""
    (tmp_path / "a").write_bytes(DATA)
    assert run("put", "a", "fast", "--limit-rate", "1M") == 0
    assert fake.count("POST", "/upload/chunk") == 0
    assert run("put", "a", "slow", "--limit-rate", "100K") == 0
    assert fake.count("POST", "/upload/chunk") > 0
    assert fake.files["slow"].data == DATA
