"""The contract of the upload repository: chunk digests and progress shards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.model.objects import StoredObject
from ferry.model.progress import COMPACTION_THRESHOLD, ProgressShard
from ferry.model.uploads import ChunkDigest, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.layout import MIB
from tests.contract.conftest import DYNAMODB_LOCAL, MEMORY
from tests.contract.factories import (
    OTHER_ID,
    SHARDED_LAYOUT,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    lease_upload,
    open_upload,
    read_upload,
    record_chunk,
)

FIRST_DIGEST = ChunkDigest(bytes(range(16)), 0)
SECOND_DIGEST = ChunkDigest(bytes(16), 0xFFFFFFFF)


EMPTY_SHARD = ProgressShard(0, open=True, last_activity_at=START_MS)
"""A shard before its first chunk."""


def record_bit(
    repository: UploadRepository, bit: int, expected: ProgressShard = EMPTY_SHARD, *, require_no_presigned: bool = False
) -> ProgressShard:
    """Record a chunk of 10 bytes, given the shard as it was read."""
    return repository.record_chunk(
        UPLOAD_ID, expected, bit, 10, require_no_presigned=require_no_presigned, now=START_MS + 100 + bit
    )


def first_shard(repository: UploadRepository) -> ProgressShard:
    """Return the first shard of the upload."""
    return read_upload(repository).shards[0]


def test_put_chunk_digest_keeps_first(repository: UploadRepository) -> None:
    """The first digest of a chunk is kept and returned, whatever is stored later."""
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, SECOND_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, crc32c=1)) == {1: FIRST_DIGEST}
    assert repository.get_chunk_digests(UPLOAD_ID, 1) == {1: FIRST_DIGEST}


def test_put_chunk_digest_stores_its_time(repository: UploadRepository) -> None:
    """The time of the digest that is kept is returned, and one without a time has none."""
    repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, stored_at=START_MS))
    later = repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, stored_at=START_MS + 5_000))
    assert later[1].stored_at == repository.get_chunk_digests(UPLOAD_ID, 1)[1].stored_at == START_MS
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 2, FIRST_DIGEST)[2].stored_at is None


def test_replace_chunk_digest_keeps_first_and_fences_shard(repository: UploadRepository) -> None:
    """The new digest is returned with the first one, and a chunk read before cannot be recorded any more."""
    upload = open_upload(repository)
    stored = repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, stored_at=START_MS))[1]
    new, newest = (replace(SECOND_DIGEST, stored_at=START_MS + n, crc32c=n) for n in (1_000, 2_000))
    for expected, chunk_digest in ((stored, new), (new, newest)):
        before = read_upload(repository)
        repository.replace_chunk_digest(before, 1, expected=expected, chunk_digest=chunk_digest, now=START_MS + 3_000)
        kept = repository.get_chunk_digests(UPLOAD_ID, 1)[1]
        assert (kept, kept.stored_at, kept.replaced) == (chunk_digest, chunk_digest.stored_at, FIRST_DIGEST)
        assert repository.get_all_chunk_digests(UPLOAD_ID)[1][1].replaced == FIRST_DIGEST
        shard = first_shard(repository)
        assert (shard.has_replaced_digests, shard.last_activity_at) == (True, START_MS + 3_000)
        assert (shard.epoch, shard.version) == (before.shards[0].epoch + 2, before.shards[0].version + 1)
    shard = first_shard(repository)
    for outdated in (upload.shards[0], replace(shard, epoch=shard.epoch - 2)):
        with pytest.raises(ConcurrentUpdate) as failed:
            record_bit(repository, 0, outdated)
        assert failed.value.shard == shard
    record_chunk(repository, read_upload(repository), 1)


@pytest.mark.parametrize("change", ["another digest", "another time", "recorded", "compacted", "cancelled"])
def test_replace_chunk_digest_of_changed_chunk_raises(repository: UploadRepository, change: str) -> None:
    """Nothing is replaced if the digest, the shard or the upload is no longer as it was read."""
    upload = open_upload(repository)
    stored = repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, stored_at=START_MS))[1]
    if change == "another digest":
        stored = replace(SECOND_DIGEST, stored_at=START_MS)
    elif change == "another time":
        stored = replace(stored, stored_at=START_MS + 1_000)
    elif change == "recorded":
        record_chunk(repository, upload, 1)
    elif change == "compacted":
        for bit in range(2, 3 + COMPACTION_THRESHOLD):
            record_bit(repository, bit, first_shard(repository))
    else:
        repository.terminate(upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    before = read_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        repository.replace_chunk_digest(
            upload,
            1,
            expected=stored,
            chunk_digest=replace(SECOND_DIGEST, stored_at=START_MS + 9_000),
            now=START_MS + 9_000,
        )
    assert (read_upload(repository), repository.get_chunk_digests(UPLOAD_ID, 1)) == (before, {1: FIRST_DIGEST})


def test_digests_tell_that_their_part_is_presigned(repository: UploadRepository) -> None:
    """Digests of a part tell that it was presigned, whether they came before or after; those of others do not."""
    repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST)
    for _ in range(2):
        repository.mark_parts_presigned(UPLOAD_ID, [1, 3], now=START_MS)
    for part, index, is_presigned in ((1, 2, True), (2, 3, False), (3, 5, True)):
        digests = repository.put_chunk_digest(UPLOAD_ID, part, index, FIRST_DIGEST)
        assert {digest.is_part_presigned for digest in digests.values()} == {is_presigned}
        assert digests == repository.get_chunk_digests(UPLOAD_ID, part)
        assert repository.get_chunk_digests(UPLOAD_ID, part)[index].is_part_presigned is is_presigned
    repeated = repository.put_chunk_digest(UPLOAD_ID, 3, 5, SECOND_DIGEST)
    assert (repeated, repeated[5].is_part_presigned) == ({5: FIRST_DIGEST}, True)
    stored = repository.get_all_chunk_digests(UPLOAD_ID)
    assert {part for part in stored for digest in stored[part].values() if digest.is_part_presigned} == {1, 3}


def test_chunk_digests_are_grouped_by_part(repository: UploadRepository) -> None:
    """The digests of one part are returned together, without those of other parts and uploads."""
    repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST)
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 2, SECOND_DIGEST) == {1: FIRST_DIGEST, 2: SECOND_DIGEST}
    for part in (2, 3, 4, 10_000):
        assert repository.put_chunk_digest(UPLOAD_ID, part, part * 2, FIRST_DIGEST) == {part * 2: FIRST_DIGEST}
    repository.put_chunk_digest(OTHER_ID, 1, 1, SECOND_DIGEST)
    assert repository.get_chunk_digests(UPLOAD_ID, 1) == {1: FIRST_DIGEST, 2: SECOND_DIGEST}
    assert repository.get_chunk_digests(UPLOAD_ID, 7) == {}
    assert repository.get_all_chunk_digests(UPLOAD_ID) == {
        1: {1: FIRST_DIGEST, 2: SECOND_DIGEST},
        2: {4: FIRST_DIGEST},
        3: {6: FIRST_DIGEST},
        4: {8: FIRST_DIGEST},
        10_000: {20_000: FIRST_DIGEST},
    }


def test_record_chunk_updates_shard(repository: UploadRepository) -> None:
    """A recorded chunk changes bits, bytes, version and activity of the shard, and not its epoch."""
    open_upload(repository)
    assert record_bit(repository, 3) == ProgressShard(
        0, open=True, last_activity_at=START_MS + 103, recent_bits=frozenset({3}), received_bytes=10, epoch=0, version=1
    )
    assert record_bit(repository, 0) == ProgressShard(
        0,
        open=True,
        last_activity_at=START_MS + 100,
        recent_bits=frozenset({0, 3}),
        received_bytes=20,
        epoch=0,
        version=2,
    )
    assert read_upload(repository).recorded_chunk_bytes == 20


def test_record_chunk_twice_raises(repository: UploadRepository) -> None:
    """A chunk is counted once; the second attempt receives the stored shard."""
    open_upload(repository)
    stored = record_bit(repository, 3)
    with pytest.raises(ConcurrentUpdate) as conflict:
        record_bit(repository, 3)
    assert conflict.value.shard == stored == first_shard(repository)


def test_record_chunk_without_shard_raises(repository: UploadRepository) -> None:
    """A missing upload or shard is not created."""
    with pytest.raises(ConcurrentUpdate) as conflict:
        record_bit(repository, 3)
    assert conflict.value.shard is None
    open_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        record_bit(repository, 3, replace(EMPTY_SHARD, index=1))
    assert len(read_upload(repository).shards) == 1


def test_record_chunk_when_closed_raises(repository: UploadRepository) -> None:
    """A closed shard records nothing, whichever version of it was read."""
    closed = lease_upload(repository).shards[0]
    for expected in (EMPTY_SHARD, closed):
        with pytest.raises(ConcurrentUpdate) as conflict:
            record_bit(repository, 3, expected)
        assert conflict.value.shard == closed


@pytest.fixture
def compacts_at_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard is compacted by a writer that read two recent chunks."""
    monkeypatch.setattr("ferry.model.progress.COMPACTION_THRESHOLD", 2)


@pytest.mark.usefixtures("compacts_at_two")
def test_compaction_moves_bits_in_two_steps(repository: UploadRepository) -> None:
    """Compactions move bits from recent to previous to the bitmap, and count every chunk once."""
    open_upload(repository)
    record_bit(repository, 0)
    before = record_bit(repository, 9)
    first = record_bit(repository, 1_000, before)
    assert first == replace(
        before,
        recent_bits=frozenset({1_000}),
        previous_bits=frozenset({0, 9}),
        epoch=1,
        version=3,
        received_bytes=30,
        last_activity_at=START_MS + 1_100,
    )
    second = record_bit(repository, 6, record_bit(repository, 5, first))
    assert (second.bits, second.previous_bits, second.recent_bits) == (
        0b1000000001,
        frozenset({1_000, 5}),
        frozenset({6}),
    )
    assert (second.epoch, second.version, second.received_bytes) == (2, 5, 50)
    third = record_bit(repository, 8, record_bit(repository, 7, second))
    assert (third.bits, third.previous_bits) == (0b1000000001 | 1 << 1_000 | 1 << 5, frozenset({6, 7}))
    assert first_shard(repository) == third


@pytest.mark.usefixtures("compacts_at_two")
def test_compaction_keeps_concurrent_chunk(repository: UploadRepository) -> None:
    """A chunk recorded between the read and the compaction is kept."""
    open_upload(repository)
    record_bit(repository, 0)
    before = record_bit(repository, 1)
    record_bit(repository, 7)
    assert record_bit(repository, 8, before).previous_bits == frozenset({0, 1, 7})


@pytest.mark.usefixtures("compacts_at_two")
def test_compaction_by_second_writer_raises(repository: UploadRepository) -> None:
    """Of two writers that read the same shard one compacts; the other receives the stored shard."""
    open_upload(repository)
    record_bit(repository, 0)
    before = record_bit(repository, 1)
    compacted = record_bit(repository, 2, before)
    with pytest.raises(ConcurrentUpdate) as conflict:
        record_bit(repository, 3, before)
    assert conflict.value.shard == compacted
    assert record_bit(repository, 3, compacted).received_bytes == 40


@pytest.mark.usefixtures("compacts_at_two")
def test_record_chunk_across_one_compaction_succeeds(repository: UploadRepository) -> None:
    """A writer may record a chunk after one compaction since its read, and not after two."""
    open_upload(repository)
    record_bit(repository, 0)
    once = record_bit(repository, 2, record_bit(repository, 1))
    for bit in (0, 1, 2):
        with pytest.raises(ConcurrentUpdate):
            record_bit(repository, bit)
    record_bit(repository, 3)
    twice = record_bit(repository, 4, first_shard(repository))
    assert (once.epoch, twice.epoch) == (1, 2)
    for bit in (0, 2, 3, 5):
        with pytest.raises(ConcurrentUpdate):
            record_bit(repository, bit)
    assert record_bit(repository, 5, once).received_bytes == 60


def test_record_chunk_with_future_epoch_raises(repository: UploadRepository) -> None:
    """A shard with an earlier epoch than the expected one is not changed."""
    open_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        record_bit(repository, 0, replace(EMPTY_SHARD, epoch=1))


def test_record_chunk_requiring_no_presigned_raises_after_mark(repository: UploadRepository) -> None:
    """After `mark_presigned`, a record that requires no presigned part fails; others succeed."""
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, upload, 1, require_no_presigned=True)
    repository.mark_presigned(upload, now=START_MS + 500)
    marked = read_upload(repository)
    assert [(shard.has_presigned_parts, shard.last_activity_at, shard.version) for shard in marked.shards] == [
        (True, START_MS + 500, 2),
        (True, START_MS + 500, 1),
        (True, START_MS + 500, 1),
    ]
    for index in (2, 129, 257):
        with pytest.raises(ConcurrentUpdate):
            record_chunk(repository, upload, index, require_no_presigned=True)
        record_chunk(repository, upload, index)
    repository.mark_presigned(marked, now=START_MS + 600)
    assert read_upload(repository).last_activity_at == START_MS + 600


def test_record_activity_updates_first_shard(repository: UploadRepository) -> None:
    """Activity is recorded in the first shard, unless the upload was closed since it was read."""
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    active = repository.record_activity(upload, now=START_MS + 1)
    assert active == read_upload(repository)
    assert [shard.last_activity_at for shard in active.shards] == [START_MS + 1, START_MS, START_MS]
    assert active.version == upload.version + 1
    repository.terminate(active, UploadState.CANCELLED, now=START_MS + 2, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        repository.record_activity(active, now=START_MS + 3)


def test_record_activity_of_closed_shard_requires_same_epoch(repository: UploadRepository) -> None:
    """Activity of an upload with closed shards is recorded while nothing opens or ends it."""
    leased = lease_upload(repository)
    stored_object = StoredObject('"e"', 20 * MIB, 7, START_MS // 1000)
    repository.release_lease(leased, lease_id="mine", stored_object=stored_object, lost_chunks=(), due_at=START_MS + 1)
    upload = read_upload(repository)
    assert not upload.shards[0].open
    active = repository.record_activity(upload, now=START_MS + 200)
    assert active == read_upload(repository)
    assert active.last_activity_at == START_MS + 200
    repository.terminate(active, UploadState.EXPIRED, now=START_MS + 300, ttl_epoch_seconds=TTL_EPOCH_SECONDS)
    with pytest.raises(ConcurrentUpdate):
        repository.record_activity(active, now=START_MS + 400)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto evaluates the condition and writes without a lock
def test_record_chunk_concurrently_counts_each_once(repository: UploadRepository) -> None:
    """Chunks that are recorded concurrently count once each."""
    open_upload(repository)

    def attempt(number: int) -> bool:
        try:
            record_bit(repository, number % 20)
        except ConcurrentUpdate:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(100))) == 20
    assert (first_shard(repository).received_bytes, first_shard(repository).recent_bits) == (200, frozenset(range(20)))
