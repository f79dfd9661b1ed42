"""Telling events to EventBridge: what it is asked, and what counts as a failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ferry import wiring
from ferry.aws.events import QUIET, BusEvents
from ferry.errors import BackendUnavailable
from ferry.model import Event, EventKind
from tests.fakes.clock import START, SettableClock
from tests.support.schema import check_detail
from tests.unit.aws.scripted import ScriptedClient, refused, session

EVENT = Event(EventKind.STARTED, START + 7, "ns", "名 \u202e.bin", "a" * 32, 5)
TAKEN = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
REFUSED = {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]}


def bus_over(client: Any, clock: SettableClock | None = None) -> BusEvents:
    return BusEvents(lambda: client, "bus", "bucket", clock or SettableClock())


def test_what_the_bus_is_asked() -> None:
    """One entry, in ASCII, whose time is that of the change; the detail is by the schema."""
    client: Any = ScriptedClient(TAKEN)
    bus_over(client).publish([EVENT])
    [(method, params)] = client.calls
    [entry] = params["Entries"]
    detail = entry.pop("Detail")
    assert detail.isascii()
    check_detail(json.loads(detail))
    assert method == "put_events"
    assert entry == {
        "EventBusName": "bus",
        "Source": "ferry",
        "DetailType": "ferry.upload.started",
        "Time": datetime.fromtimestamp((START + 7) / 1000, UTC),
    }


@pytest.mark.parametrize(
    "answer", [REFUSED, refused("InternalException"), EndpointConnectionError(endpoint_url="http://bus")]
)
def test_whatever_was_not_taken_is_a_failure(answer: object) -> None:
    """A 200 that says so in its entries too."""
    with pytest.raises(BackendUnavailable):
        bus_over(ScriptedClient(answer)).publish([EVENT])


def test_a_bus_that_has_just_failed_is_left_alone() -> None:
    """Nobody waits for it again and again; after a while it is asked once more."""
    client, clock = ScriptedClient(REFUSED, TAKEN), SettableClock()
    bus = bus_over(client, clock)
    for _ in range(3):
        with pytest.raises(BackendUnavailable):
            bus.publish([EVENT])
    assert len(client.calls) == 1
    clock.advance(QUIET)
    bus.publish([EVENT])
    bus_over(ScriptedClient(TAKEN)).publish([EVENT])
    assert len(client.calls) == 2


def test_it_is_asked_once_and_not_for_long() -> None:
    """A request that tells something waits two seconds for it at most; the sweep stands behind it."""
    config: Any = session(events="http://127.0.0.1:9").events.meta.config
    assert (config.retries["total_max_attempts"], config.read_timeout) == (1, 2)


@pytest.mark.parametrize(
    ("bus", "endpoints", "told"),
    [
        ("ferry", "", True),
        ("ferry", "s3=http://s,events=http://e", True),
        ("ferry", "s3=http://s", False),
        ("", "", False),
    ],
)
def test_stand_ins_never_reach_out_to_aws(
    monkeypatch: pytest.MonkeyPatch, bus: str, endpoints: str, *, told: bool
) -> None:
    """Beside stand-ins for the other services, the bus must be one too, or nobody is told anything."""
    names = ("LEDGER_TABLE", "ACCESS_TABLE", "BUCKET")
    numbers = ("TOKEN_LIFETIME", "SESSION_IDLE_TIMEOUT", "SESSION_MAX_AGE", "URL_LIFETIME", "LEASE", "MENDING")
    given = dict.fromkeys(names, "x") | dict.fromkeys(numbers, "1") | {"EVENT_BUS": bus, "ENDPOINTS": endpoints}
    for name, value in given.items():
        monkeypatch.setenv(f"FERRY_{name}", value)
    factories = (wiring.settings, wiring.session, wiring.events)
    for factory in factories:
        factory.cache_clear()
    try:
        assert isinstance(wiring.events(), BusEvents) == told
    finally:
        for factory in factories:
            factory.cache_clear()
