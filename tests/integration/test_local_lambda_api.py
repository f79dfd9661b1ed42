"""The emulator of Lambda's Invoke API: which requests it accepts, and that it does not wait for the function."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dev.local import limits
from dev.local.lambda_api import LambdaApiEmulator
from dev.local.pool import InstanceCrashedError
from dev.local.runner import serve_all
from dev.local.sigv4 import SignatureVerifier
from dev.local.tcp_ports import listen_near
from ferry.aws.completion_queue import LambdaCompletionQueue
from ferry.aws.session import AwsSession
from tests.support.signed_scope import signed_scope

PATH = "/2015-03-31/functions/ferry-f/invocations"
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
VERIFIER = SignatureVerifier(KEYS, {"lambda"})


class FakeFunctions:
    """Record the invocations, and end them when `may_finish` is set."""

    def __init__(self) -> None:
        self.started: list[tuple[str, bytes]] = []
        self.finished_count = 0
        self.may_finish = asyncio.Event()

    async def invoke(self, name: str, event: bytes) -> bytes:
        self.started.append((name, event))
        await self.may_finish.wait()
        self.finished_count += 1
        if event == b"crash":
            raise InstanceCrashedError("gone")
        return b"{}"


def scope(
    method: str = "POST", path: str = PATH, *, body: bytes = b"{}", kind: str = "Event", secret: str = "x"
) -> Any:
    """Return the scope of a signed request."""
    headers = {"x-amz-invocation-type": kind}
    return signed_scope("lambda", method, f"http://127.0.0.1:1{path}", body, headers, secret=secret)


async def run_pending_tasks() -> None:
    """Run every task as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_async_invocation_returns_202_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The response is 202 before the function ends. A failure of the function goes to the log alone."""

    async def scenario() -> None:
        functions = FakeFunctions()
        api = LambdaApiEmulator({"ferry-f": "F"}, functions.invoke, VERIFIER)
        assert [api.accept_invocation(scope(body=event), event) for event in (b"{}", b"crash")] == [202, 202]
        await run_pending_tasks()
        assert (functions.started, functions.finished_count) == ([("F", b"{}"), ("F", b"crash")], 0)
        functions.may_finish.set()
        await run_pending_tasks()
        assert functions.finished_count == 2

    asyncio.run(scenario())
    assert capsys.readouterr().err == "F, asynchronous invocation: InstanceCrashedError gone\n"


@pytest.mark.parametrize(
    ("request_options", "status"),
    [
        ({"secret": "other"}, 403),
        ({"body": b"[]"}, 403),
        ({"path": PATH.replace("ferry-f", "other")}, 404),
        ({"path": "/"}, 404),
        ({"method": "GET"}, 404),
        ({"kind": "RequestResponse"}, 400),
    ],
)
def test_other_requests_are_rejected(request_options: dict[str, Any], status: int) -> None:
    """A request with another signature is 403, an unknown function 404, a synchronous invocation 400."""
    given = scope(**request_options)  # Signed now: a signature is valid for five minutes.
    functions = FakeFunctions()
    assert LambdaApiEmulator({"ferry-f": "F"}, functions.invoke, VERIFIER).accept_invocation(given, b"{}") == status
    assert functions.started == []


def test_event_over_1_mb_returns_413() -> None:
    """An asynchronous event over 1 MB is 413, as on AWS."""
    assert (
        LambdaApiEmulator({"ferry-f": "F"}, FakeFunctions().invoke, VERIFIER).accept_invocation(
            scope(), bytes(limits.MAX_ASYNC_EVENT_BYTES + 1)
        )
        == 413
    )


def test_close_cancels_running_invocations() -> None:
    """After close() no invocation goes on."""

    async def scenario() -> None:
        functions = FakeFunctions()
        api = LambdaApiEmulator({"ferry-f": "F"}, functions.invoke, VERIFIER)
        api.accept_invocation(scope(), b"{}")
        await run_pending_tasks()
        await api.close()
        functions.may_finish.set()
        await run_pending_tasks()
        assert (len(functions.started), functions.finished_count) == (1, 0)

    asyncio.run(scenario())


def test_completion_queue_invokes_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of botocore, sent over a socket, invokes the function with the completion's event."""
    for name, value in {**KEYS, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)

    async def scenario() -> None:
        functions, stopping, listener = FakeFunctions(), asyncio.Event(), listen_near(0)
        queue = LambdaCompletionQueue(
            AwsSession({"lambda": f"http://127.0.0.1:{listener.getsockname()[1]}"}).lambda_, "ferry-f"
        )
        functions.may_finish.set()
        api = LambdaApiEmulator({"ferry-f": "F"}, functions.invoke, VERIFIER)
        server = asyncio.create_task(serve_all({listener.detach(): api}, stopping))
        await asyncio.to_thread(queue.enqueue, "id", "attempt")
        stopping.set()
        await server
        [(name, event)] = functions.started
        assert (name, json.loads(event)) == (
            "F",
            {"ferry": "continue_completion", "upload_id": "id", "lease_id": "attempt"},
        )

    asyncio.run(scenario())
