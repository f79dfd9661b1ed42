"""Handing work on: to the clean-up function, asynchronously: it has minutes where a request has seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ferry.aws.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaWorker:
    """`ferry.outbound.Worker` over Lambda; `function` is the name of the one that cleans up."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        self._client = client
        self._function = function

    def finish(self, upload_id: str, attempt: str) -> None:
        """One call. Lambda queues the event and answers 202; it may deliver it more than once."""
        event = {"ferry": "finish", "upload_id": upload_id, "attempt": attempt}
        with translated():
            self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=json.dumps(event).encode())
