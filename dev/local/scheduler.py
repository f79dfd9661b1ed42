"""Invoke functions on their schedules."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dev.local import schedule
from dev.local.pool import FunctionError, InstanceCrashedError, InvocationTimeoutError, ThrottledError
from dev.local.stack import Schedule

InvokeFunction = Callable[[str, bytes], Awaitable[bytes]]


async def run_schedule(entry: Schedule, next_time: schedule.NextTime, invoke: InvokeFunction) -> None:
    """Invoke the function at each time of its schedule. A time that passes during an invocation is skipped."""
    at = next_time(datetime.now(UTC))
    while at is not None:
        await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        try:
            await invoke(entry.function, entry.payload.encode())
        except (ThrottledError, InvocationTimeoutError, InstanceCrashedError, FunctionError) as error:
            print(f"schedule {entry.name}: {type(error).__name__} {error}", file=sys.stderr, flush=True)
        at = next_time(max(at, datetime.now(UTC)))
