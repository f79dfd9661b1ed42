"""Whether a local file has the content of an ETag of S3.

The ETag of an object that one request made is the MD5 of its bytes; of a multipart upload it is the MD5 of its parts'
MD5s, with their number. (With SSE-KMS it is neither: then no local file is recognized by it.) CRC32C finds damage, but
two files can share one; an MD5 beside it tells them apart.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from pathlib import Path

from ferry_client.options import MIB
from ferry_client.sources import FileSource

PART_BYTES = tuple(size * MIB for size in (5, 6, 8, 16))
"""Sizes of the parts that this client uploads; another client's are not recognized."""

_MD5 = re.compile(r'"([0-9a-f]{32})(?:-(\d+))?"')
"""An ETag that is an MD5, with the number of parts of a multipart upload."""


def is_md5(etag: str) -> bool:
    """Return whether an ETag has the form of one that is made of MD5s."""
    return _MD5.fullmatch(etag) is not None


def has_content(path: Path, etag: str) -> bool:
    """Return whether a local file has the content of an ETag; False also if the ETag does not show it.

    Raises:
        LocalFileError: the file cannot be read.
        SourceChangedError: it became shorter meanwhile.
    """
    match = _MD5.fullmatch(etag)
    if match is None:
        return False
    source = FileSource(path)
    with closing(source):
        part_count = int(match[2]) if match[2] else None
        sizes = _part_sizes(source.size, part_count)
        return any(_etag(source, size, is_multipart=part_count is not None) == etag for size in sizes)


def is_md5_of(etag: str, data: bytes) -> bool:
    """Return whether an ETag is the one of these bytes, sent in one request."""
    return etag == f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _part_sizes(size: int, part_count: int | None) -> list[int]:
    """Return the sizes of parts for which a file has this number of parts; None: it was sent whole."""
    if part_count is None:
        return [max(1, size)]
    return [part_bytes for part_bytes in PART_BYTES if -(-size // part_bytes) == part_count]


def _etag(source: FileSource, part_bytes: int, *, is_multipart: bool) -> str:
    whole, digests, count = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False), 0
    for first in range(0, source.size, part_bytes):
        part = hashlib.md5(usedforsecurity=False)
        end = min(first + part_bytes, source.size)
        for position in range(first, end, MIB):
            part.update(source.read(position, min(MIB, end - position)))
        digests.update(part.digest())
        whole, count = part, count + 1
    return f'"{digests.hexdigest()}-{count}"' if is_multipart else f'"{whole.hexdigest()}"'
