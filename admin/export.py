"""List the files of a namespace with what is needed to take their bytes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from admin.result import format_time
from ferry.model.files import File
from ferry.model.uploads import object_key
from ferry.ports.file_repository import FileRepository
from ferry.rules.digests import crc32c_to_base64
from ferry.rules.listing import after_name

PAGE_SIZE = 500
"""Files of one read. A record has at most 13 KB, so a page is below 7 MB."""


def list_files(repository: FileRepository, ns: str) -> Iterator[File]:
    """Yield the files of a namespace by name, one page in memory at a time.

    A file that exists during the whole listing is in it once.
    """
    position, has_more = "", True
    while has_more:
        page = repository.list_files(ns, "", start=position, limit=PAGE_SIZE)
        yield from page.items
        has_more = page.has_more
        if has_more:
            position = after_name(page.items[-1].name)


def to_dict(file: File) -> dict[str, object]:
    """Return the file as its line shows it. `crc32c` is base64, as S3 has it in `x-amz-checksum-crc32c`."""
    return {
        "name": file.name,
        "size": file.size,
        "crc32c": crc32c_to_base64(file.crc32c),
        "key": object_key(file.upload_id),
        "etag": file.etag,
        "content_type": file.content_type,
        "metadata": dict(file.metadata),
        "uploaded_at": format_time(file.uploaded_at),
    }
