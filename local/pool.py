"""Copies of one function: grown on demand up to a limit, one request at a time in each, replaced when they die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol


class Throttled(Exception):
    """Every copy is busy and no more may be started."""


class TimedOut(Exception):
    """The function took longer than it may."""


class Crashed(Exception):
    """The copy died, or returned more than Lambda lets through."""


class FunctionFailed(Exception):
    """The function raised; the message says what, for the log."""


class Copy(Protocol):
    """One process of a function."""

    @property
    def alive(self) -> bool: ...

    async def invoke(self, event: bytes, seconds: float) -> bytes:
        """Raises `TimedOut`, `Crashed`, `FunctionFailed`."""
        ...

    async def stop(self) -> None: ...


class Pool:
    """Args:
    start: makes a copy; raises `Crashed` when it cannot.
    limit: how many there may be at once.
    """

    def __init__(self, start: Callable[[], Awaitable[Copy]], limit: int) -> None:
        self._start = start
        self._limit = limit
        self._idle: list[tuple[float, Copy]] = []
        self._busy: set[Copy] = set()
        self._starting = 0

    @property
    def size(self) -> int:
        return len(self._idle) + len(self._busy) + self._starting

    async def invoke(self, event: bytes, seconds: float) -> bytes:
        """Raises `Throttled`, `TimedOut`, `Crashed`, `FunctionFailed`."""
        copy = await self._take()
        self._busy.add(copy)
        usable = False
        try:
            returned = await copy.invoke(event, seconds)
            usable = True
            return returned
        except FunctionFailed:
            usable = True
            raise
        finally:
            self._busy.discard(copy)
            if usable and copy.alive:
                self._idle.append((time.monotonic(), copy))
            else:
                await copy.stop()

    async def _take(self) -> Copy:
        while self._idle:
            _, copy = self._idle.pop()
            if copy.alive:
                return copy
            await copy.stop()
        if self.size >= self._limit:
            raise Throttled
        self._starting += 1
        try:
            return await self._start()
        finally:
            self._starting -= 1

    async def reap(self, older_than: float) -> None:
        """Stop copies that have been idle for so many seconds, but for one."""
        horizon = time.monotonic() - older_than
        while len(self._idle) > 1 and self._idle[0][0] < horizon:
            _, copy = self._idle.pop(0)
            await copy.stop()

    async def close(self) -> None:
        copies = [*(copy for _, copy in self._idle), *self._busy]
        self._idle.clear()
        await asyncio.gather(*(copy.stop() for copy in copies))
