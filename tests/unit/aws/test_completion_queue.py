"""Handing work on to Lambda."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.testing.function_environment import FUNCTION_ENVIRONMENT
from ferry import wiring
from ferry.aws.completion_queue import LambdaCompletionQueue
from ferry.errors import BackendUnavailable, Throttled
from ferry.services import NullCompletionQueue
from tests.unit.aws.scripted import ScriptedClient, client_error, make_session


def test_enqueue_invokes_asynchronously() -> None:
    """One invocation of type Event, of the function that was named."""
    client: Any = ScriptedClient({"StatusCode": 202})
    LambdaCompletionQueue(client, "ferry-cleanup").enqueue("id", "attempt")
    [(method, params)] = client.calls
    event = json.loads(params.pop("Payload"))
    assert (method, params) == ("invoke", {"FunctionName": "ferry-cleanup", "InvocationType": "Event"})
    assert event == {"ferry": "continue_completion", "upload_id": "id", "lease_id": "attempt"}


def test_enqueue_rejected_raises_backend_unavailable() -> None:
    """Whatever Lambda answers; too many requests are told apart."""
    for code, meaning in (("ServiceException", BackendUnavailable), ("TooManyRequestsException", Throttled)):
        client: Any = ScriptedClient(client_error(code))
        with pytest.raises(meaning):
            LambdaCompletionQueue(client, "ferry-cleanup").enqueue("id", "attempt")


def test_enqueue_has_short_timeout_and_no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that hands on has little time left."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = make_session(**{"lambda": "http://127.0.0.1:9"}).lambda_
    config: Any = client.meta.config
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert (config.retries["total_max_attempts"], config.read_timeout) == (1, 4)


@pytest.mark.parametrize(
    ("function", "endpoints", "available"),
    [
        ("ferry-cleanup", "", True),
        ("ferry-cleanup", "s3=http://s,lambda=http://l", True),
        ("ferry-cleanup", "s3=http://s", False),
        ("", "", False),
    ],
)
def test_queue_with_emulators_requires_lambda_emulator(
    monkeypatch: pytest.MonkeyPatch, function: str, endpoints: str, *, available: bool
) -> None:
    """Beside stand-ins for the other services, Lambda must be one too, or there is no worker."""
    environment = FUNCTION_ENVIRONMENT | {"FERRY_CLEANUP_FUNCTION": function, "FERRY_ENDPOINTS": endpoints}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    factories = (wiring.settings, wiring.aws_session, wiring.completion_queue)
    for factory in factories:
        factory.cache_clear()
    try:
        assert isinstance(wiring.completion_queue(), LambdaCompletionQueue if available else NullCompletionQueue)
        wiring.completion_queue().enqueue("id", "attempt") if not available else None
    finally:
        for factory in factories:
            factory.cache_clear()
