"""Run an instance of a function: Lambda's runtime emulator with the real runtime client, as plain processes."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dev.local import processes, tcp_ports
from dev.local.errors import LocalError
from dev.local.pool import FunctionError, Instance, InstanceCrashedError, InvocationTimeoutError
from dev.local.processes import ManagedProcess
from dev.local.stack import REGION, Function
from dev.local.state import StateFolder

CALLS_FILE_NAME = "calls.jsonl"
"""The file in the state folder with the AWS permissions that functions used (`--record-calls`)."""

_RECORDER = Path(__file__).parent / "call_recorder"
_INVOKE_PATH = "/2015-03-31/functions/function/invocations"
_START_TIMEOUT_SECONDS = 10.0
_MAX_START_ATTEMPTS = 3
# The emulator ends a call at the function's timeout. This much later the call is ended here.
_TIMEOUT_GRACE_SECONDS = 2.0


def find_runtime_emulator(state: StateFolder) -> Path:
    """Return the emulator that SAM CLI ships, copied to the state folder where it is not executable.

    Raises:
        LocalError: there is no emulator for this machine.
    """
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )
    if machine is None or sys.platform != "linux":
        raise LocalError(
            f"Lambda's emulator needs Linux on x86_64 or arm64, and this is {sys.platform} on {platform.machine()}: "
            "use a container or a virtual machine with Linux"
        )
    spec = importlib.util.find_spec("samcli")
    folders = spec.submodule_search_locations if spec else None
    binary = Path(folders[0]) / "local" / "rapid" / f"aws-lambda-rie-{machine}" if folders else Path("absent")
    if not binary.is_file():
        raise LocalError(f"aws-sam-cli has no {binary.name}: install the version of requirements/dev.txt (`make venv`)")
    if os.access(binary, os.X_OK):
        return binary
    runnable = state.folder / binary.name
    shutil.copyfile(binary, runnable)
    runnable.chmod(0o700)
    return runnable


class EmulatedInstance:
    """An `Instance`. Each call blocks a thread of `threads`."""

    def __init__(self, process: ManagedProcess, port: int, threads: ThreadPoolExecutor) -> None:
        self._process = process
        self._port = port
        self._threads = threads
        self._last_call: asyncio.Future[tuple[int, bytes]] | None = None

    @property
    def alive(self) -> bool:
        return self._process.alive

    async def invoke(self, event: bytes, timeout_seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        self._last_call = loop.run_in_executor(
            self._threads, _post_event, self._port, event, timeout_seconds + _TIMEOUT_GRACE_SECONDS
        )
        # Retrieves an exception after the timeout, which asyncio would report otherwise.
        self._last_call.add_done_callback(lambda call: call.cancelled() or call.exception())
        try:
            status, payload = await asyncio.wait_for(asyncio.shield(self._last_call), timeout_seconds)
        except TimeoutError:
            raise InvocationTimeoutError from None
        except (OSError, http.client.HTTPException) as error:
            raise InstanceCrashedError(str(error)) from None
        if payload.startswith(b"Task timed out after "):
            raise InvocationTimeoutError
        if status != 200:
            raise InstanceCrashedError(payload[:500].decode("utf-8", "replace"))
        _raise_if_failed(payload)
        return payload

    async def stop(self) -> None:
        await self._process.stop()
        if self._last_call is not None:
            await asyncio.wait({self._last_call}, timeout=_TIMEOUT_GRACE_SECONDS)


class LambdaEmulator:
    """Starts instances.

    Args:
        state: the state folder.
        credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the functions.
        max_instances: how many instances of one function may run at once.
        function_count: how many functions there are.
        echo: print warnings and errors of the functions.
        record_calls: record the AWS permissions that the functions use.
    """

    def __init__(
        self,
        state: StateFolder,
        credentials: Mapping[str, str],
        *,
        max_instances: int,
        function_count: int,
        echo: bool,
        record_calls: bool,
    ) -> None:
        self._state = state
        self._record_calls = record_calls
        self._binary = find_runtime_emulator(state)
        self._credentials = credentials
        self._echo = echo
        self._threads = ThreadPoolExecutor(
            max_workers=max_instances * function_count + function_count, thread_name_prefix="invoke"
        )

    async def start(self, function: Function) -> Instance:
        """Start an instance. Raises `InstanceCrashedError`."""
        # Another process may take a free port before the emulator listens on it.
        for _ in range(_MAX_START_ATTEMPTS):
            port, api_port = tcp_ports.free_ports(2)
            child = await self._spawn(function, port, api_port)
            if await tcp_ports.wait_for_listener(port, _START_TIMEOUT_SECONDS, child.is_alive):
                return EmulatedInstance(child, port, self._threads)
            await child.stop()
        raise InstanceCrashedError(f"{function.name} did not start: see {self._state.log_path(function.name)}")

    async def _spawn(self, function: Function, port: int, api_port: int) -> ManagedProcess:
        command = [
            str(self._binary),
            *("--log-level", "error"),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{api_port}"),
            *processes.die_with_parent_command([sys.executable, "-m", "awslambdaric", function.handler], parent_pid=0),
        ]
        return await processes.start_process(
            command,
            env=function_environment(function, self._credentials, self._state, record_calls=self._record_calls),
            cwd=function.code_folder,
            log_name=function.name,
            state=self._state,
            echo=self._echo,
        )

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
        "PYTHONPYCACHEPREFIX": str(state.folder / "pycache"),
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
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        "LAMBDA_TASK_ROOT": str(function.code_folder),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        # No profile and no instance role of this machine.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **credentials,
        **function.environment,
    }


def _post_event(port: int, event: bytes, timeout_seconds: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("POST", _INVOKE_PATH, event)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _raise_if_failed(payload: bytes) -> None:
    """Raise `FunctionError` for the result of a function that raised: an object with errorType and errorMessage."""
    if not payload.startswith(b'{"error') or b'"errorType"' not in payload[:100_000]:
        return
    failure: Any = json.loads(payload)
    if "statusCode" not in failure and {"errorType", "errorMessage"} <= failure.keys():
        raise FunctionError(f"{failure['errorType']}: {failure['errorMessage']}")
