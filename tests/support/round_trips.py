"""Count the backend calls of a request that wait for each other, and the time that they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from dev.fakes.faults import Call, CallLog, FaultPlan, FaultStep
from dev.network.model import AWS_DYNAMODB, AWS_S3, Network
from ferry.rules.layout import MAX_CHUNK_BYTES
from ferry.services import Services
from tests.support.in_memory_service import CHUNK_BYTES, InMemoryService

A = TypeVar("A")
B = TypeVar("B")


@dataclass
class RoundTrips(FaultPlan):
    """The calls of one process: how many come one after another, and how long AWS takes for them (`dev.network`)."""

    count: int = 0
    """Calls that wait for each other; two at the same time count as the one that takes longer."""
    milliseconds: float = 0.0
    """Their time, as if chunks had 4 MiB: a round trip each, and the bytes that S3 gets or gives."""

    def step(self, call: Call, nth: int) -> FaultStep | None:
        del nth
        network = AWS_S3 if call.port == "MemoryObjectStore" else AWS_DYNAMODB
        self.count += 1
        self.milliseconds += network.round_trip_ms + _transfer_ms(network, call)
        return None

    def run_both(self, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
        """Run two calls that are made at the same time."""
        before = self.count, self.milliseconds
        first_result = first()
        after_first = self.count, self.milliseconds
        self.count, self.milliseconds = before
        second_result = second()
        after_second = self.count, self.milliseconds
        self.count, self.milliseconds = max(after_first, after_second, key=lambda path: path[1])
        return first_result, second_result

    def services(self, service: InMemoryService, warm: Services | None = None) -> Services:
        """Return a process whose calls are counted here."""
        return replace(service.new_services(self, CallLog(), warm=warm), run_both=self.run_both)


def _transfer_ms(network: Network, call: Call) -> float:
    if network.connection_bytes_per_second is None:
        return 0.0
    sent_bytes = sum(len(argument) for argument in call.args if isinstance(argument, bytes))
    transferred_bytes = CHUNK_BYTES if call.method == "get" else sent_bytes
    return transferred_bytes * (MAX_CHUNK_BYTES / CHUNK_BYTES) * 1000 / network.connection_bytes_per_second
