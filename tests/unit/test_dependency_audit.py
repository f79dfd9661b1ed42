"""What `make audit-deps` reads from a lock file and from a package index."""

from __future__ import annotations

from datetime import UTC, datetime

from dev.dependency_audit import first_upload_time, iter_pins

HASH_OPTION = "--hash=sha256:" + "0" * 64
LOCK_TEXT = f"""\
one==1.2.3 \\
    {HASH_OPTION} \\
    {HASH_OPTION}
    # via two
two[extra]==4 ; sys_platform == 'linux' \\
    {HASH_OPTION}
bare==5
"""


def test_pins_are_parsed_with_hash_counts() -> None:
    """Each pin has its name, its version and its number of hashes, which may be 0."""
    assert list(iter_pins(LOCK_TEXT)) == [("one", "1.2.3", 2), ("two", "4", 1), ("bare", "5", 0)]


def test_release_time_is_read_from_index() -> None:
    """The time is that of the first file of exactly that version, or None if the index has no times."""
    files = [
        {"filename": "one-1.2.3-py3-none-any.whl", "upload-time": "2026-03-02T00:00:00Z"},
        {"filename": "one-1.2.3.tar.gz", "upload-time": "2026-03-01T00:00:00.5Z"},
        {"filename": "one-1.2.30.tar.gz", "upload-time": "2020-01-01T00:00:00Z"},
    ]
    assert first_upload_time(files, "1.2.3") == datetime(2026, 3, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert first_upload_time([{"filename": "one-1.2.3.tar.gz"}], "1.2.3") is None
