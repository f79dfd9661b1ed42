"""What an instance keeps between requests: uploads that it may record chunks of, and chunks that it has staged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from dev.fakes.faults import Fault, FaultPlan
from ferry.errors import BackendUnavailable, UploadExpired, UploadIncomplete
from ferry.instance import (
    OPEN_UPLOAD_TTL_MS,
    STAGED_CHUNK_CACHE_BYTES,
    OpenUploadCache,
    StagedChunkCache,
    run_at_once,
)
from ferry.model.objects import StoredObject
from ferry.model.uploads import Upload, UploadState
from ferry.rules.durations import DAY_MS
from ferry.rules.layout import MAX_ASSEMBLED_PART_BYTES, MAX_CHUNK_BYTES
from ferry.uploads.cancel import cancel
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def upload() -> Upload:
    service = InMemoryService()
    client = Client(service, seeded_bytes(4 * CHUNK_BYTES))
    client.start()
    stored = service.upload_repository.get_upload(client.upload_id)
    assert stored is not None
    return stored


def test_open_upload_cache_returns_upload_of_name_once(upload: Upload) -> None:
    """An upload is found by its name, with its id or without one, and taken out: only a recorded chunk puts it back."""
    cache, record = OpenUploadCache(), upload.record
    for upload_id in (None, record.upload_id):
        cache.put(upload, now=5)
        assert cache.take(NS, NAME, upload_id, 5) == upload
        assert cache.take(NS, NAME, upload_id, 5) is None


@pytest.mark.parametrize(
    ("ns", "name", "upload_id", "now"),
    [
        ("other", NAME, None, 5),
        (NS, "other", None, 5),
        (NS, NAME, "0" * 32, 5),
        (NS, NAME, None, 5 + OPEN_UPLOAD_TTL_MS),
        (NS, NAME, None, 4),
    ],
    ids=["namespace", "name", "id", "too old", "clock went back"],
)
def test_open_upload_cache_returns_nothing_else(
    upload: Upload, ns: str, name: str, upload_id: str | None, now: int
) -> None:
    """An upload is not found by another namespace, name or id, nor after its time."""
    cache = OpenUploadCache()
    cache.put(upload, now=5)
    assert cache.take(ns, name, upload_id, now) is None


def test_open_upload_cache_keeps_only_uploads_whose_chunks_can_be_recorded(upload: Upload) -> None:
    """An upload is not kept if a chunk cannot be answered without reading it."""
    record, [shard] = upload.record, upload.shards
    stored_object = StoredObject('"e"', 1, None)
    for other in (
        replace(upload, shards=(shard, replace(shard, index=1))),
        replace(upload, shards=()),
        upload.with_shard(replace(shard, open=False)),
        upload.with_shard(replace(shard, has_presigned_parts=True)),
        upload.with_shard(replace(shard, has_replaced_digests=True)),
        replace(upload, record=replace(record, state=UploadState.CREATING)),
        replace(upload, record=replace(record, stored_object=stored_object)),
        replace(upload, record=replace(record, link_id="a")),
    ):
        cache = OpenUploadCache()
        cache.put(other, now=5)
        assert cache.take(NS, NAME, record.upload_id, 5) is None


def test_open_upload_cache_requires_id_where_upload_does(upload: Upload) -> None:
    """An upload that requires its id is not found without it."""
    cache = OpenUploadCache()
    cache.put(replace(upload, record=replace(upload.record, upload_id_required=True)), now=5)
    assert cache.take(NS, NAME, None, 5) is None


def test_open_upload_cache_is_bounded(upload: Upload) -> None:
    """The oldest entry makes room."""
    cache = OpenUploadCache(max_entries=2)
    for name in "abc":
        cache.put(replace(upload, record=replace(upload.record, name=name)), now=5)
    assert [cache.take(NS, name, None, 5) is not None for name in "abc"] == [False, True, True]


def test_staged_chunk_cache_is_bounded_in_bytes() -> None:
    """The oldest chunks make room, a chunk that is too large is not kept, and one that is put again counts once."""
    cache = StagedChunkCache(max_bytes=10)
    for key in ("a", "b", "b", "c"):
        cache.put(key, b"1234")
    assert [cache.get(key) for key in "abc"] == [None, b"1234", b"1234"]
    cache.put("d", b"12345678901")
    assert [cache.get(key) for key in "abcd"] == [None] * 4


def test_staged_chunk_cache_holds_largest_part_without_its_last_chunk() -> None:
    """A part of the largest size that is made of chunks needs no GET, if its chunks come in order."""
    assert STAGED_CHUNK_CACHE_BYTES == MAX_ASSEMBLED_PART_BYTES - MAX_CHUNK_BYTES


def test_staged_chunks_are_dropped_with_their_part() -> None:
    """Once a part is assembled, its chunks are not kept."""
    service = InMemoryService()
    client = Client(service, seeded_bytes(4 * CHUNK_BYTES))
    client.start()
    kept = service.services.staged_chunk_cache
    client.send_chunk(1)
    [key] = service.object_store.objects
    assert kept.get(key) == client.chunk_body(1)
    client.send_chunk(2)
    assert kept.get(key) is None


def test_staged_chunks_of_other_parts_are_kept() -> None:
    """Those of part 1 are dropped without those of part 10, whose number begins with the same digit."""
    service = InMemoryService()
    client = Client(service, seeded_bytes(20 * CHUNK_BYTES))
    client.start()
    client.send_chunks([19, 1])
    [kept] = [key for key, stored in service.object_store.objects.items() if stored.body == client.chunk_body(19)]
    client.send_chunk(2)
    assert service.services.staged_chunk_cache.get(kept) == client.chunk_body(19)


def test_chunk_that_was_not_staged_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is kept only once S3 has it."""
    service = InMemoryService()
    client = Client(service, seeded_bytes(4 * CHUNK_BYTES))
    client.start()
    kept: list[str] = []
    monkeypatch.setattr(service.services.staged_chunk_cache, "put", lambda key, body: kept.append(key))
    failing = service.new_services(FaultPlan({("put", 1): Fault.UNAVAILABLE}), warm=service.services)
    with pytest.raises(BackendUnavailable):
        client.send_chunk(1, failing)
    assert kept == []


@pytest.mark.parametrize(
    "request_of_name",
    [
        lambda client: client.presign_part(1),
        lambda client: client.complete(),
        lambda client: client.send_chunk(1),
        lambda client: client.cancel(),
        lambda client: cancel(client.service.services, NS, NAME, client.upload_id),
    ],
    ids=["presign", "complete", "repeated chunk", "cancel", "cancel by id"],
)
def test_upload_that_a_request_reads_is_known_no_longer(request_of_name: Callable[[Client], object]) -> None:
    """What the instance knew of an upload gives way to what a request reads or changes."""
    service = InMemoryService()
    client = Client(service, seeded_bytes(4 * CHUNK_BYTES))
    client.start()
    client.send_chunk(1)
    stored = service.upload_repository.get_upload(client.upload_id)
    assert stored is not None
    old = replace(stored, record=replace(stored.record, fingerprint="known"))
    service.services.open_upload_cache.put(old, service.clock())
    with suppress(UploadIncomplete):
        request_of_name(client)
    known = service.services.open_upload_cache.take(NS, NAME, None, service.clock())
    assert known is None or known.record.fingerprint is None


def test_chunk_of_upload_that_other_processes_kept_active_is_accepted() -> None:
    """An upload that looks expired to a process is read again before its chunk is rejected."""
    service = InMemoryService()
    client = Client(service, seeded_bytes(4 * CHUNK_BYTES))
    client.start()
    client.send_chunk(1)
    other = service.new_services()
    client.send_chunk(2, other)
    cached = service.services.open_upload_cache.take(NS, NAME, None, service.clock())
    assert cached is not None
    [shard] = cached.shards
    old = cached.with_shard(replace(shard, last_activity_at=shard.last_activity_at - DAY_MS + 1))
    service.services.open_upload_cache.put(old, service.clock())
    service.clock.advance(1)
    assert client.send_chunk(3).received_bytes == 3 * CHUNK_BYTES
    service.clock.advance(DAY_MS)
    with pytest.raises(UploadExpired):
        client.send_chunk(4)


def test_run_at_once_runs_both_at_the_same_time() -> None:
    """Each of two calls waits for the other, and both results come back in order."""
    barrier = threading.Barrier(2, timeout=60)
    first, second = run_at_once(lambda: (barrier.wait(), "a")[1], lambda: (barrier.wait(), "b")[1])
    assert (first, second) == ("a", "b")


@pytest.mark.parametrize(
    ("first_fails", "second_fails", "raised"), [(True, True, "first"), (True, False, "first"), (False, True, "second")]
)
def test_run_at_once_raises_first_error_once_both_ended(first_fails: bool, second_fails: bool, raised: str) -> None:
    """An error of the first call goes before one of the second, and neither call is left running."""
    ended: list[str] = []

    def call(name: str, *, fails: bool) -> None:
        ended.append(name)
        if fails:
            raise BackendUnavailable(name)

    with pytest.raises(BackendUnavailable, match=raised):
        run_at_once(lambda: call("first", fails=first_fails), lambda: call("second", fails=second_fails))
    assert sorted(ended) == ["first", "second"]
