"""Instances of functions: what reaches the handler, what comes back, and how an instance ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dev.local import limits
from dev.local.emulator import LambdaEmulator
from dev.local.launcher import find_processes
from dev.local.pool import FunctionError, Instance, InstanceCrashedError, InvocationTimeoutError
from dev.local.stack import Function
from dev.local.state import StateFolder
from tests.support.port_probes import listening_sockets

HANDLERS = """
import os, sys, time

def echo(event, context):
    return {"event": event, "id": context.aws_request_id, "left_ms": context.get_remaining_time_in_millis(),
            "name": context.function_name, "arn": context.invoked_function_arn, "pid": os.getpid(), "path": sys.path,
            "bytecode": sys.pycache_prefix}

def fail(event, context):
    raise ValueError("no such thing")

def leave(event, context):
    os._exit(3)

def sleep(event, context):
    time.sleep(60)

def fill(event, context):
    return "x" * event
"""


def with_instance(folder: Path, handler: str, scenario: Callable[[Instance], Awaitable[None]]) -> str:
    """Run a scenario with an instance, and return the function's log."""
    (folder / "app.py").write_text(HANDLERS, encoding="utf-8")
    function = Function("F", folder, handler, 20.0, 128, {}, (folder,), "Text")

    async def run(state: StateFolder) -> None:
        instance = await LambdaEmulator(state, {}, echo=False, record_calls=False).start(function)
        try:
            await scenario(instance)
        finally:
            await instance.stop()

    with contextlib.closing(StateFolder(folder / "state")) as state:
        asyncio.run(run(state))
    return (folder / "state" / "logs" / "F.log").read_text(encoding="utf-8")


def test_handler_gets_event_and_context(tmp_path: Path) -> None:
    """The event arrives as it was sent; the context has the name, the ARN and the function's own timeout.

    The process is found by its state folder, and loads the bytecode beside its sources.
    """
    event = {"text": "ä\u2028\ud83d", "big": "x" * 5_500_000}
    found: dict[str, Any] = {}

    async def scenario(instance: Instance) -> None:
        found.update(json.loads(await instance.invoke(json.dumps(event).encode(), 10)))
        # `LocalService.kill` finds each process of a service by the state folder.
        assert found["pid"] in find_processes(tmp_path / "state")

    log = with_instance(tmp_path, "app.echo", scenario)
    assert found["event"] == event
    assert found["bytecode"] is None, "each new state folder would have to compile all that a function imports"
    assert (found["name"], found["arn"].rpartition(":")[2]) == ("F", "F")
    assert 10_000 < found["left_ms"] <= 20_000
    assert f"START RequestId: {found['id']} Version: $LATEST" in log
    assert f"REPORT RequestId: {found['id']}" in log


def test_function_cannot_import_the_repository(tmp_path: Path) -> None:
    """The import path has the function's folders, not those of the local service."""
    found: dict[str, Any] = {}

    async def scenario(instance: Instance) -> None:
        found.update(json.loads(await instance.invoke(b"{}", 10)))

    with_instance(tmp_path, "app.echo", scenario)
    assert str(tmp_path) in found["path"]
    assert not any(path.endswith(("dev/local", str(Path.cwd()))) for path in found["path"])


def test_instance_listens_on_no_port(tmp_path: Path) -> None:
    """Neither the function's process nor the local service opens a port for invocations."""
    ports = [0]

    async def scenario(instance: Instance) -> None:
        pid = json.loads(await instance.invoke(b"{}", 10))["pid"]
        ports[:] = [port for _, port in listening_sockets([pid, os.getpid()])]

    with_instance(tmp_path, "app.echo", scenario)
    assert ports == []


def test_exception_is_function_error_and_instance_goes_on(tmp_path: Path) -> None:
    """An exception of the handler has its type and message, and the next event reaches the same process."""

    async def scenario(instance: Instance) -> None:
        for _ in range(2):
            with pytest.raises(FunctionError, match="ValueError: no such thing"):
                await instance.invoke(b"{}", 10)
        assert instance.alive

    assert "[ERROR] ValueError: no such thing" in with_instance(tmp_path, "app.fail", scenario)


def test_ended_process_is_crash(tmp_path: Path) -> None:
    """A process that ends during a call is a crash."""

    async def scenario(instance: Instance) -> None:
        with pytest.raises(InstanceCrashedError):
            await instance.invoke(b"{}", 10)

    with_instance(tmp_path, "app.leave", scenario)


def test_timeout_ends_call_and_stop_kills_process(tmp_path: Path) -> None:
    """A call ends at its timeout; the process that still runs is killed by stop()."""

    async def scenario(instance: Instance) -> None:
        with pytest.raises(InvocationTimeoutError):
            await instance.invoke(b"{}", 0.1)
        await instance.stop()
        assert not instance.alive

    with_instance(tmp_path, "app.sleep", scenario)


def test_stop_ends_running_call(tmp_path: Path) -> None:
    """A call that runs when the instance is stopped is a crash, without the rest of its minute."""

    async def scenario(instance: Instance) -> None:
        call = asyncio.ensure_future(instance.invoke(b"{}", 30))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(instance.stop(), 30)
        with pytest.raises(InstanceCrashedError):
            await call

    with_instance(tmp_path, "app.sleep", scenario)


@pytest.mark.parametrize(("size", "fits"), [(limits.MAX_INVOKE_RESPONSE_BYTES - 2, True), (6_291_600, False)])
def test_result_over_limit_is_crash(tmp_path: Path, size: int, *, fits: bool) -> None:
    """A result of Lambda's limit passes; a larger one does not."""

    async def scenario(instance: Instance) -> None:
        if fits:
            assert len(await instance.invoke(str(size).encode(), 10)) == limits.MAX_INVOKE_RESPONSE_BYTES
        else:
            with pytest.raises(InstanceCrashedError, match="Lambda takes"):
                await instance.invoke(str(size).encode(), 10)

    with_instance(tmp_path, "app.fill", scenario)


def test_failed_import_is_function_error(tmp_path: Path) -> None:
    """A handler that cannot be imported is an error of the function, with its reason."""

    async def scenario(_: Instance) -> None:
        raise AssertionError

    with pytest.raises(FunctionError, match=r"Runtime.ImportModuleError: Unable to import module 'absent'"):
        with_instance(tmp_path, "absent.handler", scenario)
