"""Ferry against a small model of its promises: random requests of several clients, interleaved call by call.

The model holds only what clients have seen: which chunks were acknowledged with which bytes, and which bodies S3
accepted for a part. From that follows what a finished file may contain.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from admin.recount import recount
from dev.fakes.faults import CallLog, Fault, FaultPlan, ProcessCrashed
from dev.fakes.quotas import MemoryQuotaStore
from ferry.errors import FerryError
from ferry.files.delete import delete_file
from ferry.files.delete_many import DeleteEntry, delete_files
from ferry.files.move import MoveRequest, move_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.files import File, IfExists
from ferry.rules.durations import DAY_MS, HOUR_MS, MINUTE_MS
from ferry.rules.layout import ChunkLayout
from ferry.services import Services
from ferry.uploads.cancel import cancel
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, presign_parts
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import CHUNK_BYTES, NS, InMemoryService, seeded_bytes
from tests.support.scheduler import run_interleaved
from tests.unit.uploads.upload_model import Backup, UploadModel

SCHEDULE_COUNTS: Counter[int] = Counter()
"""How many interleavings ran, by their number of requests."""

NAMES = ("a", "b")
FILE_SIZES = (0, 5, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 7, 5 * CHUNK_BYTES)

CHOICES = {"replace": IfExists.REPLACE, "restart": IfExists.REPLACE, "rename": IfExists.RENAME}
"""What to do with a file of the name, by the mode of a request."""

names = st.sampled_from(NAMES)
chunks = st.integers(1, 5)
seeds = st.sampled_from((1, 1, 1, 2))
calls = st.integers(1, 9)
faults = st.one_of(st.none(), st.none(), st.sampled_from(Fault))


def chunk_body(seed: int, layout: ChunkLayout, index: int) -> bytes:
    """Return the chunk that a client with that seed sends."""
    return seeded_bytes(layout.chunk_length(index), seed=seed * 100 + index)


def part_body(seed: int, layout: ChunkLayout, number: int) -> bytes:
    """Return the part that a client with that seed sends."""
    return b"".join(chunk_body(seed, layout, index) for index in layout.chunks_in_part(number))


class UploadStateMachine(RuleBasedStateMachine):
    """Its rules are requests: alone, with another in the middle (`interloper`), or several at once, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = [
            mock.patch("ferry.rules.layout.DEFAULT_PART_BYTES", 2 * CHUNK_BYTES),
            mock.patch("dev.fakes.object_store.MIN_PART_BYTES", 2 * CHUNK_BYTES),
        ]
        for patch in self._patches:
            patch.start()
        self.service = InMemoryService(publish_events=True)
        self.quotas = MemoryQuotaStore(self.service.upload_repository.table)
        self.models: dict[str, UploadModel] = {}
        self.urls: list[tuple[str, int, Any]] = []
        self.backup: Backup | None = None
        self.replace_instances()

    def teardown(self) -> None:
        try:
            self.service.drain_cleanup()
            assert self.service.orphans() == []
            assert self.service.upload_repository.rows.task_due_times == {}
            assert not any(record.state.in_progress for record in self.service.upload_repository.rows.records.values())
            self.check_files()
            self.service.assert_events_published()
        finally:
            self.stop_patches()

    def stop_patches(self) -> None:
        """Give chunks and parts their sizes back."""
        for patch in self._patches:
            patch.stop()

    def replace_instances(self) -> None:
        """Begin with new processes. Each serves every third request, so it knows what was true some requests ago."""
        self.instances = itertools.cycle([self.service.services, *(self.service.new_services() for _ in range(2))])

    def new_services(self, plan: FaultPlan | None = None) -> Services:
        """Return the next process, for one request."""
        return self.service.new_services(plan, CallLog(), warm=next(self.instances))

    def model_of(self, upload_id: str) -> UploadModel:
        """Return the model of an upload. Of one whose start got no response, nothing is known yet."""
        if upload_id not in self.models:
            self.models[upload_id] = UploadModel(self.service.upload_repository.rows.records[upload_id].layout)
        return self.models[upload_id]

    def required_id(self, name: str) -> str | None:
        """Return the id of the current upload if requests need it."""
        current_upload = self.service.upload_repository.get_current_upload(NS, name)
        if current_upload is None:
            return None
        record = self.service.upload_repository.rows.records[current_upload.upload_id]
        return record.upload_id if record.upload_id_required else None

    # Requests

    def do_start(self, services: Services, name: str, size: int, mode: str) -> None:
        request = StartRequest(
            name,
            size,
            chunk_size=CHUNK_BYTES,
            if_exists=CHOICES.get(mode, IfExists.FAIL),
            fingerprint=f"{size} bytes" if mode == "rename" else None,
            restart=mode == "restart",
            resume=mode == "resume",
        )
        started = start(services, NS, request)
        if started.upload is not None:
            record = started.upload.record
            self.model_of(record.upload_id)
            assert mode == "rename" or record.name == name

    def do_send(self, services: Services, name: str, index: int, seed: int) -> None:
        current_upload = self.service.upload_repository.get_current_upload(NS, name)
        if current_upload is None:
            return
        model = self.model_of(current_upload.upload_id)
        if not model.layout.has_chunk(index):
            return
        body = chunk_body(seed, model.layout, index)
        model.sent[index].append(body)
        accepted = accept_chunk(services, NS, ChunkRequest(name, index, body, upload_id=current_upload.upload_id))
        assert accepted.upload_id == current_upload.upload_id
        assert model.acknowledged.setdefault(index, body) == body, "two bodies were acknowledged for one chunk"

    def do_sign(self, services: Services, name: str, number: int) -> None:
        self.note_signing(name)
        try:
            [part] = presign_parts(services, NS, PartsRequest(name, [(number, None)], self.required_id(name)))
        finally:
            self.note_signing(name)
        current_upload = self.service.upload_repository.get_current_upload(NS, name)
        assert current_upload is not None
        self.urls.append((current_upload.upload_id, number, part))

    def note_signing(self, name: str) -> None:
        """Note that the current upload of a name may have presigned parts from now on."""
        current_upload = self.service.upload_repository.get_current_upload(NS, name)
        if current_upload is not None:
            self.model_of(current_upload.upload_id).asked_for_urls = True

    def do_put(self, which: int, seed: int) -> None:
        if not self.urls:
            return
        upload_id, number, part = self.urls[which % len(self.urls)]
        model = self.models[upload_id]
        body = part_body(seed, model.layout, number)
        if self.service.object_store.put_presigned(part.url, body, dict(part.headers)).status == 200:
            model.put[number].append(body)

    def do_complete(self, services: Services, name: str, mode: str) -> None:
        request = CompleteRequest(name, self.required_id(name), if_exists=CHOICES.get(mode))
        result = complete(services, NS, request)
        if isinstance(result, File) and self.service.file_repository.get_file(NS, result.name) == result:
            self.check_content(result)

    def do_cancel(self, services: Services, name: str) -> None:
        cancel(services, NS, name, self.required_id(name))

    def do_delete(self, services: Services, name: str) -> None:
        delete_file(services, NS, name)

    def do_move(self, services: Services, name: str, mode: str) -> None:
        """Move to the other name."""
        [other] = set(NAMES) - {name}
        replace_existing = mode != "plain"
        moved = move_file(services, NS, MoveRequest(name, other, replace_existing=replace_existing))
        assert (moved.name, moved.moved_from) == (other, name)

    def do_restore(self, services: Services, name: str, mode: str) -> None:
        restored = restore_file(services, NS, RestoreRequest(name, if_exists=CHOICES.get(mode, IfExists.FAIL)))
        assert restored.restored_by is not None

    def do_delete_several(self, services: Services) -> None:
        results = delete_files(services, NS, [DeleteEntry(name) for name in (*NAMES, "unknown")])
        assert "unknown" not in results.deleted

    # Promises

    def check_content(self, file: File) -> None:
        model = self.model_of(file.upload_id)
        body = self.service.object_store.get(f"o/{file.upload_id}")
        assert body is not None, "a file without its bytes"
        assert len(body) == model.layout.size == file.size
        for number in range(1, model.layout.part_count + 1):
            at = (number - 1) * model.layout.part_size
            self.check_part(file.upload_id, number, body[at : at + model.layout.part_size])

    def check_part(self, upload_id: str, number: int, body: bytes) -> None:
        model = self.model_of(upload_id)
        indexes = model.layout.chunks_in_part(number)
        promised = [model.acknowledged.get(index) for index in indexes]
        if all(chunk is not None for chunk in promised):
            assert body == b"".join(chunk for chunk in promised if chunk is not None)
            return
        if model.may_come_directly(number, body):
            return
        assert not self.must_come_directly(upload_id, number), "a chunk without acknowledgement replaced a part"
        for offset, index in enumerate(indexes):
            chunk = body[offset * CHUNK_BYTES : (offset + 1) * CHUNK_BYTES]
            assert chunk in model.sent[index], "bytes that no client sent"
            assert model.acknowledged.get(index, chunk) == chunk

    def must_come_directly(self, upload_id: str, number: int) -> bool:
        """Return whether S3 has accepted the part and Ferry has not all of its chunks, as far as its rows still say."""
        table = self.service.upload_repository.table
        upload = self.service.upload_repository.get_upload(upload_id)
        if table.was_restored or upload is None or not upload.shards or not self.models[upload_id].put[number]:
            return False
        return not upload.has_all_chunks_of_part(number)

    def check_files(self) -> None:
        self.service.assert_quota_usage()
        rows, now = self.service.upload_repository.rows, self.service.clock()
        for file in rows.files.values():
            self.check_content(file)
            if self.model_of(file.upload_id).earlier_object is None:
                assert not rows.records[file.upload_id].requires_checksum, "no completion here sends a checksum"
        for deleted_file in rows.deleted_files.values():
            if deleted_file.restorable_until > now:
                self.check_content(deleted_file.file)

    # Rules

    def build_action(self, kind: str, name: str, number: int, seed: int, mode: str) -> Callable[[Services], None]:
        size = FILE_SIZES[(number + seed) % len(FILE_SIZES)]
        return {
            "start": lambda services: self.do_start(services, name, size, mode),
            "send": lambda services: self.do_send(services, name, number, seed),
            "sign": lambda services: self.do_sign(services, name, (number + 1) // 2),
            "put": lambda services: self.do_put(number, seed),
            "complete": lambda services: self.do_complete(services, name, mode),
            "cancel": lambda services: self.do_cancel(services, name),
            "delete": lambda services: self.do_delete(services, name),
            "move": lambda services: self.do_move(services, name, mode),
            "restore": lambda services: self.do_restore(services, name, mode),
            "delete several": self.do_delete_several,
            "sweep": lambda services: self.do_sweep(),
        }[kind]

    def do_sweep(self) -> None:
        self.service.sweep()

    def run_action(self, action: Callable[[Services], None], services: Services) -> None:
        try:
            action(services)
        except (FerryError, ProcessCrashed):
            return

    kinds = st.sampled_from(
        (
            "start",
            "start",
            "send",
            "send",
            "send",
            "send",
            "sign",
            "put",
            "complete",
            "complete",
            "cancel",
            "delete",
            "move",
            "restore",
            "delete several",
            "sweep",
        )
    )
    modes = st.sampled_from(("plain", "resume", "resume", "replace", "restart", "rename"))
    requests = st.tuples(kinds, names, chunks, seeds, modes)

    @rule(request=requests, interloper=requests, at=calls, fault=faults, fault_at=calls)
    def interleaved(self, request: Any, interloper: Any, at: int, fault: Fault | None, fault_at: int) -> None:
        """Run one request with another in the middle of it, and perhaps a fault."""
        SCHEDULE_COUNTS[2] += 1
        other = self.build_action(*interloper)
        steps: dict[Any, Any] = {at: lambda: self.run_action(other, self.new_services())}
        if fault is not None:
            steps[fault_at] = fault
        self.run_action(self.build_action(*request), self.new_services(FaultPlan(steps)))
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

        def operation(request: Any) -> Callable[[FaultPlan], None]:
            return lambda plan: self.run_action(self.build_action(*request), self.new_services(plan))

        operations = [operation(request) for request in concurrent_requests]
        run_interleaved(operations, itertools.cycle(order), {fault_at: fault} if fault else None)
        self.check_files()

    @rule(request=requests)
    def alone(self, request: Any) -> None:
        """Run one request undisturbed."""
        self.run_action(self.build_action(*request), self.new_services())
        self.check_files()

    @rule(name=names, seed=seeds)
    def complete_missing(self, name: str, seed: int) -> None:
        """Send what is missing, then complete: a client that does not give up."""
        current_upload = self.service.upload_repository.get_current_upload(NS, name)
        if current_upload is None or not current_upload.in_progress:
            return
        for index in range(1, self.model_of(current_upload.upload_id).layout.chunk_count + 1):
            self.run_action(self.build_action("send", name, index, seed, "plain"), self.new_services())
        self.run_action(lambda services: self.do_complete(services, name, "replace"), self.service.services)
        self.check_files()

    @rule(wait_ms=st.sampled_from((MINUTE_MS, 2 * MINUTE_MS, HOUR_MS, 23 * HOUR_MS, 2 * DAY_MS)))
    def time_passes(self, wait_ms: int) -> None:
        self.service.clock.advance(wait_ms)

    @rule(second_before_first=st.booleans())
    def change_order(self, second_before_first: bool) -> None:
        """Choose which of two calls that are made at the same time takes effect first."""
        self.service.second_before_first = second_before_first

    @rule(limit=st.sampled_from((None, 6 * CHUNK_BYTES, 12 * CHUNK_BYTES)))
    def set_limit(self, limit: int | None) -> None:
        """Set a limit. What exists already is counted by the next recount, or never."""
        self.quotas.set_limits(NS, max_bytes=limit, max_uploads=None, max_file_bytes=None)

    @precondition(lambda self: self.service.upload_repository.rows.quotas)
    @rule(interloper=requests, at=calls)
    def recount_namespace(self, interloper: Any, at: int) -> None:
        """Recount as an operator, with a request in the middle of it."""
        other = self.build_action(*interloper)
        services = self.service.new_services(
            FaultPlan({at: lambda: self.run_action(other, self.new_services())}), CallLog()
        )
        recount(services.upload_repository, services.file_repository, self.quotas, NS)
        self.service.assert_quota_usage()

    @rule()
    def take_backup(self) -> None:
        """Back up the metadata store."""
        acknowledged = {upload_id: dict(model.acknowledged) for upload_id, model in self.models.items()}
        self.backup = Backup(self.service.clock(), self.service.upload_repository.snapshot(), acknowledged)

    @precondition(lambda self: self.backup is not None and self.service.clock() - self.backup.taken_at < 20 * HOUR_MS)
    @rule()
    def restore_backup(self) -> None:
        """Restore the metadata store to the backup; S3 keeps what it has. Clients may be asked to send chunks again."""
        assert self.backup is not None
        self.service.restore_metadata(self.backup.rows)
        self.replace_instances()
        for upload_id, model in self.models.items():
            model.acknowledged = dict(self.backup.acknowledged.get(upload_id, {}))
            stored_object = self.service.object_store.objects.get(f"o/{upload_id}")
            model.earlier_object = None if stored_object is None else stored_object.body
