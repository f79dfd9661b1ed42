"""Wait in coroutines until something holds, however slow the machine is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_SECONDS = 60.0
"""More than anything takes on a loaded machine. What does not come at all fails after it."""
INTERVAL_SECONDS = 0.005


async def wait_until(is_so: Callable[[], bool]) -> None:
    """Return once `is_so` returns true.

    Raises:
        TimeoutError: it does not within `MAX_SECONDS`.
    """
    async with asyncio.timeout(MAX_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(INTERVAL_SECONDS)
