"""A client of sequential uploads, by what the protocols say alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferry.model.sequential import Protocol
from ferry.model.uploads import Upload, UploadState
from ferry.resumable.append import AppendRequest, AppendResult, append
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.resumable.lookup import find_sequential, shown_offset
from ferry.services import Services
from tests.support.in_memory_service import NAME, NS, InMemoryService


@dataclass
class SequentialClient:
    """Sends one file in appends."""

    service: InMemoryService
    body: bytes
    protocol: Protocol = Protocol.TUS
    upload_id: str = ""

    def create(self, services: Services | None = None, **options: Any) -> Upload:
        """Create the upload, with the length of the body unless another one is given."""
        values = {"name": NAME, "length": len(self.body), **options}
        upload = create(services or self.service.services, NS, CreateRequest(self.protocol, **values))
        self.upload_id = upload.record.upload_id
        return upload

    def append(
        self, offset: int, size: int, services: Services | None = None, body: bytes | None = None, **options: Any
    ) -> AppendResult:
        """Append bytes of the body, or other bytes."""
        content = self.body[offset : offset + size] if body is None else body
        request = AppendRequest(self.upload_id, offset, content, protocol=self.protocol, **options)
        return append(services or self.service.services, NS, request)

    def send(self, size: int, start: int = 0) -> AppendResult:
        """Append the rest of the body, `size` bytes at once."""
        result = self.append(start, size)
        for offset in range(start + size, len(self.body), size):
            result = self.append(offset, size)
        return result

    def upload(self) -> Upload:
        return find_sequential(self.service.services, NS, self.upload_id).upload

    def offset(self) -> int:
        return shown_offset(self.upload())

    def state(self) -> UploadState:
        return self.upload().record.state

    def delete(self, services: Services | None = None) -> str | None:
        return delete(services or self.service.services, NS, self.upload_id, self.protocol)
