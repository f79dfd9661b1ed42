"""Asynchronous completion in the cleanup function, which has 15 minutes where a request has 30 seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ferry.aws.errors import map_errors

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaCompletionQueue:
    """`CompletionQueue` over asynchronous invocations of the cleanup function."""

    def __init__(self, client: LambdaClient, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """Invoke the function asynchronously. Lambda queues the event and may deliver it more than once."""
        event = {"ferry": "continue_completion", "upload_id": upload_id, "lease_id": lease_id}
        with map_errors():
            self._client.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
