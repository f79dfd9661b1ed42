"""Streams that a program writes."""

from __future__ import annotations

import io
import sys
from typing import Any, BinaryIO, cast

import pytest


class Pipe(io.RawIOBase):
    """A stream without a name that yields its bytes once, a few at a time as a pipe does."""

    def __init__(self, data: bytes, fails_with: OSError | None = None) -> None:
        self._data = memoryview(data)
        self._fails_with = fails_with

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        block = self.read(len(target))
        target[: len(block)] = block
        return len(block)

    def read(self, size: int = -1) -> bytes:
        block, self._data = bytes(self._data[: min(size, 700_000)]), self._data[min(size, 700_000) :]
        if not block and self._fails_with:
            raise self._fails_with
        return block


def pipe(data: bytes, fails_with: OSError | None = None) -> BinaryIO:
    return cast("BinaryIO", Pipe(data, fails_with))


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(data))))
