"""A file as a client of the races sends it, and what must be true of it afterwards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.fakes.object_store import StoreResponse
from ferry.model.files import File
from ferry.rules.layout import KIB
from ferry.services import Services
from ferry.status.snapshot import StatusReport, get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, CompletionAccepted, complete
from ferry.uploads.presign import PartsRequest, PresignedPart, presign_parts
from ferry.uploads.start import StartRequest, StartResult, start
from tests.contract.sending import send_over_http

NS = "races"
MAX_COMPLETE_ATTEMPTS = 40
OTHER_SEED_OFFSET = 1_000_000
"""Added to a seed: other bytes. (A negative seed gives the same as its absolute value.)"""


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass
class RaceClient:
    """A client with one file; like `tests.support.in_memory_service.Client`, but it may be several at once."""

    name: str
    body: bytes
    chunk_size: int = 64 * KIB
    upload_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, name: str, size: int, seed: int, chunk_size: int = 64 * KIB, **options: Any) -> RaceClient:
        return cls(name, random.Random(seed).randbytes(size), chunk_size, options=options)

    @property
    def indexes(self) -> range:
        return range(1, -(-len(self.body) // self.chunk_size) + 1)

    def chunk(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def start(self, services: Services) -> StartResult:
        """Start, and keep the upload's id."""
        started = start(
            services, NS, StartRequest(self.name, len(self.body), chunk_size=self.chunk_size, **self.options)
        )
        assert started.upload is not None
        self.upload_id = started.upload.record.upload_id
        return started

    def send(self, services: Services, index: int, body: bytes | None = None) -> ChunkAccepted:
        chunk = self.chunk(index) if body is None else body
        return accept_chunk(services, NS, ChunkRequest(self.name, index, chunk, upload_id=self.upload_id))

    def send_all(self, services: Services, indexes: Sequence[int] | None = None) -> None:
        for index in self.indexes if indexes is None else indexes:
            self.send(services, index)

    def sign(self, services: Services, number: int) -> PresignedPart:
        [signed] = presign_parts(services, NS, PartsRequest(self.name, [(number, None)], self.upload_id))
        return signed

    def complete(self, services: Services, *, replace: bool | None = None) -> File:
        """Complete, asking again as the answers say."""
        request = CompleteRequest(self.name, self.upload_id, replace_existing=replace)
        for _ in range(MAX_COMPLETE_ATTEMPTS):
            found = complete(services, NS, request)
            if not isinstance(found, CompletionAccepted):
                return found
            services.sleep(found.retry_after_seconds)
        raise AssertionError("still completing")

    def status(self, services: Services) -> StatusReport:
        return get_status(services, NS, self.name)


def put_presigned(part: PresignedPart, body: bytes) -> StoreResponse:
    """A client's PUT to S3."""
    return send_over_http("PUT", part.url, body, part.headers)


def download(services: Services, file: File) -> bytes:
    """The file's bytes as a reader gets them from S3."""
    url = services.object_store.presign_get(
        f"o/{file.upload_id}", content_type="a/b", disposition="inline", ttl_seconds=60
    )
    answer = send_over_http("GET", url, b"", {})
    assert answer.status == 200
    return answer.body


def assert_current_file(services: Services, file: File, body: bytes) -> None:
    """The name points to this file, which has these bytes, and everybody is told so."""
    assert services.upload_repository.get_file(file.ns, file.name) == file
    assert sha256(download(services, file)) == sha256(body)
    seen = get_status(services, NS, file.name)
    assert (seen.state, seen.received_bytes, seen.size) == (UploadStatus.COMPLETE, len(body), len(body))
    assert seen.upload_id == file.upload_id


def remaining_in_s3(services: Services, upload_id: str) -> list[str]:
    """What S3 has under the upload's names: the object, and multipart uploads."""
    found = [f"o/{upload_id}"] if services.object_store.head(f"o/{upload_id}") else []
    cursor = None
    while True:
        page = services.object_store.list_multipart_uploads(cursor, 1_000)
        found += [multipart_id for key, multipart_id, _ in page.items if key == f"o/{upload_id}"]
        cursor = page.cursor
        if cursor is None:
            return found
