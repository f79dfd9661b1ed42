"""The contract of the upload repository: starts under `rename`, and files that get another name than their upload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.model.files import ObjectRecord
from ferry.model.starts import RenamedStart, start_id_for
from ferry.model.uploads import CurrentUpload
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.factories import (
    LARGEST_LAYOUT,
    NAME,
    NS,
    OTHER_ID,
    THIRD_ID,
    TTL_EPOCH_SECONDS,
    UPLOAD_ID,
    commit_upload,
    lease_upload,
    make_file,
    make_record,
    read_upload,
)

OTHER_NAME = "another name (2)"
START_ID = start_id_for(NS, NAME, 9, crc32c=1, fingerprint=None) or ""


def test_start_id_is_of_name_size_and_proof() -> None:
    """The id differs with each of its parts; the fingerprint counts only without a checksum."""
    ids = {
        start_id_for(ns, name, size, crc32c=crc, fingerprint=fingerprint)
        for ns, name, size, crc, fingerprint in (
            ("ns", "a", 1, 1, None),
            ("ns2", "a", 1, 1, None),
            ("ns", "b", 1, 1, None),
            ("ns", "a", 2, 1, None),
            ("ns", "a", 1, 2, None),
            ("ns", "a", 1, None, "1"),
            ("ns", "a", 1, None, "2"),
            ("nsa", "", 1, 1, None),
        )
    }
    assert len(ids) == 8
    assert start_id_for("ns", "a", 1, crc32c=1, fingerprint="x") in ids
    assert start_id_for("ns", "a", 1, crc32c=None, fingerprint=None) is None


def test_create_upload_with_start_is_found_by_it(repository: UploadRepository) -> None:
    """A start is found by its id, together with what its name has, and names the upload that it created."""
    assert repository.get_renamed_start(NS, NAME, START_ID) == (None, None, None, None)
    start = RenamedStart(START_ID, UPLOAD_ID)
    record = replace(make_record(name=OTHER_NAME), requested_name=NAME)
    repository.create_upload(record, expected=None, due_at=START_MS + 1, renamed_start=start)
    assert repository.get_renamed_start(NS, NAME, START_ID) == (None, None, None, start)
    assert read_upload(repository).record == record
    file = commit_upload(repository, OTHER_ID)
    current_upload = CurrentUpload(NS, NAME, OTHER_ID, in_progress=False)
    assert repository.get_renamed_start(NS, NAME, START_ID) == (file, current_upload, None, start)
    assert repository.get_renamed_start(NS, NAME, "unknown") == (file, current_upload, None, None)


def test_create_upload_of_other_start_raises(repository: UploadRepository) -> None:
    """A start that created an upload creates another only if that one is expected; nothing is written otherwise."""
    first = RenamedStart(START_ID, UPLOAD_ID)
    repository.create_upload(make_record(), expected=None, due_at=1, renamed_start=first)
    second, other = RenamedStart(START_ID, OTHER_ID), make_record(OTHER_ID, name=OTHER_NAME)
    for expected_start in (None, RenamedStart(START_ID, THIRD_ID)):
        with pytest.raises(ConcurrentUpdate):
            repository.create_upload(
                other, expected=None, due_at=1, renamed_start=second, expected_start=expected_start
            )
    assert (repository.get_upload(OTHER_ID), repository.get_current_upload(NS, OTHER_NAME)) == (None, None)
    repository.create_upload(other, expected=None, due_at=1, renamed_start=second, expected_start=first)
    assert repository.get_renamed_start(NS, NAME, START_ID)[3] == second


def test_create_largest_upload_with_start_fits_transaction(repository: UploadRepository) -> None:
    """The upload with the most shards and a start is one transaction."""
    start = RenamedStart(START_ID, UPLOAD_ID)
    repository.create_upload(make_record(layout=LARGEST_LAYOUT), expected=None, due_at=1, renamed_start=start)
    assert len(read_upload(repository).shards) == LARGEST_LAYOUT.shard_count


def test_commit_file_under_other_name(
    repository: UploadRepository, file_repository: FileRepository, cleanup_repository: CleanupRepository
) -> None:
    """A file may get another name than its upload: record and object have it, and the upload's name is free."""
    record = lease_upload(repository).record
    file = make_file(name=OTHER_NAME)
    repository.commit_file(
        record,
        file,
        replaced_file=None,
        staged_chunks_due_at=START_MS + 20,
        object_due_at=START_MS + 30,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    assert (file_repository.get_file(NS, NAME), file_repository.get_file(NS, OTHER_NAME)) == (None, file)
    stored = read_upload(repository).record
    assert (stored.name, stored.file, stored.owner) == (NAME, file, (NS, OTHER_NAME))
    assert cleanup_repository.get_object(UPLOAD_ID) == ObjectRecord((NS, OTHER_NAME))
    assert repository.get_current_upload(NS, NAME) == CurrentUpload(NS, NAME, UPLOAD_ID, in_progress=False)
    assert repository.get_current_upload(NS, OTHER_NAME) is None
