"""Copies of one function: grown on demand up to a limit, one request at a time in each, replaced when they die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol


class ThrottledError(Exception):
    """Every copy is busy and no more may be started."""


class InvocationTimeoutError(Exception):
    """The function took longer than it may."""


class InstanceCrashedError(Exception):
    """The copy died, or returned more than Lambda lets through."""


class FunctionError(Exception):
    """The function raised; the message says what, for the log."""


class Instance(Protocol):
    """One process of a function."""

    @property
    def alive(self) -> bool: ...

    async def invoke(self, event: bytes, timeout_seconds: float) -> bytes:
        """Raises `TimedOut`, `Crashed`, `FunctionFailed`."""
        ...

    async def stop(self) -> None: ...


class InstancePool:
    """Args:
    start: makes a copy; raises `Crashed` when it cannot.
    limit: how many there may be at once.
    """

    def __init__(self, start_instance: Callable[[], Awaitable[Instance]], max_instances: int) -> None:
        self._start_instance = start_instance
        self._max_instances = max_instances
        self._idle_instances: list[tuple[float, Instance]] = []
        self._busy_instances: set[Instance] = set()
        self._starting_count = 0

    @property
    def instance_count(self) -> int:
        return len(self._idle_instances) + len(self._busy_instances) + self._starting_count

    async def invoke(self, event: bytes, timeout_seconds: float) -> bytes:
        """Raises `Throttled`, `TimedOut`, `Crashed`, `FunctionFailed`."""
        copy = await self._acquire()
        self._busy_instances.add(copy)
        usable = False
        try:
            returned = await copy.invoke(event, timeout_seconds)
            usable = True
            return returned
        except FunctionError:
            usable = True
            raise
        finally:
            self._busy_instances.discard(copy)
            if usable and copy.alive:
                self._idle_instances.append((time.monotonic(), copy))
            else:
                await copy.stop()

    async def _acquire(self) -> Instance:
        while self._idle_instances:
            _, copy = self._idle_instances.pop()
            if copy.alive:
                return copy
            await copy.stop()
        if self.instance_count >= self._max_instances:
            raise ThrottledError
        self._starting_count += 1
        try:
            return await self._start_instance()
        finally:
            self._starting_count -= 1

    async def evict_idle(self, max_idle_seconds: float) -> None:
        """Stop copies that have been idle for so many seconds, but for one."""
        horizon = time.monotonic() - max_idle_seconds
        while len(self._idle_instances) > 1 and self._idle_instances[0][0] < horizon:
            _, copy = self._idle_instances.pop(0)
            await copy.stop()

    async def close(self) -> None:
        copies = [*(copy for _, copy in self._idle_instances), *self._busy_instances]
        self._idle_instances.clear()
        await asyncio.gather(*(copy.stop() for copy in copies))
