"""The emulator of EventBridge's PutEvents: which requests it accepts, and what it stores."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dev.fakes.clock import START_MS, SettableClock
from dev.local import eventbridge as local_bus
from dev.local import limits
from dev.local.eventbridge import EventBridgeEmulator
from dev.local.runner import serve_all
from dev.local.sigv4 import SignatureVerifier
from dev.local.tcp_ports import listen_near
from dev.local.terminal import print_event
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import EventBridgePublisher
from ferry.aws.session import AwsSession
from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from tests.support.signed_scope import signed_scope
from tests.support.small_disk import mount_small_disk

VERIFIER = SignatureVerifier(DUMMY_ENVIRONMENT, {"events"})
ENTRY = {
    "EventBusName": "bus",
    "Source": "ferry",
    "DetailType": "t",
    "Time": 1_700_000_000.5,
    "Detail": '{"id": "a.b"}',
}
EVENT = Event(EventKind.STARTED, START_MS, "ns", "a “name”.bin", "a" * 32, 5)


@pytest.fixture
def bus(tmp_path: Path) -> EventBridgeEmulator:
    return EventBridgeEmulator(frozenset({"bus"}), tmp_path, VERIFIER, on_event=print_event)


def stored_events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def send(
    bus: EventBridgeEmulator, content: object, *, method: str = "POST", target: str = "PutEvents", secret: str = ""
) -> tuple[int, Any]:
    """Send a signed request."""
    body, headers = json.dumps(content).encode(), {"x-amz-target": f"AWSEvents.{target}"}
    secret = secret or DUMMY_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    return bus.put_events(
        signed_scope(
            "events",
            method,
            "http://127.0.0.1:1/",
            body,
            headers,
            key=DUMMY_ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            secret=secret,
        ),
        body,
    )


def put_events(bus: EventBridgeEmulator, *entries: object) -> tuple[int, Any]:
    return send(bus, {"Entries": entries})


def test_event_is_stored_in_target_shape(
    bus: EventBridgeEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event is one line of JSON in the file, in the form for targets, and a short line on the terminal."""
    status, content = put_events(bus, ENTRY)
    [event] = stored_events(tmp_path)
    assert (status, content) == (200, {"FailedEntryCount": 0, "Entries": [{"EventId": event.pop("id")}]})
    assert event == {
        "version": "0",
        "detail-type": "t",
        "source": "ferry",
        "account": "000000000000",
        "time": "2023-11-14T22:13:20Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {"id": "a.b"},
    }
    assert capsys.readouterr().err[len("12:34:56 ") :] == "event      t a.b\n"


@pytest.mark.parametrize(
    "entry", [{**ENTRY, "EventBusName": "other"}, {**ENTRY, "Detail": "no JSON"}, {**ENTRY, "Detail": "1"}, {}, 1]
)
def test_invalid_entry_fails_alone(bus: EventBridgeEmulator, tmp_path: Path, entry: object) -> None:
    """The response is 200, and the result of the invalid entry has an error, as on AWS."""
    status, content = put_events(bus, ENTRY, entry)
    assert (status, content["FailedEntryCount"]) == (200, 1)
    assert ["ErrorCode" in result for result in content["Entries"]] == [False, True]
    assert len(stored_events(tmp_path)) == 1


@pytest.mark.parametrize(
    ("options", "body", "status"),
    [
        ({"secret": "other"}, {"Entries": [ENTRY]}, 403),
        ({"method": "GET"}, {"Entries": [ENTRY]}, 400),
        ({"target": "PutRule"}, {"Entries": [ENTRY]}, 400),
        ({}, {"Entries": []}, 400),
        ({}, {"Entries": [ENTRY] * (limits.MAX_PUT_EVENTS_ENTRIES + 1)}, 400),
        ({}, {"Entries": [{**ENTRY, "Detail": "x" * limits.MAX_PUT_EVENTS_BYTES}]}, 400),
        ({}, [], 400),
    ],
)
def test_other_requests_are_rejected(
    bus: EventBridgeEmulator, tmp_path: Path, options: Any, body: object, status: int
) -> None:
    """A request with another signature is 403; another operation and more than AWS's limits are 400."""
    assert send(bus, body, **options)[0] == status
    assert not (tmp_path / "events.jsonl").exists()


def test_event_file_is_rotated(bus: EventBridgeEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file is renamed, and replaces the one that was renamed before."""
    monkeypatch.setattr(local_bus, "_MAX_FILE_BYTES", 1)
    for _ in range(3):
        put_events(bus, ENTRY)
    assert len(stored_events(tmp_path)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1"]


def test_adapter_puts_events(tmp_path: Path, bus: EventBridgeEmulator) -> None:
    """A request of botocore, sent over a socket, is stored; an unknown bus is an error."""

    async def scenario() -> None:
        stopping, listener = asyncio.Event(), listen_near(0)
        session = AwsSession({"events": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        server = asyncio.create_task(serve_all({listener.detach(): bus}, stopping))
        clock = SettableClock()
        await asyncio.to_thread(EventBridgePublisher(lambda: session.events, "bus", "bucket", clock).publish, [EVENT])
        with pytest.raises(BackendUnavailable):
            await asyncio.to_thread(
                EventBridgePublisher(lambda: session.events, "none", "bucket", clock).publish, [EVENT]
            )
        stopping.set()
        await server

    asyncio.run(scenario())
    [event] = stored_events(tmp_path)
    assert_valid_detail(event["detail"])
    assert (event["detail-type"], event["detail"]["filename"]) == (EVENT.kind, EVENT.name)


def test_full_disk_rejects_entry_and_stores_no_part_of_it(tmp_path: Path) -> None:
    """An entry that finds no space is rejected, so that it stays in the outbox, and leaves no half line."""
    with mount_small_disk(tmp_path / "disk", 1) as disk:
        bus = EventBridgeEmulator(frozenset({"bus"}), disk.folder, VERIFIER)
        assert put_events(bus, ENTRY)[1]["FailedEntryCount"] == 0
        disk.fill()
        padded = {**ENTRY, "Detail": json.dumps({"id": "x" * 10_000})}
        assert put_events(bus, padded)[1]["Entries"][0]["ErrorCode"] == "InternalFailure"
        disk.free()
        assert put_events(bus, ENTRY)[1]["FailedEntryCount"] == 0
        assert len(stored_events(disk.folder)) == 2
