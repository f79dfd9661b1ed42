"""The completion queue."""

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
    """A completion becomes one invocation of type Event."""
    client: Any = ScriptedClient({"StatusCode": 202})
    LambdaCompletionQueue(client, "ferry-cleanup").enqueue("id", "lease")
    [(method, params)] = client.calls
    event = json.loads(params.pop("Payload"))
    assert (method, params) == ("invoke", {"FunctionName": "ferry-cleanup", "InvocationType": "Event"})
    assert event == {"ferry": "continue_completion", "upload_id": "id", "lease_id": "lease"}


def test_enqueue_rejected_raises_backend_unavailable() -> None:
    """An error of Lambda is BackendUnavailable; a throttled invocation is Throttled."""
    for code, error in (("ServiceException", BackendUnavailable), ("TooManyRequestsException", Throttled)):
        client: Any = ScriptedClient(client_error(code))
        with pytest.raises(error):
            LambdaCompletionQueue(client, "ferry-cleanup").enqueue("id", "lease")


def test_enqueue_has_short_timeout_and_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that enqueues has little time left: two attempts of two seconds."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = make_session(**{"lambda": "http://127.0.0.1:9"}).lambda_
    config: Any = client.meta.config
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert (config.retries["total_max_attempts"], config.read_timeout) == (2, 2)


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
    """With emulators, completions are queued only if Lambda has one too."""
    environment = FUNCTION_ENVIRONMENT | {"FERRY_CLEANUP_FUNCTION": function, "FERRY_ENDPOINTS": endpoints}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    factories = (wiring.settings, wiring.aws_session, wiring.completion_queue)
    for factory in factories:
        factory.cache_clear()
    try:
        assert isinstance(wiring.completion_queue(), LambdaCompletionQueue if available else NullCompletionQueue)
        if not available:
            wiring.completion_queue().enqueue("id", "lease")
    finally:
        for factory in factories:
            factory.cache_clear()
