"""Lambda's Invoke API as the local service has it: what it takes, from whom, and that nobody waits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ferry.aws.session import AwsSession
from ferry.aws.worker import LambdaWorker
from local import limits
from local.invocations import Invocations
from local.pool import Crashed
from local.service import _serve_all
from local.sockets import listen_near

PATH = "/2015-03-31/functions/ferry-f/invocations"
SIGNED = {"host": "127.0.0.1:1", "authorization": "AWS4", "x-amz-invocation-type": "Event"}


class Functions:
    """Notes what is invoked, and goes on when `go` is set."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bytes]] = []
        self.ended = 0
        self.go = asyncio.Event()

    async def invoke(self, name: str, event: bytes) -> bytes:
        self.begun.append((name, event))
        await self.go.wait()
        self.ended += 1
        if event == b"crash":
            raise Crashed("gone")
        return b"{}"


def scope(method: str = "POST", path: str = PATH, **headers: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in {**SIGNED, **headers}.items()]
    return {"type": "http", "method": method, "path": path, "headers": pairs}


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_event_is_accepted_before_the_function_has_run(capsys: pytest.CaptureFixture[str]) -> None:
    """202 at once; the function runs to its end, and how that was stands in the log at most."""

    async def main() -> None:
        functions = Functions()
        api = Invocations({"ferry-f": "F"}, functions.invoke)
        assert [api.accept(scope(), event) for event in (b"{}", b"crash")] == [202, 202]
        await settle()
        assert (functions.begun, functions.ended) == ([("F", b"{}"), ("F", b"crash")], 0)
        functions.go.set()
        await settle()
        assert functions.ended == 2

    asyncio.run(main())
    assert capsys.readouterr().err == "F, handed on: Crashed gone\n"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (scope(origin="https://page.example"), 403),
        (scope(host="page.example:80"), 403),
        (scope(path=PATH.replace("ferry-f", "other")), 404),
        (scope(path="/"), 404),
        (scope("GET"), 404),
        (scope(**{"x-amz-invocation-type": "RequestResponse"}), 400),
    ],
)
def test_nothing_else_is_served(given: Any, status: int) -> None:
    """No page in a browser, no function that is not there, no call that waits for an answer."""
    functions = Functions()
    assert Invocations({"ferry-f": "F"}, functions.invoke).accept(given, b"{}") == status
    assert functions.begun == []


def test_an_event_has_a_limit() -> None:
    """Lambda queues no more than 1 MB."""
    assert Invocations({"ferry-f": "F"}, Functions().invoke).accept(scope(), bytes(limits.EVENT + 1)) == 413


def test_what_still_runs_ends_with_the_service() -> None:
    """As when a machine goes: it does not go on behind the back of whoever has stopped it."""

    async def main() -> None:
        functions = Functions()
        api = Invocations({"ferry-f": "F"}, functions.invoke)
        api.accept(scope(), b"{}")
        await settle()
        await api.close()
        functions.go.set()
        await settle()
        assert (len(functions.begun), functions.ended) == (1, 0)

    asyncio.run(main())


def test_the_worker_speaks_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own request, over a socket."""
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        functions, stopping, listener = Functions(), asyncio.Event(), listen_near(0)
        worker = LambdaWorker(
            AwsSession({"lambda": f"http://127.0.0.1:{listener.getsockname()[1]}"}).lambda_, "ferry-f"
        )
        functions.go.set()
        api = Invocations({"ferry-f": "F"}, functions.invoke)
        server = asyncio.create_task(_serve_all({listener.detach(): api}, stopping))
        await asyncio.to_thread(worker.finish, "id", "attempt")
        stopping.set()
        await server
        [(name, event)] = functions.begun
        assert (name, json.loads(event)) == ("F", {"ferry": "finish", "upload_id": "id", "attempt": "attempt"})

    asyncio.run(main())
