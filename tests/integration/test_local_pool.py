"""The instances of a function: their number, one request at a time in each, and their replacement."""

from __future__ import annotations

import asyncio

import pytest

from dev.local.pool import (
    Event,
    FunctionError,
    InstanceCrashedError,
    InstancePool,
    InvocationTimeoutError,
    ThrottledError,
)


class FakeInstance:
    """Return the event when `may_finish` is set; an event that names an error raises it."""

    def __init__(self, may_finish: asyncio.Event) -> None:
        self.alive = True
        self.calls = 0
        self.stopped = False
        self._may_finish = may_finish

    async def invoke(self, event: Event, timeout_seconds: float) -> bytes:
        self.calls += 1
        await self._may_finish.wait()
        if event == b"crash":
            self.alive = False
            raise InstanceCrashedError
        if event == b"slow":
            raise InvocationTimeoutError
        if event == b"raise":
            raise FunctionError
        return event if isinstance(event, bytes) else b"".join(event)

    async def stop(self) -> None:
        self.alive = False
        self.stopped = True


class FakeInstanceFactory:
    def __init__(self) -> None:
        self.created: list[FakeInstance] = []
        self.may_finish = asyncio.Event()

    async def __call__(self) -> FakeInstance:
        self.created.append(FakeInstance(self.may_finish))
        return self.created[-1]


async def run_pending_tasks() -> None:
    """Run every task as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_pool_grows_to_limit_then_throttles() -> None:
    """Concurrent requests have an instance each. One that waits too long is throttled, and a later one is not."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        pool = InstancePool(factory, max_instances=2, max_wait_seconds=0.01)
        calls = [asyncio.create_task(pool.invoke(b"x", 1)) for _ in range(2)]
        await run_pending_tasks()
        with pytest.raises(ThrottledError):
            await pool.invoke(b"x", 1)
        factory.may_finish.set()
        assert await asyncio.gather(*calls) == [b"x", b"x"]
        assert await pool.invoke(b"y", 1) == b"y"
        assert [instance.calls for instance in factory.created] == [1, 2]

    asyncio.run(scenario())


def test_requests_over_limit_wait_for_free_instance() -> None:
    """Requests beyond the limit wait, and get the instances that become free in the order of their arrival."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        pool = InstancePool(factory, max_instances=1)
        finished: list[bytes] = []

        async def call(event: bytes) -> None:
            finished.append(await pool.invoke(event, 1))

        calls = []
        for event in (b"1", b"2", b"3"):
            calls.append(asyncio.create_task(call(event)))
            await run_pending_tasks()
        assert [instance.calls for instance in factory.created] == [1]
        factory.may_finish.set()
        await asyncio.gather(*calls)
        assert finished == [b"1", b"2", b"3"]
        assert [instance.calls for instance in factory.created] == [3]

    asyncio.run(scenario())


def test_cancelled_wait_takes_no_instance() -> None:
    """A request that ends while it waits for an instance takes none from the requests behind it."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        pool = InstancePool(factory, max_instances=1)
        first = asyncio.create_task(pool.invoke(b"1", 1))
        await run_pending_tasks()
        second, third = (asyncio.create_task(pool.invoke(event, 1)) for event in (b"2", b"3"))
        await run_pending_tasks()
        second.cancel()
        factory.may_finish.set()
        assert list(await asyncio.gather(first, third)) == [b"1", b"3"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("event", "error"), [(b"crash", InstanceCrashedError), (b"slow", InvocationTimeoutError)])
def test_failed_instance_is_replaced(event: bytes, error: type[Exception]) -> None:
    """An instance that ended or timed out is stopped, and the next request gets a new one."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        factory.may_finish.set()
        pool = InstancePool(factory, max_instances=1)
        with pytest.raises(error):
            await pool.invoke(event, 1)
        assert await pool.invoke(b"x", 1) == b"x"
        assert [instance.stopped for instance in factory.created] == [True, False]

    asyncio.run(scenario())


def test_function_error_keeps_instance() -> None:
    """After an exception of the function its instance serves the next request."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        factory.may_finish.set()
        pool = InstancePool(factory, max_instances=1)
        with pytest.raises(FunctionError):
            await pool.invoke(b"raise", 1)
        await pool.invoke(b"x", 1)
        assert len(factory.created) == 1

    asyncio.run(scenario())


def test_dead_idle_instance_is_skipped() -> None:
    """An idle instance that has ended is skipped."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        factory.may_finish.set()
        pool = InstancePool(factory, max_instances=1)
        await pool.invoke(b"x", 1)
        factory.created[0].alive = False
        assert await pool.invoke(b"y", 1) == b"y"
        assert len(factory.created) == 2

    asyncio.run(scenario())


def test_idle_instances_are_evicted_and_close_stops_all() -> None:
    """Eviction leaves one idle instance, and close() stops it."""

    async def scenario() -> None:
        factory = FakeInstanceFactory()
        pool = InstancePool(factory, max_instances=3)
        calls = [asyncio.create_task(pool.invoke(b"x", 1)) for _ in range(3)]
        await run_pending_tasks()
        factory.may_finish.set()
        await asyncio.gather(*calls)
        await pool.evict_idle(max_idle_seconds=-1)
        assert pool.instance_count == 1
        await pool.close()
        assert all(instance.stopped for instance in factory.created)

    asyncio.run(scenario())
