"""The repository's contract: claims, and the counting of chunks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dev.fakes.clock import START
from ferry.model.uploads import ChunkDigest, ProgressShard, UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository
from tests.contract.conftest import DYNAMODB_LOCAL, MEMORY
from tests.contract.factories import (
    FAR_FUTURE,
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


EMPTY_SHARD = ProgressShard(0, open=True, last_activity_at=START)
"""How a stripe looks before anything was recorded."""


def record_bit(
    repository: UploadRepository, bit: int, expected: ProgressShard = EMPTY_SHARD, *, require_no_presigned: bool = False
) -> ProgressShard:
    return repository.record_chunk(
        UPLOAD_ID, expected, bit, 10, require_no_presigned=require_no_presigned, now=START + 100 + bit
    )


def first_shard(repository: UploadRepository) -> ProgressShard:
    return read_upload(repository).shards[0]


def test_put_chunk_digest_keeps_first(repository: UploadRepository) -> None:
    """The same claim passes again; another one is answered with the first."""
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, FIRST_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, SECOND_DIGEST) == {1: FIRST_DIGEST}
    assert repository.put_chunk_digest(UPLOAD_ID, 1, 1, replace(FIRST_DIGEST, crc32c=1)) == {1: FIRST_DIGEST}
    assert repository.get_chunk_digests(UPLOAD_ID, 1) == {1: FIRST_DIGEST}


def test_chunk_digests_are_grouped_by_part(repository: UploadRepository) -> None:
    """A part's claims are answered together, those of other parts and uploads are not among them."""
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
    """The answer is the row as it stands: the bit, the bytes, the version and the time; the epoch stays."""
    open_upload(repository)
    assert record_bit(repository, 3) == ProgressShard(
        0, open=True, last_activity_at=START + 103, recent_bits=frozenset({3}), received_bytes=10, epoch=0, version=1
    )
    assert record_bit(repository, 0) == ProgressShard(
        0, open=True, last_activity_at=START + 100, recent_bits=frozenset({0, 3}), received_bytes=20, epoch=0, version=2
    )
    assert read_upload(repository).received_bytes == 20


def test_record_chunk_twice_raises(repository: UploadRepository) -> None:
    """The same chunk again is refused, with the row that has it; nothing is counted."""
    open_upload(repository)
    stands = record_bit(repository, 3)
    with pytest.raises(ConcurrentUpdate) as moved:
        record_bit(repository, 3)
    assert moved.value.shard == stands == first_shard(repository)


def test_record_chunk_without_shard_raises(repository: UploadRepository) -> None:
    """An upload or a stripe that is not there is not brought to life."""
    with pytest.raises(ConcurrentUpdate) as moved:
        record_bit(repository, 3)
    assert moved.value.shard is None
    open_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        record_bit(repository, 3, replace(EMPTY_SHARD, index=1))
    assert len(read_upload(repository).shards) == 1


def test_record_chunk_when_closed_raises(repository: UploadRepository) -> None:
    """Whatever closed the upload fences out who was late, however much of it was seen."""
    closed = lease_upload(repository).shards[0]
    for read in (EMPTY_SHARD, closed):
        with pytest.raises(ConcurrentUpdate) as moved:
            record_bit(repository, 3, read)
        assert moved.value.shard == closed


@pytest.fixture
def compacts_at_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stripe is folded by whoever sees two recent chunks."""
    monkeypatch.setattr("ferry.model.uploads.COMPACTION_THRESHOLD", 2)


@pytest.mark.usefixtures("compacts_at_two")
def test_compaction_moves_bits_in_two_steps(repository: UploadRepository) -> None:
    """recent → before → bits, along with a record; the epoch counts, nothing is lost or counted twice."""
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
        last_activity_at=START + 1_100,
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
    """A chunk recorded between the read and the fold is not lost."""
    open_upload(repository)
    record_bit(repository, 0)
    before = record_bit(repository, 1)
    record_bit(repository, 7)
    assert record_bit(repository, 8, before).previous_bits == frozenset({0, 1, 7})


@pytest.mark.usefixtures("compacts_at_two")
def test_compaction_by_second_writer_raises(repository: UploadRepository) -> None:
    """Of two who saw the same row one folds; the other is shown the row as it is, and can go on from there."""
    open_upload(repository)
    record_bit(repository, 0)
    before = record_bit(repository, 1)
    folded = record_bit(repository, 2, before)
    with pytest.raises(ConcurrentUpdate) as moved:
        record_bit(repository, 3, before)
    assert moved.value.shard == folded
    assert record_bit(repository, 3, folded).received_bytes == 40


@pytest.mark.usefixtures("compacts_at_two")
def test_record_chunk_across_one_compaction_succeeds(repository: UploadRepository) -> None:
    """Who saw the chunk missing one fold ago may record it, once; after two folds it must read again."""
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
    """An epoch that has not begun is not that of any row."""
    open_upload(repository)
    with pytest.raises(ConcurrentUpdate):
        record_bit(repository, 0, replace(EMPTY_SHARD, epoch=1))


def test_record_chunk_requiring_no_presigned_raises_after_mark(repository: UploadRepository) -> None:
    """Once URLs may have been signed, a record that rests on there being none is refused; others go on."""
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, upload, 1, require_no_presigned=True)
    repository.mark_presigned(upload, now=START + 500)
    marked = read_upload(repository)
    assert [(stripe.has_presigned_parts, stripe.last_activity_at, stripe.version) for stripe in marked.shards] == [
        (True, START + 500, 2),
        (True, START + 500, 1),
        (True, START + 500, 1),
    ]
    for index in (2, 129, 257):
        with pytest.raises(ConcurrentUpdate):
            record_chunk(repository, upload, index, require_no_presigned=True)
        record_chunk(repository, upload, index)
    repository.mark_presigned(marked, now=START + 600)
    assert read_upload(repository).last_activity_at == START + 600


def test_record_activity_updates_first_shard(repository: UploadRepository) -> None:
    """Activity is noted on the first stripe, while it is open."""
    with pytest.raises(ConcurrentUpdate):
        repository.record_activity(UPLOAD_ID, now=START + 1)
    upload = open_upload(repository, layout=SHARDED_LAYOUT)
    repository.record_activity(UPLOAD_ID, now=START + 1)
    assert [stripe.last_activity_at for stripe in read_upload(repository).shards] == [START + 1, START, START]
    assert read_upload(repository).version == upload.version + 1
    repository.terminate(
        read_upload(repository), UploadState.CANCELLED, now=START + 2, ttl_epoch_seconds=TTL_EPOCH_SECONDS
    )
    with pytest.raises(ConcurrentUpdate):
        repository.record_activity(UPLOAD_ID, now=START + 3)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto checks a condition and writes in two steps, with no lock between
def test_record_chunk_concurrently_counts_each_once(repository: UploadRepository) -> None:
    """However many record the same chunks at once, each counts once."""
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


def test_delete_upload_rows_keeps_record(repository: UploadRepository, cleanup_repository: CleanupRepository) -> None:
    """Stripes and claims go, of this upload only; the session stays. Again is no error."""
    open_upload(repository, layout=SHARDED_LAYOUT)
    open_upload(repository, OTHER_ID, name="other", layout=SHARDED_LAYOUT)
    for upload_id in (UPLOAD_ID, OTHER_ID):
        for part in range(1, 41):
            repository.put_chunk_digest(upload_id, part, part, FIRST_DIGEST)
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)
    assert read_upload(repository).shards == ()
    assert repository.get_all_chunk_digests(UPLOAD_ID) == {}
    assert len(read_upload(repository, OTHER_ID).shards) == 3
    assert len(repository.get_all_chunk_digests(OTHER_ID)) == 40
    assert cleanup_repository.delete_upload_rows(UPLOAD_ID, deadline=FAR_FUTURE)
