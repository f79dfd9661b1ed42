"""The events port: what is published arrives as documented, and as one event each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.fakes.clock import START, SettableClock
from dev.fakes.event_publisher import MemoryEventPublisher
from dev.testing.event_schema import assert_valid_detail
from ferry.aws.event_publisher import SOURCE, EventBridgePublisher, event_detail
from ferry.aws.session import AwsSession
from ferry.model.events import Event, EventKind
from ferry.ports.event_publisher import EventPublisher
from tests.contract.factories import NAME, NS, OTHER_ID, UPLOAD_ID, make_file

STARTED = Event(EventKind.STARTED, START + 7, NS, NAME, UPLOAD_ID, 20_971_520)
COMPLETED = replace(STARTED, kind=EventKind.COMPLETED, file=make_file(), replaced_upload_id=OTHER_ID)


@dataclass(frozen=True)
class BusFixture:
    """Events under test, and what a consumer has got of them so far: the type and the detail of each."""

    publisher: EventPublisher
    received: Callable[[], list[tuple[str, Any]]]


@pytest.fixture(params=["memory", "moto"])
def bus(request: pytest.FixtureRequest) -> Iterator[BusFixture]:
    if request.param == "memory":
        fake = MemoryEventPublisher()
        yield BusFixture(fake, lambda: [(event.kind.value, event_detail(event, "bucket")) for event in fake.published])
        return
    with mock_aws():
        yield moto_bus()


def moto_bus() -> BusFixture:
    """A bus with a rule for everything of Ferry's, whose target is a queue."""
    session = AwsSession({})
    sqs: Any = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="consumer")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    session.events.create_event_bus(Name="bus")
    session.events.put_rule(Name="all", EventBusName="bus", EventPattern=json.dumps({"source": [SOURCE]}))
    session.events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "queue", "Arn": arn}])

    def got() -> list[tuple[str, Any]]:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return [(body["detail-type"], body["detail"]) for body in bodies]

    return BusFixture(EventBridgePublisher(lambda: session.events, "bus", "bucket", SettableClock()), got)


@pytest.mark.parametrize(
    "event", [STARTED, COMPLETED, replace(COMPLETED, kind=EventKind.DELETED, replaced_upload_id=None)]
)
def test_publish_delivers_documented_event(bus: BusFixture, event: Event) -> None:
    """Type and detail; every member by the schema."""
    bus.publisher.publish([event])
    [(kind, found)] = bus.received()
    assert_valid_detail(found)
    assert (kind, found) == (event.kind.value, event_detail(event, "bucket"))


def test_publish_several_delivers_each(bus: BusFixture) -> None:
    """A start that could not be told goes with the end."""
    bus.publisher.publish([STARTED, COMPLETED])
    assert sorted(kind for kind, _ in bus.received()) == [EventKind.COMPLETED, EventKind.STARTED]


def test_publish_again_delivers_identical_event(bus: BusFixture) -> None:
    """Consumers drop repetitions by `id`; nothing else may differ either."""
    for _ in range(2):
        bus.publisher.publish([COMPLETED])
    first, second = bus.received()
    assert first == second
