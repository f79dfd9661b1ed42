"""Steps of the tests of `if_exists: rename`: one name, and a file that is to get it or the next free one."""

from __future__ import annotations

from typing import Any

from ferry.files.put import PutRequest, put_file
from ferry.model.files import File, IfExists
from ferry.rules.digests import crc32c
from ferry.services import Services
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.start import StartResult, start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS, Client, InMemoryService, seeded_bytes

NAME = "a.txt"
BODY = seeded_bytes(9)
CRC = crc32c(BODY)


def put(service: InMemoryService, name: str = NAME, body: bytes = b"other") -> File:
    return put_file(service.services, NS, PutRequest(name, body)).file


def rename(service: InMemoryService, services: Services | None = None, **options: Any) -> StartResult:
    request = StartRequest(NAME, len(BODY), if_exists=IfExists.RENAME, **options)
    return start(services or service.services, NS, request)


def name_of(result: StartResult) -> str:
    """Return the name of the upload, or of the file if there is nothing to send."""
    if result.upload is not None:
        return result.upload.record.name
    assert result.file is not None
    return result.file.name


def id_of(result: StartResult) -> str:
    assert result.upload is not None
    return result.upload.record.upload_id


def finish(service: InMemoryService, name: str, services: Services | None = None, **options: Any) -> File:
    """Send the bytes of an upload by its name, and complete it."""
    client = Client(service, BODY, name=name)
    client.send_chunks()
    result = complete(services or service.services, NS, CompleteRequest(name, **options))
    assert isinstance(result, File)
    return result
