"""The repository's contract: a lease is taken over exactly what was read, and tells what stands then."""

from __future__ import annotations

import pytest

from dev.fakes.clock import START
from ferry.model.uploads import CurrentUpload
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    IDLE_TIMEOUT_MS,
    NAME,
    NS,
    OTHER_ID,
    SHARDED_LAYOUT,
    UPLOAD_ID,
    acquire_lease,
    commit_upload,
    create_upload,
    make_file,
    open_upload,
    read_upload,
    record_chunk,
)


@pytest.mark.parametrize("stripe", [0, 2])
def test_acquire_lease_returns_upload_as_stored(repository: UploadRepository, stripe: int) -> None:
    """Nobody need read again: what is returned is what a read would give, the first time and when it is taken over."""
    open_upload(repository, layout=SHARDED_LAYOUT)
    record_chunk(repository, read_upload(repository), 128 * stripe + 1)
    first = acquire_lease(repository, read_upload(repository))
    assert first == read_upload(repository)
    assert acquire_lease(repository, first, "second", now=START + 60_001) == read_upload(repository)
    assert read_upload(repository).record.first_leased_at == START + 10


@pytest.mark.parametrize("moved", ["recorded", "recorded in the last stripe", "touched", "signed"])
def test_acquire_lease_after_shard_change_raises(repository: UploadRepository, moved: str) -> None:
    """A chunk recorded, a URL signed, any activity since the read: who judged without it must read again."""
    before = open_upload(repository, layout=SHARDED_LAYOUT)
    {
        "recorded": lambda: record_chunk(repository, before, 1),
        "recorded in the last stripe": lambda: record_chunk(repository, before, 257),
        "touched": lambda: repository.record_activity(UPLOAD_ID, now=START + 1),
        "signed": lambda: repository.mark_presigned(before, now=START + 1),
    }[moved]()
    with pytest.raises(ConcurrentUpdate):
        acquire_lease(repository, before)
    assert all(row.open for row in read_upload(repository).shards)
    acquire_lease(repository, read_upload(repository))


def test_get_name_returns_file_and_current_upload(repository: UploadRepository) -> None:
    """Its file and its slot, each if there is one."""
    assert repository.get_name(NS, NAME) == (None, None, None)
    create_upload(repository, name="begun")
    assert repository.get_name(NS, "begun") == (None, CurrentUpload(NS, "begun", UPLOAD_ID, in_progress=True), None)
    commit_upload(repository, OTHER_ID)
    assert repository.get_name(NS, NAME) == (
        make_file(OTHER_ID),
        CurrentUpload(NS, NAME, OTHER_ID, in_progress=False),
        None,
    )
    repository.delete_file(make_file(OTHER_ID), object_due_at=START + IDLE_TIMEOUT_MS, now=START)
    assert repository.get_name(NS, NAME) == (None, CurrentUpload(NS, NAME, OTHER_ID, in_progress=False), None)
