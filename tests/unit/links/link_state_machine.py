"""Uploads by links as rules of the uploads' state machine, beside the requests of the owner for the same names.

What the counters of a link may be, follows from the uploads that came by it, and from what guests were acknowledged.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from dev.fakes.faults import Fault, FaultPlan
from ferry.links.downloads import LinkCaller
from ferry.links.lookup import Links
from ferry.links.manage import CreateRequest as LinkRequest
from ferry.links.manage import create_link, delete_link
from ferry.links.uploads import link_services
from ferry.model.files import IfExists
from ferry.model.links import MAX_RECEIVED_FACTOR, MAX_STARTED_FACTOR, Link, LinkKind, LinkUsage
from ferry.model.uploads import UploadRecord, UploadState
from ferry.rules.durations import DAY_MS
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, presign_parts
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import CHUNK_BYTES, NS
from tests.support.scheduler import run_interleaved
from tests.unit.uploads.state_machine import FILE_SIZES, UploadStateMachine, calls, chunk_body, faults

FOLDER = "in/"
LINK_NAMES = (f"{FOLDER}a", f"{FOLDER}b")
MAX_FILES, MAX_BYTES = 3, 8 * CHUNK_BYTES

guest_kinds = st.sampled_from(
    ("start", "start", "send", "send", "send", "sign", "put", "complete", "complete", "cancel", "revoke", "sweep")
)
owner_kinds = st.sampled_from(("start", "put file", "complete", "cancel", "delete"))
senders = st.sampled_from(("guest", "guest", "guest", "guest", "owner"))
link_requests = st.tuples(senders, guest_kinds, owner_kinds, st.integers(0, 9), st.integers(1, 5))


class LinkStateMachine(UploadStateMachine):
    """Guests of several links, one after another, and the owner of the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.uploads: dict[str, UploadRecord] = {}
        """The last record of each upload that came by a link."""
        self.open_link()

    def teardown(self) -> None:
        super().teardown()
        self.note_uploads()
        for link in self.links:
            self.check_last_counters(link)

    def take_backup(self) -> None:
        """No rule here: a restored store has forgotten what guests were acknowledged."""

    def restore_backup(self) -> None:
        """No rule here, like `take_backup`."""

    # Requests

    def open_link(self) -> None:
        request = LinkRequest(
            LinkKind.UPLOAD, 3 * DAY_MS // 1_000, prefix=FOLDER, max_files=MAX_FILES, max_bytes=MAX_BYTES
        )
        created = create_link(self.service.services, self.lookup(), NS, request, client_id="client", issuer="")
        self.links.append(created[0])

    def lookup(self) -> Links:
        return Links(self.service.link_repository, lambda _: False, self.service.clock, 0)

    def usage_of(self, link: Link) -> LinkUsage:
        return self.service.link_repository.get_usages([link.link_id]).get(link.link_id, LinkUsage())

    def chosen_upload(self, which: int) -> UploadRecord | None:
        """Return one of the last uploads by links."""
        self.note_uploads()
        recent = list(self.uploads.values())[-4:]
        return recent[which % len(recent)] if recent else None

    def build_link_action(self, request: Any) -> Callable[[Services], None]:
        sender, guest_kind, owner_kind, which, number = request
        if sender == "owner":
            return lambda services: self.do_by_owner(services, owner_kind, which, number)
        return lambda services: self.do_by_guest(services, guest_kind, which, number)

    def do_by_guest(self, services: Services, kind: str, which: int, number: int) -> None:
        if kind == "sweep":
            self.do_sweep()
            return
        if kind == "revoke":
            if which == 0:
                delete_link(self.lookup(), NS, self.links[-1].link_id)
                self.open_link()
            return
        if kind == "put":
            self.do_put(which, seed=1)
            return
        link = self.lookup().get_active(self.links[-1].link_id)
        by_link = link_services(services, LinkCaller(link, "192.0.2.0/24"))
        if kind == "start":
            self.do_start_by(by_link, LINK_NAMES[which % 2], FILE_SIZES[number - 1])
        else:
            self.do_with_upload(by_link, kind, self.chosen_upload(which), number)

    def do_start_by(self, services: Services, name: str, size: int) -> None:
        fingerprint = f"{size} bytes" if size % 2 else None
        request = StartRequest(name, size, chunk_size=CHUNK_BYTES, if_exists=IfExists.RENAME, fingerprint=fingerprint)
        started = start(services, NS, request)
        if started.upload is not None:
            self.model_of(started.upload.record.upload_id)
            assert started.upload.record.link_id == services.link_id, "a start has another's upload"

    def do_with_upload(self, services: Services, kind: str, record: UploadRecord | None, number: int) -> None:
        if record is None:
            return
        name, upload_id, model = record.name, record.upload_id, self.model_of(record.upload_id)
        if kind == "send" and model.layout.has_chunk(number):
            body = chunk_body(1, model.layout, number)
            model.sent[number].append(body)
            accept_chunk(services, NS, ChunkRequest(name, number, body, upload_id=upload_id))
            model.acknowledged[number] = body
        elif kind == "sign":
            model.asked_for_urls = True
            [part] = presign_parts(services, NS, PartsRequest(name, [((number + 1) // 2, None)], upload_id))
            self.urls.append((upload_id, (number + 1) // 2, part))
        elif kind == "complete":
            complete(services, NS, CompleteRequest(name, upload_id, if_exists=IfExists.RENAME))
        elif kind == "cancel":
            cancel(services, NS, name, upload_id)

    def do_by_owner(self, services: Services, kind: str, which: int, number: int) -> None:
        name = LINK_NAMES[which % 2]
        if kind in ("complete", "cancel"):
            self.do_with_upload(services, kind, self.chosen_upload(which), number)
        elif kind == "delete":
            self.do_delete(services, name)
        elif kind == "start":
            self.do_start_by(services, name, FILE_SIZES[number - 1])
        else:
            self.do_start(services, name, 0, "plain")
            self.do_complete(services, name, "plain")

    # Promises

    def note_uploads(self) -> None:
        for record in self.service.upload_repository.rows.records.values():
            if record.link_id is not None:
                self.uploads[record.upload_id] = record

    def check_counters(self) -> None:
        """Check what holds at every moment: no limit is passed, and no file is missing in the counters."""
        self.note_uploads()
        for link in self.links:
            usage = self.usage_of(link)
            records = [record for record in self.uploads.values() if record.link_id == link.link_id]
            done = [record for record in records if record.state is UploadState.COMPLETE]
            assert len(done) <= usage.files <= MAX_FILES
            assert sum(record.layout.size for record in done) <= usage.bytes <= MAX_BYTES
            assert usage.bytes <= usage.received_bytes <= MAX_RECEIVED_FACTOR * MAX_BYTES
            assert len(records) <= usage.started <= MAX_STARTED_FACTOR * MAX_FILES
        self.check_files()

    def check_last_counters(self, link: Link) -> None:
        """Check that after cleanup the counters are those of the files, and of what else was received."""
        usage = self.usage_of(link)
        records = [record for record in self.uploads.values() if record.link_id == link.link_id]
        done = [record for record in records if record.state is UploadState.COMPLETE]
        ended = [record for record in records if record.state is not UploadState.COMPLETE]
        size = sum(record.layout.size for record in done)
        assert (usage.files, usage.bytes, usage.reservations) == (len(done), size, {})
        assert usage.started == len(records)
        acknowledged = sum(self.acknowledged_bytes(record) for record in ended)
        assert size + acknowledged <= usage.received_bytes <= size + sum(record.layout.size for record in ended)
        activity = self.service.link_repository.list_activity(link.link_id, None, 100).items
        assert sorted(entry.filename or "" for entry in activity) == sorted(record.owner[1] for record in done)

    def acknowledged_bytes(self, record: UploadRecord) -> int:
        return sum(len(body) for body in self.model_of(record.upload_id).acknowledged.values())

    # Rules

    @rule(request=link_requests, interloper=link_requests, at=calls, fault=faults, fault_at=calls)
    def interleaved_by_link(self, request: Any, interloper: Any, at: int, fault: Fault | None, fault_at: int) -> None:
        """Run one request with another in the middle of it, and perhaps a fault."""
        other = self.build_link_action(interloper)
        steps: dict[Any, Any] = {at: lambda: self.run_action(other, self.new_services())}
        if fault is not None:
            steps[fault_at] = fault
        plan = FaultPlan(steps)
        self.run_action(self.build_link_action(request), self.new_services(plan))
        plan.apply_in_flight()
        self.check_counters()

    @rule(
        concurrent_requests=st.lists(link_requests, min_size=2, max_size=3),
        order=st.lists(st.integers(0, 5), min_size=3, max_size=24),
        fault=faults,
        fault_at=calls,
    )
    def concurrent_by_link(
        self, concurrent_requests: list[Any], order: list[int], fault: Fault | None, fault_at: int
    ) -> None:
        """Run two or three requests at once, call by call in the drawn order, the first perhaps with a fault."""

        def operation(request: Any) -> Callable[[FaultPlan], None]:
            return lambda plan: self.run_action(self.build_link_action(request), self.new_services(plan))

        operations = [operation(request) for request in concurrent_requests]
        run_interleaved(operations, itertools.cycle(order), {fault_at: fault} if fault else None)
        self.check_counters()

    @rule(which=st.integers(0, 9))
    def complete_by_guest(self, which: int) -> None:
        """Send what is missing, then complete: a guest that does not give up."""
        record = self.chosen_upload(which)
        if record is None or not record.state.in_progress:
            return
        for number in range(1, record.layout.chunk_count + 1):
            self.run_action(partial(self.do_as_guest, record, "send", number), self.new_services())
        self.run_action(partial(self.do_as_guest, record, "complete", 1), self.new_services())
        self.check_counters()

    def do_as_guest(self, record: UploadRecord, kind: str, number: int, services: Services) -> None:
        link = self.lookup().get_active(record.link_id or "")
        self.do_with_upload(link_services(services, LinkCaller(link, "192.0.2.0/24")), kind, record, number)
