"""The event publisher."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from dev.fakes.clock import START_MS, SettableClock
from dev.testing.event_schema import assert_valid_detail
from dev.testing.function_environment import FUNCTION_ENVIRONMENT
from ferry import wiring
from ferry.aws.event_publisher import COOLDOWN_MS, EventBridgePublisher
from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from tests.unit.aws.scripted import ScriptedClient, client_error, make_session

EVENT = Event(EventKind.STARTED, START_MS + 7, "ns", "名 \u202e.bin", "a" * 32, 5)
ACCEPTED = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
REJECTED = {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]}


def publisher_over(client: Any, clock: SettableClock | None = None) -> EventBridgePublisher:
    return EventBridgePublisher(lambda: client, "bus", "bucket", clock or SettableClock())


def test_publish_sends_one_ascii_entry() -> None:
    """An event is one entry in ASCII, with the time of the change and a detail that matches the schema."""
    client: Any = ScriptedClient(ACCEPTED)
    publisher_over(client).publish([EVENT])
    [(method, params)] = client.calls
    [entry] = params["Entries"]
    detail = entry.pop("Detail")
    assert detail.isascii()
    assert_valid_detail(json.loads(detail))
    assert method == "put_events"
    assert entry == {
        "EventBusName": "bus",
        "Source": "ferry",
        "DetailType": "ferry.upload.started",
        "Time": datetime.fromtimestamp((START_MS + 7) / 1000, UTC),
    }


@pytest.mark.parametrize(
    "response", [REJECTED, client_error("InternalException"), EndpointConnectionError(endpoint_url="http://bus")]
)
def test_publish_rejected_entries_raise(response: object) -> None:
    """A rejected entry in a successful response raises, like a failed call."""
    with pytest.raises(BackendUnavailable):
        publisher_over(ScriptedClient(response)).publish([EVENT])


def test_publish_after_failure_waits_for_cooldown() -> None:
    """After a failure the bus is not called until the cooldown has passed."""
    client, clock = ScriptedClient(REJECTED, ACCEPTED), SettableClock()
    publisher = publisher_over(client, clock)
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            publisher.publish([EVENT])
    assert len(client.calls) == 1
    clock.advance(COOLDOWN_MS)
    publisher.publish([EVENT])
    publisher_over(ScriptedClient(ACCEPTED)).publish([EVENT])
    assert len(client.calls) == 2


def test_publish_has_short_timeout_and_two_attempts() -> None:
    """An attempt waits two seconds for the bus, because cleanup publishes what is left. A dead connection costs one."""
    config: Any = make_session(events="http://127.0.0.1:9").events.meta.config
    assert (config.retries["total_max_attempts"], config.read_timeout) == (2, 2)


@pytest.mark.parametrize(
    ("bus", "endpoints", "publishes"),
    [
        ("ferry", "", True),
        ("ferry", "s3=http://s,events=http://e", True),
        ("ferry", "s3=http://s", False),
        ("", "", False),
    ],
)
def test_publisher_with_emulators_requires_bus_emulator(
    monkeypatch: pytest.MonkeyPatch, bus: str, endpoints: str, *, publishes: bool
) -> None:
    """With emulators, events are published only if EventBridge has one too."""
    environment = FUNCTION_ENVIRONMENT | {"FERRY_EVENT_BUS": bus, "FERRY_ENDPOINTS": endpoints}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    factories = (wiring.settings, wiring.aws_session, wiring.event_publisher)
    for factory in factories:
        factory.cache_clear()
    try:
        assert isinstance(wiring.event_publisher(), EventBridgePublisher) == publishes
    finally:
        for factory in factories:
            factory.cache_clear()
