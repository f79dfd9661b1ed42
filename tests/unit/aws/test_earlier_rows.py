"""Rows that an earlier version wrote are read as they were meant."""

from __future__ import annotations

import pytest

from dev.fakes.clock import START_MS
from ferry.aws import chunk_digests
from ferry.aws import metadata_rows as rows
from ferry.model.files import IfExists
from ferry.model.uploads import ChunkDigest
from tests.contract.factories import make_record


@pytest.mark.parametrize(("replaces", "if_exists"), [(True, IfExists.REPLACE), (False, IfExists.FAIL)])
def test_record_with_boolean_is_read_as_choice(replaces: bool, if_exists: IfExists) -> None:
    """An upload that was started before the update replaces a file exactly if its start said so."""
    row = {name: value for name, value in rows.record_to_row(make_record(), START_MS).items() if value is not None}
    del row["if_exists"]
    record = rows.record_from_row({**row, "replace_existing": replaces})
    assert record.if_exists is if_exists
    flags = (record.file_existed, record.requires_checksum, record.upload_id_required, record.was_restarted)
    assert flags == (False, False, False, False)


def test_digest_without_time_is_read_without_time() -> None:
    """A digest of 20 bytes has no time; one of 24 bytes has, and neither is mixed with a replaced one."""
    plain = ChunkDigest(bytes(range(16)), 0x01020304)
    row = {
        "pk": "U#x#1",
        "sk": "1",
        "ttl": 1,
        "d1": plain.sha256_prefix + b"\x01\x02\x03\x04",
        "d2": plain.sha256_prefix + b"\x01\x02\x03\x04\x00\x00\x00\x05",
        "r2": bytes(20),
    }
    digests = chunk_digests.digests_from_row(row)
    assert digests == {1: plain, 2: plain}
    assert (digests[1].stored_at, digests[1].replaced) == (None, None)
    assert (digests[2].stored_at, digests[2].replaced) == (5_000, ChunkDigest(bytes(16), 0))
