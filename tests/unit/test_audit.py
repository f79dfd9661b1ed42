"""What `make audit` reads out of a lock and of an index's answer."""

from __future__ import annotations

from datetime import UTC, datetime

from tools.audit import blocks, uploaded

HASH = "--hash=sha256:" + "0" * 64
LOCK = f"""\
one==1.2.3 \\
    {HASH} \\
    {HASH}
    # via two
two[extra]==4 ; sys_platform == 'linux' \\
    {HASH}
bare==5
"""


def test_pins_and_their_hashes() -> None:
    """Name, version, and how many hashes follow: none is what the audit fails on."""
    assert list(blocks(LOCK)) == [("one", "1.2.3", 2), ("two", "4", 1), ("bare", "5", 0)]


def test_when_a_version_was_published() -> None:
    """The first file of exactly that version; nothing where the index tells no times."""
    files = [
        {"filename": "one-1.2.3-py3-none-any.whl", "upload-time": "2026-03-02T00:00:00Z"},
        {"filename": "one-1.2.3.tar.gz", "upload-time": "2026-03-01T00:00:00.5Z"},
        {"filename": "one-1.2.30.tar.gz", "upload-time": "2020-01-01T00:00:00Z"},
    ]
    assert uploaded(files, "1.2.3") == datetime(2026, 3, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert uploaded([{"filename": "one-1.2.3.tar.gz"}], "1.2.3") is None
