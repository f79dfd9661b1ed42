"""The events port: what is published arrives as documented, and as one event each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ferry.aws.events import SOURCE, BusEvents, detail
from ferry.aws.session import AwsSession
from ferry.model import Event, EventKind
from ferry.outbound import Events
from tests.contract.rows import ID, NAME, NS, OTHER, file_of
from tests.fakes.clock import START, SettableClock
from tests.fakes.events import MemoryEvents
from tests.support.schema import check_detail

STARTED = Event(EventKind.STARTED, START + 7, NS, NAME, ID, 20_971_520)
COMPLETED = replace(STARTED, kind=EventKind.COMPLETED, file=file_of(), replaced=OTHER)


@dataclass(frozen=True)
class Bus:
    """Events under test, and what a consumer has got of them so far: the type and the detail of each."""

    events: Events
    got: Callable[[], list[tuple[str, Any]]]


@pytest.fixture(params=["memory", "moto"])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    if request.param == "memory":
        fake = MemoryEvents()
        yield Bus(fake, lambda: [(event.kind.value, detail(event, "bucket")) for event in fake.sent])
        return
    with mock_aws():
        yield on_moto()


def on_moto() -> Bus:
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

    return Bus(BusEvents(lambda: session.events, "bus", "bucket", SettableClock()), got)


@pytest.mark.parametrize("event", [STARTED, COMPLETED, replace(COMPLETED, kind=EventKind.DELETED, replaced=None)])
def test_an_event_arrives_as_it_is_documented(bus: Bus, event: Event) -> None:
    """Type and detail; every member by the schema."""
    bus.events.publish([event])
    [(kind, found)] = bus.got()
    check_detail(found)
    assert (kind, found) == (event.kind.value, detail(event, "bucket"))


def test_several_go_together_and_arrive_each(bus: Bus) -> None:
    """A start that could not be told goes with the end."""
    bus.events.publish([STARTED, COMPLETED])
    assert sorted(kind for kind, _ in bus.got()) == [EventKind.COMPLETED, EventKind.STARTED]


def test_an_event_sent_again_is_the_same_again(bus: Bus) -> None:
    """Consumers drop repetitions by `id`; nothing else may differ either."""
    for _ in range(2):
        bus.events.publish([COMPLETED])
    first, second = bus.got()
    assert first == second
