"""Requests to one upload at once, one backend call at a time, in random orders: the offset and the file stay right."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest

from dev.fakes.faults import FaultPlan
from ferry.errors import BackendUnavailable, CompletionInProgress, OffsetMismatch, UploadNotFound
from ferry.model.sequential import Protocol
from ferry.model.uploads import UploadState
from ferry.resumable.append import AppendResult
from ferry.resumable.lookup import find_sequential, shown_offset
from tests.support.in_memory_service import CHUNK_BYTES, LEASE_MS, NS, InMemoryService, seeded_bytes
from tests.support.scheduler import Scheduler, SequentialExecutor
from tests.support.sequential_client import SequentialClient
from tests.unit.resumable.conftest import PART_BYTES
from tests.unit.uploads.blocks import blocks

ROUNDS = 40
"""Orders of each block."""

SITUATIONS = [(5, 300), (CHUNK_BYTES, CHUNK_BYTES + 7), (2 * PART_BYTES, 50), (0, PART_BYTES - 1)]
"""Bytes that the upload has before, and bytes that each append sends: pieces, a part, the end, a small file."""


class History:
    """What the clients of one upload saw."""

    def __init__(self, client: SequentialClient) -> None:
        self.client = client
        self.stored: list[bytes] = []
        """Bodies that were acknowledged."""
        self.deleted = False
        """Whether a DELETE was acknowledged."""

    def append(self, offset: int, body: bytes, plan: FaultPlan) -> None:
        """Append a body at an offset that another client may have moved."""
        services = self.client.service.new_services(plan)
        try:
            result: AppendResult = self.client.append(offset, 0, services, body)
        except (OffsetMismatch, UploadNotFound, BackendUnavailable):
            return
        if result.pending is None:
            self.stored.append(body)

    def watch(self, plan: FaultPlan) -> None:
        """Ask for the offset a few times. It never falls, and is the length only when the file is committed."""
        services = self.client.service.new_services(plan)
        last = 0
        for _ in range(6):
            try:
                upload = find_sequential(services, NS, self.client.upload_id).upload
            except UploadNotFound:
                return
            offset = shown_offset(upload)
            assert offset >= last
            assert offset < len(self.client.body) or upload.record.state is UploadState.COMPLETE
            last = offset

    def delete(self, plan: FaultPlan) -> None:
        try:
            self.client.delete(self.client.service.new_services(plan))
        except (CompletionInProgress, UploadNotFound, BackendUnavailable):
            return
        self.deleted = True


Actors = dict[str, Callable[[FaultPlan], None]]
"""What each actor of a schedule does, by its name."""


@pytest.fixture(autouse=True)
def one_thread_per_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch pieces one after another, so that an actor has one thread."""
    monkeypatch.setattr("ferry.uploads.assembly.ThreadPoolExecutor", SequentialExecutor)


def prepared(sent: int, size: int) -> SequentialClient:
    client = SequentialClient(InMemoryService(publish_events=True), seeded_bytes(sent + size))
    client.create()
    for offset in range(0, sent, CHUNK_BYTES):
        client.append(offset, min(CHUNK_BYTES, sent - offset))
    return client


def run(history: History, actors: Actors, seed: int) -> None:
    scheduler = Scheduler(random.Random(seed).choice)
    scheduler.run({name: partial(action, scheduler.plan(name)) for name, action in actors.items()})
    history.client.service.clock.advance(LEASE_MS + 1)


@pytest.mark.parametrize("block", blocks(quick=2, stress=25))
@pytest.mark.parametrize(("sent", "size"), SITUATIONS)
def test_two_appends_at_one_offset_one_is_stored(sent: int, size: int, block: int) -> None:
    """Of two appends at one offset exactly one is acknowledged, whatever they complete, and the file has its bytes."""
    for seed in range(block * ROUNDS, (block + 1) * ROUNDS):
        client = prepared(sent, size)
        history, other = History(client), seeded_bytes(size, seed=9)
        actors: Actors = {
            "one": partial(history.append, sent, client.body[sent:]),
            "two": partial(history.append, sent, other),
            "watch": history.watch,
        }
        run(history, actors, seed)
        assert len(history.stored) <= 1
        content = client.service.file_content()
        if history.stored:
            assert content == client.body[:sent] + history.stored[0]
        assert content in (None, client.body, client.body[:sent] + other)
        client.service.drain_cleanup()
        assert client.service.orphans() == []


@pytest.mark.parametrize("block", blocks(quick=2, stress=25))
@pytest.mark.parametrize(("sent", "size"), SITUATIONS)
def test_append_beside_delete_leaves_a_file_or_nothing(sent: int, size: int, block: int) -> None:
    """Beside a DELETE, an append is acknowledged or not; in the end there is the whole file, or nothing at all."""
    for seed in range(block * ROUNDS, (block + 1) * ROUNDS):
        client = prepared(sent, size)
        history = History(client)
        actors: Actors = {
            "append": partial(history.append, sent, client.body[sent:]),
            "delete": history.delete,
            "watch": history.watch,
        }
        run(history, actors, seed)
        client.service.drain_cleanup()
        content = client.service.file_content()
        assert content in (None, client.body)
        if history.stored:
            assert content == client.body
        assert client.service.orphans() == []
        client.service.assert_events_published()


def test_repeated_last_append_while_the_first_still_runs() -> None:
    """The last request, repeated while the first one is completing, gets the same file."""
    for seed in range(ROUNDS):
        client = prepared(PART_BYTES, 100)
        assert client.protocol is Protocol.TUS
        history = History(client)
        last = partial(history.append, PART_BYTES, client.body[PART_BYTES:])
        run(history, {"first": last, "second": last, "watch": history.watch}, seed)
        assert history.stored
        assert client.service.file_content() == client.body


@pytest.mark.parametrize(("sent", "size"), [(CHUNK_BYTES, CHUNK_BYTES), (CHUNK_BYTES, CHUNK_BYTES + 7)])
def test_same_append_twice_at_once_uploads_the_part_once_each(sent: int, size: int) -> None:
    """A request and its repetition, which complete a part together: neither undoes the progress of the other."""
    for seed in range(ROUNDS):
        client = prepared(sent, size)
        client.service.log.calls.clear()
        history = History(client)
        same = partial(history.append, sent, client.body[sent:])
        run(history, {"first": same, "repeated": same}, seed)
        assert history.stored
        assert client.service.file_content() == client.body
        uploads = [call for call in client.service.log.calls if call.method == "upload_part" and call.args[2] == 1]
        assert len(uploads) <= len(("first", "repeated"))
