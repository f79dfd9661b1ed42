"""Handing work on to Lambda."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferry import wiring
from ferry.aws.worker import LambdaWorker
from ferry.engine import NoWorker
from ferry.errors import BackendUnavailable, Throttled
from tests.unit.aws.scripted import ScriptedClient, refused, session


def test_the_event_is_queued_and_not_waited_for() -> None:
    """One invocation of type Event, of the function that was named."""
    client: Any = ScriptedClient({"StatusCode": 202})
    LambdaWorker(client, "ferry-cleanup").finish("id", "attempt")
    [(method, params)] = client.calls
    event = json.loads(params.pop("Payload"))
    assert (method, params) == ("invoke", {"FunctionName": "ferry-cleanup", "InvocationType": "Event"})
    assert event == {"ferry": "finish", "upload_id": "id", "attempt": "attempt"}


def test_a_refusal_is_a_backend_that_is_not_there() -> None:
    """Whatever Lambda answers; too many requests are told apart."""
    for code, meaning in (("ServiceException", BackendUnavailable), ("TooManyRequestsException", Throttled)):
        client: Any = ScriptedClient(refused(code))
        with pytest.raises(meaning):
            LambdaWorker(client, "ferry-cleanup").finish("id", "attempt")


def test_it_is_asked_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that hands on has little time left."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = session(**{"lambda": "http://127.0.0.1:9"}).lambda_
    config: Any = client.meta.config
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert (config.retries["total_max_attempts"], config.read_timeout) == (1, 4)


@pytest.mark.parametrize(
    ("function", "endpoints", "there"),
    [
        ("ferry-cleanup", "", True),
        ("ferry-cleanup", "s3=http://s,lambda=http://l", True),
        ("ferry-cleanup", "s3=http://s", False),
        ("", "", False),
    ],
)
def test_stand_ins_never_reach_out_to_aws(
    monkeypatch: pytest.MonkeyPatch, function: str, endpoints: str, *, there: bool
) -> None:
    """Beside stand-ins for the other services, Lambda must be one too, or there is no worker."""
    names = ("LEDGER_TABLE", "ACCESS_TABLE", "BUCKET")
    numbers = (
        "TOKEN_LIFETIME",
        "SESSION_IDLE_TIMEOUT",
        "SESSION_MAX_AGE",
        "URL_LIFETIME",
        "LEASE",
        "MENDING",
        "ACCESS_CACHE",
    )
    given = dict.fromkeys(names, "x") | dict.fromkeys(numbers, "1")
    given |= {"CLEANUP_FUNCTION": function, "ENDPOINTS": endpoints}
    for name, value in given.items():
        monkeypatch.setenv(f"FERRY_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    factories = (wiring.settings, wiring.session, wiring.worker)
    for factory in factories:
        factory.cache_clear()
    try:
        assert isinstance(wiring.worker(), LambdaWorker if there else NoWorker)
        wiring.worker().finish("id", "attempt") if not there else None
    finally:
        for factory in factories:
            factory.cache_clear()
