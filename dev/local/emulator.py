"""Run instances of functions: Lambda's runtime client in plain processes, each on a socket that only it has."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from dev.local import function_process, limits, processes
from dev.local.pool import (
    Event,
    FunctionError,
    Instance,
    InstanceCrashedError,
    InvocationTimeoutError,
    event_size_bytes,
)
from dev.local.processes import ManagedProcess
from dev.local.stack import ACCOUNT_ID, REGION, Function
from dev.local.state import StateFolder

CALLS_FILE_NAME = "calls.jsonl"
"""The file in the state folder with the AWS permissions that functions used (`--record-calls`)."""

_RECORDER = Path(__file__).parent / "call_recorder"
# Lambda gives a function 10 seconds, and starts a slower one again within the invocation.
_INIT_TIMEOUT_SECONDS = 30.0
# As large as Linux allows without privileges: an event of 6 MB takes half as many system calls.
_SOCKET_BUFFER_BYTES = 208 * 1024


class EmulatedInstance:
    """An `Instance`: a process, and this end of its socket."""

    def __init__(self, function: Function, process: ManagedProcess, connection: socket.socket) -> None:
        self._function = function
        self._process = process
        self._connection = connection
        self._in_use = asyncio.Lock()

    @property
    def alive(self) -> bool:
        return self._process.alive

    async def wait_until_ready(self) -> None:
        """Wait until the function is imported.

        Raises:
            FunctionError: the import failed.
            InstanceCrashedError: the process ended, or the import takes too long.
        """
        try:
            kind, payload = await asyncio.wait_for(self._receive_frame(), _INIT_TIMEOUT_SECONDS)
        except TimeoutError:
            raise InstanceCrashedError(f"the import took more than {_INIT_TIMEOUT_SECONDS:.0f} seconds") from None
        if kind == function_process.INIT_ERROR:
            raise FunctionError(_describe_error(payload))

    async def invoke(self, event: Event, timeout_seconds: float) -> bytes:
        async with self._in_use:
            try:
                kind, payload = await asyncio.wait_for(self._exchange(event), timeout_seconds)
            except TimeoutError:
                raise InvocationTimeoutError from None
            except OSError as error:
                raise InstanceCrashedError(str(error)) from None
        if kind == function_process.FUNCTION_ERROR:
            raise FunctionError(_describe_error(payload))
        return payload

    async def stop(self) -> None:
        await self._process.stop()
        # A call that waits for the process ends with it.
        async with self._in_use:
            self._connection.close()

    async def _exchange(self, event: Event) -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        invocation = {
            "request_id": str(uuid4()),
            "deadline_ms": int((time.time() + self._function.timeout_seconds) * 1000),
            "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self._function.name}",
        }
        description = json.dumps(invocation).encode()
        pieces = (event,) if isinstance(event, bytes) else event
        header = function_process.INVOCATION_HEADER.pack(len(description), event_size_bytes(event))
        for piece in (header + description, *pieces):
            await loop.sock_sendall(self._connection, piece)
        while True:
            kind, payload = await self._receive_frame()
            if kind != function_process.READY:
                return kind, payload

    async def _receive_frame(self) -> tuple[bytes, bytes]:
        header = await self._receive(function_process.FRAME_HEADER.size)
        kind, length = function_process.FRAME_HEADER.unpack(header)
        if length > limits.MAX_INVOKE_RESPONSE_BYTES:
            raise InstanceCrashedError(
                f"{self._function.name} returned {length} bytes, and Lambda takes {limits.MAX_INVOKE_RESPONSE_BYTES}"
            )
        return kind, await self._receive(length)

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        content = bytearray(length)
        view = memoryview(content)
        while view:
            count = await loop.sock_recv_into(self._connection, view)
            if not count:
                raise InstanceCrashedError(f"the process of {self._function.name} ended")
            view = view[count:]
        return bytes(content)


class LambdaEmulator:
    """Starts instances.

    Args:
        state: the state folder.
        credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the functions.
        echo: print warnings and errors of the functions.
        record_calls: record the AWS permissions that the functions use.
    """

    def __init__(self, state: StateFolder, credentials: Mapping[str, str], *, echo: bool, record_calls: bool) -> None:
        self._state = state
        self._credentials = credentials
        self._echo = echo
        self._record_calls = record_calls

    async def start(self, function: Function) -> Instance:
        """Start an instance, and return it once the function is imported.

        Raises:
            FunctionError, InstanceCrashedError: as `EmulatedInstance.wait_until_ready`.
        """
        connection, child_end = socket.socketpair()
        with child_end:
            for end in (connection, child_end):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
            connection.setblocking(False)
            process = await self._spawn(function, child_end.fileno())
        instance = EmulatedInstance(function, process, connection)
        try:
            await instance.wait_until_ready()
        except BaseException:
            await instance.stop()
            raise
        return instance

    async def _spawn(self, function: Function, descriptor: int) -> ManagedProcess:
        # -P: the folder of the program is not on the import path.
        program = [sys.executable, "-P", function_process.__file__, function.handler, str(descriptor)]
        return await processes.start_process(
            program,
            env=function_environment(function, self._credentials, self._state, record_calls=self._record_calls),
            cwd=function.code_folder,
            log_name=function.name,
            state=self._state,
            echo=self._echo,
            inherited_descriptors=(descriptor,),
        )


def _describe_error(payload: bytes) -> str:
    failure: Any = json.loads(payload)
    return f"{failure['errorType']}: {failure['errorMessage']}"


def function_environment(
    function: Function, credentials: Mapping[str, str], state: StateFolder, *, record_calls: bool = False
) -> dict[str, str]:
    """Return the environment of a function's process.

    With `record_calls` the recorder (`dev/local/call_recorder`) comes first on the import path.
    """
    paths = (_RECORDER, *function.import_paths) if record_calls else function.import_paths
    recording = {"CALLS_FILE": str(state.folder / CALLS_FILE_NAME)} if record_calls else {}
    return {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        # By the folder the processes of a service are found (`dev.local.launcher`).
        "STATE_DIR": str(state.folder),
        **recording,
        **platform_environment(function, credentials),
    }


def platform_environment(function: Function, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return Lambda's own variables and the template's, without the import path and this process's variables."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": f"{function.timeout_seconds:g}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        **({"AWS_LAMBDA_LOG_LEVEL": function.log_level} if function.log_format == "JSON" else {}),
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(function.code_folder),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        # No profile and no instance role of this machine.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **credentials,
        **function.environment,
    }
