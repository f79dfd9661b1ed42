"""Keys of the metadata table fit DynamoDB, with the longest name."""

from __future__ import annotations

import pytest

from ferry.aws import cursors, file_rows
from ferry.aws import metadata_rows as rows
from ferry.aws.expressions import Key
from ferry.aws.file_listings import last_sort_key
from ferry.errors import InvalidFilename
from ferry.model.cleanup import CleanupTaskKind
from ferry.rules.filenames import MAX_FILENAME_BYTES, normalize_filename
from ferry.rules.listing import after_deleted_file

MAX_SORT_KEY_BYTES = 1_024
"""DynamoDB developer guide, "Quotas"."""
MAX_PARTITION_KEY_BYTES = 2_048
"""DynamoDB developer guide, "Quotas"."""
MAX_BYTES_AROUND_NAME = 24
"""Room in a sort key beside the longest name."""

NAME = "/".join(["\N{GRINNING FACE}" * 63 + "xyz"] * 3 + ["x" * 232])
UPLOAD_ID = "f" * 32
NS = "n" * 255

KEYS: dict[str, Key] = {
    "file": rows.file_key(NS, NAME),
    "current upload": rows.current_upload_key(NS, NAME),
    "quota": rows.quota_key(NS),
    "upload record": rows.record_key(UPLOAD_ID),
    "progress shard": rows.shard_key(UPLOAD_ID, 89),
    "chunk digests": rows.chunk_digest_key(UPLOAD_ID, 10_000),
    "deleted file": file_rows.deleted_file_key(NS, NAME, UPLOAD_ID, 0),
    "file event": file_rows.file_event_key(f"{UPLOAD_ID}.999999.restored"),
    "bound of names": (rows.names_pk(NS), last_sort_key(rows.FILE_PREFIX + NAME)),
    "bound of deleted files": (
        rows.names_pk(NS),
        file_rows.DELETED_FILE_PREFIX + after_deleted_file(NAME, UPLOAD_ID, 0),
    ),
    "orphan scan": rows.ORPHAN_SCAN_KEY,
    **{f"cleanup task {kind.value}": rows.task_key(kind, UPLOAD_ID) for kind in CleanupTaskKind},
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_key_with_longest_name_fits_dynamodb(key: Key) -> None:
    """Each kind of row has a key within DynamoDB's limits, with a name of 1,000 bytes."""
    pk, sk = key
    assert 1 <= len(pk.encode()) <= MAX_PARTITION_KEY_BYTES
    assert 1 <= len(sk.encode()) <= MAX_SORT_KEY_BYTES
    assert len(sk.encode()) <= MAX_FILENAME_BYTES + MAX_BYTES_AROUND_NAME


def test_longest_name_is_valid_and_longest() -> None:
    """The name that the keys have is valid, and one byte more is not."""
    assert len(normalize_filename(NAME).encode()) == MAX_FILENAME_BYTES == cursors.MAX_KEY_TEXT_BYTES
    assert len(KEYS["file"][1].encode()) == MAX_FILENAME_BYTES + len(rows.FILE_PREFIX)
    with pytest.raises(InvalidFilename):
        normalize_filename(NAME + "x")


@pytest.mark.parametrize("character", ['"', "é", "x"])
def test_longest_cursor_is_accepted(character: str) -> None:
    """A cursor of the longest namespace, prefix and name is decoded, whatever JSON escapes."""
    text = (character * 1_000).encode()[:1_000].decode()
    listing = ("files", NS, text[: len(text) // 2])
    cursor = cursors.encode(listing, [text[len(text) // 2 :]])
    assert cursors.decode(cursor, listing, "s") == [text[len(text) // 2 :]]
