"""Bodies of parts, and helpers that store them."""

from __future__ import annotations

import hashlib
import random

from ferry.model.objects import StoredObject, StoredPart
from ferry.ports.object_store import ObjectStore
from ferry.rules.digests import combine_crc32c, crc32c
from ferry.rules.layout import MIN_PART_BYTES

KEY = "o/0123456789abcdef0123456789abcdef"
FIRST_PART = random.Random(1).randbytes(MIN_PART_BYTES)
OTHER_FIRST_PART = random.Random(2).randbytes(MIN_PART_BYTES)
LAST_PART = random.Random(3).randbytes(12_345)
WHOLE_BODY = FIRST_PART + LAST_PART
WHOLE_CRC32C = combine_crc32c(crc32c(FIRST_PART), crc32c(LAST_PART), len(LAST_PART))


def md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def start_multipart(objects: ObjectStore, *bodies: bytes, key: str = KEY) -> str:
    """Create a multipart upload with these parts, numbered from 1, and return its id."""
    multipart_id = objects.create_multipart(key, content_type="text/plain")
    for number, body in enumerate(bodies, 1):
        objects.upload_part(key, multipart_id, number, body, crc32c=crc32c(body))
    return multipart_id


def list_all_parts(objects: ObjectStore, multipart_id: str) -> list[StoredPart]:
    return list(objects.list_parts(KEY, multipart_id, max_part_number=10_000).values())


def put_object(objects: ObjectStore, key: str, body: bytes) -> StoredObject:
    return objects.put(key, body, crc32c=crc32c(body))
