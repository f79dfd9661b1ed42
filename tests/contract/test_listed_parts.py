"""The object store's contract: listings of many parts, whatever is missing among them."""

from __future__ import annotations

import pytest

from ferry.ports.object_store import ObjectStore
from ferry.rules.digests import crc32c
from tests.contract.conftest import LOCALSTACK, MEMORY, SEAWEEDFS

KEY = "o/0123456789abcdef0123456789abcdef"

# what has landed, of how many; more than a thousand, so that there is more than one page
UPLOADED_PARTS = {
    "all": (range(1, 2_002), 2_001),
    "a gap before, between and behind": ([*range(5, 1_000), 1_001, 1_003, *range(2_500, 2_510)], 3_000),
    "only the last": ([*range(3_001, 4_010)], 4_009),
    "every third": (range(3, 3_100, 3), 3_100),
}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto takes a marker for a count
@pytest.mark.parametrize("case", UPLOADED_PARTS)
def test_list_parts_with_gaps_lists_each_once(objects: ObjectStore, case: str) -> None:
    """By number, over the pages' ends, with gaps wherever they are."""
    numbers, last = UPLOADED_PARTS[case]
    multipart_id = objects.create_multipart(KEY, content_type="text/plain")
    for number in numbers:
        body = number.to_bytes(2, "big")
        objects.upload_part(KEY, multipart_id, number, body, crc32c=crc32c(body))
    parts = objects.list_parts(KEY, multipart_id, max_part_number=last)
    assert list(parts) == list(numbers)
    assert all(part.number == number and part.size == 2 for number, part in parts.items())
