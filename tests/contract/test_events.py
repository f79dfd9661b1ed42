"""The contract of the event publisher."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.fakes.clock import START_MS, SettableClock
from dev.fakes.event_publisher import MemoryEventPublisher
from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import SOURCE, EventBridgePublisher, event_detail
from ferry.aws.session import AwsSession
from ferry.model.events import Event, EventKind
from ferry.ports.event_publisher import EventPublisher
from tests.contract.factories import NAME, NS, OTHER_ID, UPLOAD_ID, make_file

STARTED = Event(EventKind.STARTED, START_MS + 7, NS, NAME, UPLOAD_ID, 20_971_520)
COMPLETED = replace(STARTED, kind=EventKind.COMPLETED, file=make_file(), replaced_upload_id=OTHER_ID)


@dataclass(frozen=True)
class BusFixture:
    """An event publisher under test."""

    publisher: EventPublisher
    """The port."""

    received: Callable[[], list[tuple[str, Any]]]
    """Returns the type and the detail of each event that a consumer has received."""


@pytest.fixture(params=["memory", "moto"])
def bus(request: pytest.FixtureRequest) -> Iterator[BusFixture]:
    """An event publisher, and what a consumer receives."""
    if request.param == "memory":
        fake = MemoryEventPublisher()
        yield BusFixture(fake, lambda: [(event.kind.value, event_detail(event, "bucket")) for event in fake.published])
        return
    with mock_aws():
        yield moto_bus()


def moto_bus() -> BusFixture:
    """Return a publisher on moto, with a rule that sends Ferry's events to a queue."""
    session = AwsSession({})
    sqs: Any = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    session.events.create_event_bus(Name="bus")
    session.events.put_rule(Name="all", EventBusName="bus", EventPattern=json.dumps({"source": [SOURCE]}))
    session.events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "queue", "Arn": arn}])

    def receive() -> list[tuple[str, Any]]:
        response = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in response.get("Messages", [])]
        return [(body["detail-type"], body["detail"]) for body in bodies]

    return BusFixture(EventBridgePublisher(lambda: session.events, "bus", "bucket", SettableClock()), receive)


@pytest.mark.parametrize(
    "event", [STARTED, COMPLETED, replace(COMPLETED, kind=EventKind.DELETED, replaced_upload_id=None)]
)
def test_publish_delivers_documented_event(bus: BusFixture, event: Event) -> None:
    """A consumer receives type and detail as the schema describes them."""
    bus.publisher.publish([event])
    [(kind, detail)] = bus.received()
    assert_valid_detail(detail)
    assert (kind, detail) == (event.kind.value, event_detail(event, "bucket"))


def test_publish_several_delivers_each(bus: BusFixture) -> None:
    """Events that are published together are delivered one by one."""
    bus.publisher.publish([STARTED, COMPLETED])
    assert sorted(kind for kind, _ in bus.received()) == [EventKind.COMPLETED, EventKind.STARTED]


def test_publish_again_delivers_identical_event(bus: BusFixture) -> None:
    """A repeated event is identical, so that consumers can drop it by its id."""
    for _ in range(2):
        bus.publisher.publish([COMPLETED])
    first, second = bus.received()
    assert first == second
