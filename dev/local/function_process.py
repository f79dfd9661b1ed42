"""Run a function in this process with Lambda's runtime client: `function_process.py HANDLER DESCRIPTOR`.

awslambdaric asks for events over HTTP, at a port that every process of the machine and every web page could reach. Here
it gets them from a socket whose other end only the local service has; the descriptor is its number. Everything else is
awslambdaric's: how it imports the handler, calls it, converts its result and reports its errors.

A frame to this process is two lengths (`INVOCATION_HEADER`), a JSON object with `request_id`, `deadline_ms` and `arn`,
and the event. A frame from it is a kind and a length (`FRAME_HEADER`), and the payload.

The function's import path does not have this repository, so this file imports nothing of it.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any

INVOCATION_HEADER = struct.Struct("!II")
"""The lengths of the JSON object and of the event."""
FRAME_HEADER = struct.Struct("!cI")
"""A kind and the length of the payload."""
READY = b"N"
"""Kind: the process waits for an event. No payload."""
RESULT = b"R"
"""Kind: what the handler returned."""
FUNCTION_ERROR = b"E"
"""Kind: a JSON object with the `errorType` and `errorMessage` of an exception in the handler."""
INIT_ERROR = b"I"
"""Kind: such an object about an exception during the import. The process ends."""


class EventChannel:
    """This process's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def next_invocation(self) -> tuple[dict[str, Any], str]:
        """Wait for an event, and return what describes it and the event. Exit when the local service has ended."""
        self.send(READY)
        description_length, event_length = INVOCATION_HEADER.unpack(self._receive(INVOCATION_HEADER.size))
        # The JSON decoder takes text in less than half of the time that it takes bytes.
        return json.loads(self._receive(description_length)), str(self._receive(event_length), "utf-8")

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a frame."""
        self._connection.sendall(FRAME_HEADER.pack(kind, len(payload)))
        self._connection.sendall(payload)

    def _receive(self, length: int) -> bytearray:
        content = bytearray(length)
        view = memoryview(content)
        while view:
            count = self._connection.recv_into(view)
            if not count:
                sys.exit(0)
            view = view[count:]
        return content


class InvocationLog:
    """The lines that Lambda writes to a function's log around each invocation."""

    def __init__(self) -> None:
        self._started_at = 0.0

    def start(self, request_id: str) -> None:
        """Write the line before the invocation."""
        self._started_at = time.monotonic()
        sys.stdout.write(f"START RequestId: {request_id} Version: $LATEST\n")

    def end(self, request_id: str) -> None:
        """Write the lines after the invocation."""
        duration_ms = (time.monotonic() - self._started_at) * 1000
        sys.stdout.write(
            f"END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\n"
        )


def main() -> None:
    """Serve invocations until the local service ends."""
    handler, descriptor = sys.argv[1:]
    connection = socket.socket(fileno=int(descriptor))
    connection.set_inheritable(False)
    # awslambdaric's native HTTP client is not needed. It is missing on other systems than Linux, too.
    sys.modules["runtime_client"] = None  # type: ignore[assignment]  # makes its import fail
    from awslambdaric import bootstrap

    bootstrap.run(handler, _create_client(EventChannel(connection), InvocationLog()))


def _create_client(channel: EventChannel, log: InvocationLog) -> object:
    from awslambdaric.lambda_runtime_client import InvocationRequest, LambdaRuntimeClient

    class ChannelRuntimeClient(LambdaRuntimeClient):  # type: ignore[misc]  # awslambdaric has no types
        """A client of the runtime API without HTTP."""

        def wait_next_invocation(self) -> InvocationRequest:
            invocation, event = channel.next_invocation()
            log.start(invocation["request_id"])
            return InvocationRequest(
                invoke_id=invocation["request_id"],
                x_amzn_trace_id=None,
                invoked_function_arn=invocation["arn"],
                deadline_time_in_ms=invocation["deadline_ms"],
                client_context=None,
                cognito_identity=None,
                tenant_id=None,
                content_type="application/json",
                event_body=event,
                invocation_id=None,
            )

        def post_invocation_result(self, invoke_id: str, result_data: str | bytes, *_: object, **__: object) -> None:
            log.end(invoke_id)
            channel.send(RESULT, result_data if isinstance(result_data, bytes) else result_data.encode())

        def post_invocation_error(self, invoke_id: str, error_response_data: str, *_: object, **__: object) -> None:
            log.end(invoke_id)
            channel.send(FUNCTION_ERROR, error_response_data.encode())

        def post_init_error(self, error_response_data: Mapping[str, Any], *_: object, **__: object) -> None:
            channel.send(INIT_ERROR, json.dumps(error_response_data).encode())

    return ChannelRuntimeClient("")


if __name__ == "__main__":
    main()
