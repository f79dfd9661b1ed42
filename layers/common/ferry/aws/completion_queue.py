"""Handing work on: to the clean-up function, asynchronously: it has minutes where a request has seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ferry.aws.errors import map_errors

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaCompletionQueue:
    """`ferry.outbound.Worker` over Lambda; `function` is the name of the one that cleans up."""

    def __init__(self, client: LambdaClient, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def enqueue(self, upload_id: str, lease_id: str) -> None:
        """One call. Lambda queues the event and answers 202; it may deliver it more than once."""
        event = {"ferry": "continue_completion", "upload_id": upload_id, "lease_id": lease_id}
        with map_errors():
            self._client.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
