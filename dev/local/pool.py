"""The instances of one function: started on demand up to a limit, one request at a time in each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

Event = bytes | tuple[bytes, ...]
"""A JSON text, or its pieces: a body of several megabytes stays a piece of its own, so that it is not copied."""

MAX_WAIT_SECONDS = 2.0
"""How long a request waits for a free instance before it is rejected."""


def event_size_bytes(event: Event) -> int:
    """Return the length of the JSON text."""
    return len(event) if isinstance(event, bytes) else sum(map(len, event))


class ThrottledError(Exception):
    """Every instance stayed busy for as long as a request waits, and the limit is reached."""


class InvocationTimeoutError(Exception):
    """The function ran longer than its timeout."""


class InstanceCrashedError(Exception):
    """The process ended, or returned more than Lambda's limit."""


class FunctionError(Exception):
    """The function raised an exception. The message has its type and text."""


class Instance(Protocol):
    """One process of a function."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        ...

    async def invoke(self, event: Event, timeout_seconds: float) -> bytes:
        """Return what the function returned.

        Raises:
            InvocationTimeoutError, InstanceCrashedError, FunctionError: as their names say.
        """
        ...

    async def stop(self) -> None:
        """End the process. Idempotent."""
        ...


class InstancePool:
    """The instances of one function.

    Args:
        start_instance: starts an instance. Raises `InstanceCrashedError` or `FunctionError`.
        max_instances: how many may run at once.
        max_wait_seconds: how long a request waits for a free instance. Requests are served in the order of arrival.
    """

    def __init__(
        self,
        start_instance: Callable[[], Awaitable[Instance]],
        max_instances: int,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._start_instance = start_instance
        self._max_wait_seconds = max_wait_seconds
        self._available = asyncio.Semaphore(max_instances)
        self._idle_instances: list[tuple[float, Instance]] = []
        self._busy_instances: set[Instance] = set()
        self._starting_count = 0

    @property
    def instance_count(self) -> int:
        """How many instances are idle, busy or starting."""
        return len(self._idle_instances) + len(self._busy_instances) + self._starting_count

    async def invoke(self, event: Event, timeout_seconds: float) -> bytes:
        """Invoke the function in an idle or a new instance.

        Raises:
            ThrottledError, InvocationTimeoutError, InstanceCrashedError, FunctionError: as their names say.
        """
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                await self._available.acquire()
        except TimeoutError:
            raise ThrottledError from None
        try:
            return await self._invoke_now(event, timeout_seconds)
        finally:
            self._available.release()

    async def _invoke_now(self, event: Event, timeout_seconds: float) -> bytes:
        instance = await self._take_or_start()
        self._busy_instances.add(instance)
        usable = False
        try:
            returned = await instance.invoke(event, timeout_seconds)
            usable = True
            return returned
        except FunctionError:
            usable = True
            raise
        finally:
            self._busy_instances.discard(instance)
            if usable and instance.alive:
                self._idle_instances.append((time.monotonic(), instance))
            else:
                await instance.stop()

    async def _take_or_start(self) -> Instance:
        while self._idle_instances:
            _, instance = self._idle_instances.pop()
            if instance.alive:
                return instance
            await instance.stop()
        self._starting_count += 1
        try:
            return await self._start_instance()
        finally:
            self._starting_count -= 1

    async def evict_idle(self, max_idle_seconds: float) -> None:
        """Stop instances that have been idle for longer, except one."""
        horizon = time.monotonic() - max_idle_seconds
        while len(self._idle_instances) > 1 and self._idle_instances[0][0] < horizon:
            _, instance = self._idle_instances.pop(0)
            await instance.stop()

    async def close(self) -> None:
        """Stop every instance."""
        instances = [*(instance for _, instance in self._idle_instances), *self._busy_instances]
        self._idle_instances.clear()
        await asyncio.gather(*(instance.stop() for instance in instances))
