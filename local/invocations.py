"""Lambda's Invoke API on this machine, for functions that hand work on: asynchronous invocations, and nothing else."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from local import limits
from local.asgi import acceptable, answer_empty, body_of, lifespan
from local.pool import Crashed, FunctionFailed, Throttled, TimedOut

Invoke = Callable[[str, bytes], Awaitable[bytes]]

_PATH = re.compile(r"/2015-03-31/functions/([A-Za-z0-9_-]+)/invocations")


class Invocations:
    """An ASGI application.

    Args:
        functions: what `invoke` calls a function, by the name that callers know it by.
        invoke: runs a function for as long as it may.
    """

    def __init__(self, functions: Mapping[str, str], invoke: Invoke) -> None:
        self._functions = functions
        self._invoke = invoke
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            await answer_empty(send, self.accept(scope, await body_of(receive, limits.EVENT)))

    def accept(self, scope: HTTPScope, event: bytes) -> int:
        """The status of the answer; with 202 the function has begun, and nobody is told how it ends."""
        found = _PATH.fullmatch(scope["path"])
        headers = dict(scope["headers"])
        if not acceptable(scope["headers"]):
            return 403
        if scope["method"] != "POST" or found is None or found[1] not in self._functions:
            return 404
        if headers.get(b"x-amz-invocation-type") != b"Event":
            return 400
        if len(event) > limits.EVENT:
            return 413
        task = asyncio.create_task(self._run(self._functions[found[1]], event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return 202

    async def _run(self, function: str, event: bytes) -> None:
        try:
            await self._invoke(function, event)
        except (Throttled, TimedOut, Crashed, FunctionFailed) as error:
            print(f"{function}, handed on: {type(error).__name__} {error}", file=sys.stderr, flush=True)

    async def close(self) -> None:
        """End what still runs, as when the machine goes."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
