"""Emulate Lambda's Invoke API for asynchronous invocations, with which a function continues work in another one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from dev.local import limits
from dev.local.asgi import read_body, send_empty, serve_connection
from dev.local.pool import FunctionError, InstanceCrashedError, InvocationTimeoutError, ThrottledError
from dev.local.sigv4 import SignatureVerifier

InvokeFunction = Callable[[str, bytes], Awaitable[bytes]]

_INVOKE_PATH = re.compile(r"/2015-03-31/functions/([A-Za-z0-9_-]+)/invocations")


class LambdaApiEmulator:
    """An ASGI application.

    Args:
        function_names: logical ids of functions by their physical names.
        invoke: invokes a function by its logical id.
        verifier: checks the signatures of requests.
    """

    def __init__(self, function_names: Mapping[str, str], invoke: InvokeFunction, verifier: SignatureVerifier) -> None:
        self._function_names = function_names
        self._invoke = invoke
        self._verifier = verifier
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await serve_connection(scope, receive, send, self._serve)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send_empty(send, self.accept_invocation(scope, await read_body(receive, limits.MAX_ASYNC_EVENT_BYTES)))

    def accept_invocation(self, scope: HTTPScope, event: bytes) -> int:
        """Return the status of the response. With 202 the function runs; its result is discarded."""
        match = _INVOKE_PATH.fullmatch(scope["path"])
        headers = dict(scope["headers"])
        if len(event) > limits.MAX_ASYNC_EVENT_BYTES:
            return 413
        if not self._verifier.accepts(scope, event):
            return 403
        if scope["method"] != "POST" or match is None or match[1] not in self._function_names:
            return 404
        if headers.get(b"x-amz-invocation-type") != b"Event":
            return 400
        task = asyncio.create_task(self._run(self._function_names[match[1]], event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return 202

    async def _run(self, function: str, event: bytes) -> None:
        try:
            await self._invoke(function, event)
        except (ThrottledError, InvocationTimeoutError, InstanceCrashedError, FunctionError) as error:
            print(f"{function}, asynchronous invocation: {type(error).__name__} {error}", file=sys.stderr, flush=True)

    async def close(self) -> None:
        """Cancel the running invocations."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
