"""Invokes functions when their schedules say so."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from local import schedule
from local.pool import Crashed, FunctionFailed, Throttled, TimedOut
from local.stack import Schedule

Invoke = Callable[[str, bytes], Awaitable[bytes]]


async def tick_forever(entry: Schedule, following: schedule.Next, invoke: Invoke) -> None:
    """Invoke the schedule's function at each of its times; one that is missed while the last still runs is left out."""
    at = following(datetime.now(UTC))
    while at is not None:
        await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        try:
            await invoke(entry.function, entry.payload.encode())
        except (Throttled, TimedOut, Crashed, FunctionFailed) as error:
            print(f"schedule {entry.name}: {type(error).__name__} {error}", file=sys.stderr, flush=True)
        at = following(max(at, datetime.now(UTC)))
