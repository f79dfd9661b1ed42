"""The contract of the object store: listings of more parts than one page has."""

from __future__ import annotations

import pytest

from ferry.ports.object_store import ObjectStore
from ferry.rules.digests import crc32c
from tests.contract.conftest import LOCALSTACK, MEMORY, SEAWEEDFS
from tests.contract.samples import KEY, md5

UPLOADED_PARTS = {
    "all": (range(1, 2_002), 2_001),
    "gaps before, between and after": ([*range(5, 1_000), 1_001, 1_003, *range(2_500, 2_510)], 3_000),
    "every third of the last": (range(3_001, 6_040, 3), 6_040),
}
"""Part numbers that exist, and the last part number of the upload. Each listing has more than one page."""


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto reads the marker as a count
@pytest.mark.parametrize("case", UPLOADED_PARTS)
def test_list_parts_with_gaps_lists_each_once(objects: ObjectStore, case: str) -> None:
    """Parts on several pages are listed once each, by number, wherever numbers are missing."""
    numbers, last = UPLOADED_PARTS[case]
    multipart_id = objects.create_multipart(KEY, content_type="text/plain")
    for number in numbers:
        body = number.to_bytes(2, "big")
        objects.upload_part(KEY, multipart_id, number, body, crc32c=crc32c(body))
    parts = objects.list_parts(KEY, multipart_id, max_part_number=last)
    assert list(parts) == list(numbers)
    for number, part in parts.items():
        assert (part.number, part.size) == (number, 2)
        assert part.etag == f'"{md5(number.to_bytes(2, "big")).hex()}"'
