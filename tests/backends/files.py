"""The races' client, and the assertions about its file."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from dev.fakes.object_store import StoreResponse
from ferry.model.files import File, IfExists
from ferry.rules.digests import crc32c
from ferry.rules.layout import KIB
from ferry.services import Services
from ferry.status.snapshot import StatusReport, get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, CompletionAccepted, complete
from ferry.uploads.presign import PartsRequest, PresignedPart, presign_parts
from ferry.uploads.start import StartResult, start
from ferry.uploads.start_request import StartRequest
from tests.contract.presigned_requests import send_over_http

NS = "races"
MAX_COMPLETE_ATTEMPTS = 40
OTHER_SEED_OFFSET = 1_000_000
"""Added to a seed to get other bytes. (A negative seed gives the bytes of its absolute value.)"""


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass
class RaceClient:
    """A client with one file, whose methods may run in several threads at once."""

    name: str
    body: bytes
    chunk_size: int = 64 * KIB

    upload_id: str | None = None
    """Set by `start`."""

    replace_existing: bool = False
    """The start request may replace a file of the same name."""

    restart: bool = False
    """The start request cancels an upload of the same name."""

    @classmethod
    def create(
        cls,
        name: str,
        size: int,
        seed: int,
        chunk_size: int = 64 * KIB,
        *,
        replace_existing: bool = False,
        restart: bool = False,
    ) -> RaceClient:
        """Return a client with a file of `size` random bytes."""
        return cls(name, random.Random(seed).randbytes(size), chunk_size, None, replace_existing, restart)

    @property
    def indexes(self) -> range:
        return range(1, -(-len(self.body) // self.chunk_size) + 1)

    def chunk(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def start(self, services: Services) -> StartResult:
        """Start the upload and keep its id."""
        request = StartRequest(
            self.name,
            len(self.body),
            chunk_size=self.chunk_size,
            fingerprint=str(crc32c(self.body)),
            if_exists=IfExists.REPLACE if self.replace_existing else IfExists.FAIL,
            restart=self.restart,
        )
        result = start(services, NS, request)
        assert result.upload is not None
        self.upload_id = result.upload.record.upload_id
        return result

    def send(self, services: Services, index: int, body: bytes | None = None) -> ChunkAccepted:
        chunk = self.chunk(index) if body is None else body
        return accept_chunk(services, NS, ChunkRequest(self.name, index, chunk, upload_id=self.upload_id))

    def send_all(self, services: Services, indexes: Sequence[int] | None = None) -> None:
        for index in self.indexes if indexes is None else indexes:
            self.send(services, index)

    def sign(self, services: Services, number: int) -> PresignedPart:
        [part] = presign_parts(services, NS, PartsRequest(self.name, [(number, None)], self.upload_id))
        return part

    def complete(self, services: Services, *, replace: bool | None = None) -> File:
        """Complete the upload, and repeat the request while the response is that it continues asynchronously."""
        request = CompleteRequest(self.name, self.upload_id, if_exists=IfExists.REPLACE if replace else None)
        for _ in range(MAX_COMPLETE_ATTEMPTS):
            result = complete(services, NS, request)
            if not isinstance(result, CompletionAccepted):
                return result
            services.sleep(result.retry_after_seconds)
        raise AssertionError("the upload did not complete")

    def status(self, services: Services) -> StatusReport:
        return get_status(services, NS, self.name)


def put_presigned(part: PresignedPart, body: bytes) -> StoreResponse:
    """Send a part to S3 as a client does."""
    return send_over_http("PUT", part.url, body, part.headers)


def download(services: Services, file: File) -> bytes:
    """Return the file's bytes as a reader downloads them from S3."""
    presigned = services.object_store.presign_get(
        f"o/{file.upload_id}", content_type="a/b", disposition="inline", ttl_seconds=60
    )
    response = send_over_http("GET", presigned.url, b"", {})
    assert response.status == 200
    return response.body


def assert_current_file(services: Services, file: File, body: bytes) -> None:
    """Assert that the name has this file with these bytes, and that the status reports it as complete."""
    assert services.file_repository.get_file(file.ns, file.name) == file
    assert sha256(download(services, file)) == sha256(body)
    status = get_status(services, NS, file.name)
    assert (status.state, status.received_bytes, status.size) == (UploadStatus.COMPLETE, len(body), len(body))
    assert status.upload_id == file.upload_id


def remaining_in_s3(services: Services, upload_id: str) -> list[str]:
    """Return the key of the upload's object and the ids of its multipart uploads that S3 still has."""
    remaining = [f"o/{upload_id}"] if services.object_store.head(f"o/{upload_id}") else []
    cursor = None
    while True:
        page = services.object_store.list_multipart_uploads(cursor, 1_000)
        remaining += [multipart_id for key, multipart_id, _ in page.items if key == f"o/{upload_id}"]
        cursor = page.cursor
        if cursor is None:
            return remaining
