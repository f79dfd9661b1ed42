"""Copies of a function: how many, one request at a time in each, and what becomes of the dead."""

from __future__ import annotations

import asyncio

import pytest

from local.pool import Crashed, FunctionFailed, Pool, Throttled, TimedOut


class FakeCopy:
    """Answers when `go` is set; an event that names an error raises it."""

    def __init__(self, go: asyncio.Event) -> None:
        self.alive = True
        self.calls = 0
        self.stopped = False
        self._go = go

    async def invoke(self, event: bytes, seconds: float) -> bytes:
        self.calls += 1
        await self._go.wait()
        if event == b"crash":
            self.alive = False
            raise Crashed
        if event == b"slow":
            raise TimedOut
        if event == b"raise":
            raise FunctionFailed
        return event

    async def stop(self) -> None:
        self.alive = False
        self.stopped = True


class Factory:
    def __init__(self) -> None:
        self.made: list[FakeCopy] = []
        self.go = asyncio.Event()

    async def __call__(self) -> FakeCopy:
        self.made.append(FakeCopy(self.go))
        return self.made[-1]


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_grows_on_demand_up_to_its_limit() -> None:
    """Each request at once has a copy of its own; one past the limit is throttled, and later ones are not."""

    async def scenario() -> None:
        factory = Factory()
        pool = Pool(factory, limit=2)
        calls = [asyncio.create_task(pool.invoke(b"x", 1)) for _ in range(2)]
        await settle()
        with pytest.raises(Throttled):
            await pool.invoke(b"x", 1)
        factory.go.set()
        assert await asyncio.gather(*calls) == [b"x", b"x"]
        assert await pool.invoke(b"y", 1) == b"y"
        assert [copy.calls for copy in factory.made] == [1, 2]

    asyncio.run(scenario())


@pytest.mark.parametrize(("event", "error"), [(b"crash", Crashed), (b"slow", TimedOut)])
def test_a_copy_that_failed_is_replaced(event: bytes, error: type[Exception]) -> None:
    """A copy that died or took too long is stopped, and the next request gets a new one."""

    async def scenario() -> None:
        factory = Factory()
        factory.go.set()
        pool = Pool(factory, limit=1)
        with pytest.raises(error):
            await pool.invoke(event, 1)
        assert await pool.invoke(b"x", 1) == b"x"
        assert [copy.stopped for copy in factory.made] == [True, False]

    asyncio.run(scenario())


def test_a_function_that_raised_goes_on() -> None:
    """An error of the function is none of its copy."""

    async def scenario() -> None:
        factory = Factory()
        factory.go.set()
        pool = Pool(factory, limit=1)
        with pytest.raises(FunctionFailed):
            await pool.invoke(b"raise", 1)
        await pool.invoke(b"x", 1)
        assert len(factory.made) == 1

    asyncio.run(scenario())


def test_a_copy_that_died_idle_is_not_used() -> None:
    """A copy found dead is passed over."""

    async def scenario() -> None:
        factory = Factory()
        factory.go.set()
        pool = Pool(factory, limit=1)
        await pool.invoke(b"x", 1)
        factory.made[0].alive = False
        assert await pool.invoke(b"y", 1) == b"y"
        assert len(factory.made) == 2

    asyncio.run(scenario())


def test_idle_copies_are_reaped_but_for_one_and_closing_stops_all() -> None:
    """Memory comes back when the rush is over."""

    async def scenario() -> None:
        factory = Factory()
        pool = Pool(factory, limit=3)
        calls = [asyncio.create_task(pool.invoke(b"x", 1)) for _ in range(3)]
        await settle()
        factory.go.set()
        await asyncio.gather(*calls)
        await pool.reap(older_than=-1)
        assert pool.size == 1
        await pool.close()
        assert all(copy.stopped for copy in factory.made)

    asyncio.run(scenario())
