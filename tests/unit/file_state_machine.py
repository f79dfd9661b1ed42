"""Finished files against a small model of their promises: random requests, interleaved call by call, with faults.

The model holds the bodies that clients have sent. Each body is sent once, so a file's bytes show which request made it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from dev.fakes.quotas import MemoryQuotaStore
from ferry.errors import FerryError
from ferry.files.delete import delete_file
from ferry.files.move import MoveRequest, move_file
from ferry.files.put import PutRequest, put_file
from ferry.files.record import FileChange, change_record
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.files import IfExists
from ferry.rules.conditions import Conditions
from ferry.rules.digests import crc32c
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from ferry.services import Services
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, InMemoryService
from tests.support.scheduler import run_interleaved

SCHEDULE_COUNTS: Counter[int] = Counter()
"""How many interleavings ran, by their number of requests."""

NAMES = ("a", "b", "c")

names = st.sampled_from(NAMES)
calls = st.integers(1, 9)
faults = st.one_of(st.none(), st.none(), st.sampled_from(Fault))
kinds = st.sampled_from(
    ("put", "put", "put new", "upload", "change", "delete", "move", "move over", "restore", "restore as new", "sweep")
)
requests = st.tuples(kinds, names, names)


class FileStateMachine(RuleBasedStateMachine):
    """Its rules are requests: alone, with another in the middle, or several at once, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.service = InMemoryService(publish_events=True)
        self.quotas = MemoryQuotaStore(self.service.upload_repository.table)
        self.bodies: set[bytes] = set()

    def teardown(self) -> None:
        rows = self.service.upload_repository.rows
        self.service.drain_cleanup()
        self.check_files()
        assert self.service.orphans() == []
        assert rows.task_due_times == {}
        assert rows.deleted_files == {}
        assert (rows.file_events, rows.completion_events) == ({}, {})
        for upload_id in self.service.upload_repository.table.completions:
            assert "completed" in self.service.event_publisher.kinds_for(upload_id)

    def new_body(self) -> bytes:
        """Return a body that no other request sends."""
        body = f"body {len(self.bodies)}".encode()
        self.bodies.add(body)
        return body

    # Requests

    def do_put(self, services: Services, name: str, conditions: Conditions) -> bytes:
        body = self.new_body()
        result = put_file(services, NS, PutRequest(name, body, conditions=conditions))
        assert (result.file.size, result.file.crc32c) == (len(body), crc32c(body))
        return body

    def do_upload(self, services: Services, name: str) -> None:
        body = self.new_body()
        request = StartRequest(name, len(body), if_exists=IfExists.REPLACE, restart=True)
        started = start(services, NS, request)
        assert started.upload is not None
        upload_id = started.upload.record.upload_id
        accept_chunk(services, NS, ChunkRequest(name, 1, body, upload_id=upload_id))
        complete(services, NS, CompleteRequest(name, upload_id))

    def build_action(self, kind: str, name: str, other: str) -> Callable[[Services], object]:
        change = FileChange(content_type="text/csv", metadata={"a": name})
        actions: dict[str, Callable[[Services], object]] = {
            "put": lambda services: self.do_put(services, name, Conditions()),
            "put new": lambda services: self.do_put(services, name, Conditions(if_none_match="*")),
            "upload": lambda services: self.do_upload(services, name),
            "change": lambda services: change_record(services, NS, name, change, Conditions()),
            "delete": lambda services: delete_file(services, NS, name),
            "move": lambda services: move_file(services, NS, MoveRequest(name, other)),
            "move over": lambda services: move_file(services, NS, MoveRequest(name, other, replace_existing=True)),
            "restore": lambda services: restore_file(
                services, NS, RestoreRequest(name, if_exists=IfExists.REPLACE, new_name=other)
            ),
            "restore as new": lambda services: restore_file(services, NS, RestoreRequest(name)),
            "sweep": lambda services: self.service.sweep(),
        }
        return actions[kind]

    def run_action(self, action: Callable[[Services], object], services: Services) -> object:
        try:
            return action(services)
        except (FerryError, ProcessCrashed):
            return None

    # Promises

    def check_files(self) -> None:
        """Every file, and every file that can be restored, has its bytes; no object belongs to two of them."""
        rows = self.service.upload_repository.rows
        kept = [*rows.files.values(), *(deleted.file for deleted in rows.deleted_files.values())]
        assert len({file.upload_id for file in kept}) == len(kept), "an object belongs to two files"
        for file in kept:
            body = self.service.object_store.get(f"o/{file.upload_id}")
            assert body is not None, "a file without its bytes"
            assert body in self.bodies, "bytes that no client sent"
            assert (len(body), crc32c(body)) == (file.size, file.crc32c)
        for (ns, name), file in rows.files.items():
            assert (file.ns, file.name) == (ns, name)
        self.service.assert_quota_usage()

    # Rules

    @rule(request=requests, interloper=requests, at=calls, fault=faults, fault_at=calls)
    def interleaved(self, request: Any, interloper: Any, at: int, fault: Fault | None, fault_at: int) -> None:
        """Run one request with another in the middle of it, and perhaps a fault."""
        SCHEDULE_COUNTS[2] += 1
        other = self.build_action(*interloper)
        steps: dict[Any, Any] = {at: lambda: self.run_action(other, self.service.new_services())}
        if fault is not None:
            steps[fault_at] = fault
        self.run_action(self.build_action(*request), self.service.new_services(FaultPlan(steps), CallLog()))
        self.check_files()

    @rule(
        concurrent_requests=st.lists(requests, min_size=2, max_size=3),
        order=st.lists(st.integers(0, 5), min_size=3, max_size=24),
        fault=faults,
        fault_at=calls,
    )
    def concurrent(self, concurrent_requests: list[Any], order: list[int], fault: Fault | None, fault_at: int) -> None:
        """Run two or three requests at once, call by call in the drawn order, the first perhaps with a fault."""
        SCHEDULE_COUNTS[len(concurrent_requests)] += 1

        def operation(request: Any) -> Callable[[FaultPlan], object]:
            return lambda plan: self.run_action(self.build_action(*request), self.service.new_services(plan, CallLog()))

        operations = [operation(request) for request in concurrent_requests]
        run_interleaved(operations, itertools.cycle(order), {fault_at: fault} if fault else None)
        self.check_files()

    @rule(name=names)
    def put_alone(self, name: str) -> None:
        """Store a file undisturbed: the name then has its bytes."""
        body = self.run_action(lambda services: self.do_put(services, name, Conditions()), self.service.services)
        if body is not None:
            assert self.service.file_content(name) == body
        self.check_files()

    @rule(request=requests)
    def alone(self, request: Any) -> None:
        """Run one request undisturbed."""
        self.run_action(self.build_action(*request), self.service.services)
        self.check_files()

    @rule(wait_ms=st.sampled_from((MINUTE_MS, 2 * MINUTE_MS, HOUR_MS, 23 * HOUR_MS, 2 * DAY_MS)))
    def time_passes(self, wait_ms: int) -> None:
        self.service.clock.advance(wait_ms)

    @rule(limit=st.sampled_from((None, 20, 100)))
    def set_limit(self, limit: int | None) -> None:
        """Set a limit. What exists already is not counted."""
        self.quotas.set_limits(NS, max_bytes=limit, max_uploads=None, max_file_bytes=None)
