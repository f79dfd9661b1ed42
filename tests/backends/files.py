"""A file as a client of the races sends it, and what must be true of it afterwards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.engine import Engine
from ferry.grid import KIB
from ferry.model import File
from ferry.progress import Phase, Status, status
from ferry.uploads.chunk import ChunkAccepted, ChunkRequest, send
from ferry.uploads.complete import CompleteRequest, StillCompleting, complete
from ferry.uploads.parts import PartsRequest, SignedPart, sign
from ferry.uploads.start import Started, StartRequest, start
from tests.contract.sending import sender_over_http
from tests.fakes.objects import Answer

NS = "races"
ASKS = 40
OTHER = 1_000_000
"""Added to a seed: other bytes. (A negative seed gives the same as its absolute value.)"""


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass
class Sending:
    """A client with one file; like `tests.support.world.Client`, but it may be several at once."""

    name: str
    body: bytes
    chunk_size: int = 64 * KIB
    upload_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, size: int, seed: int, chunk_size: int = 64 * KIB, **options: Any) -> Sending:
        return cls(name, random.Random(seed).randbytes(size), chunk_size, options=options)

    @property
    def indexes(self) -> range:
        return range(1, -(-len(self.body) // self.chunk_size) + 1)

    def chunk(self, index: int) -> bytes:
        return self.body[(index - 1) * self.chunk_size : index * self.chunk_size]

    def start(self, engine: Engine) -> Started:
        """Start, and keep the upload's id."""
        started = start(engine, NS, StartRequest(self.name, len(self.body), chunk_size=self.chunk_size, **self.options))
        assert started.upload is not None
        self.upload_id = started.upload.session.upload_id
        return started

    def send(self, engine: Engine, index: int, body: bytes | None = None) -> ChunkAccepted:
        chunk = self.chunk(index) if body is None else body
        return send(engine, NS, ChunkRequest(self.name, index, chunk, upload_id=self.upload_id))

    def send_all(self, engine: Engine, indexes: Sequence[int] | None = None) -> None:
        for index in self.indexes if indexes is None else indexes:
            self.send(engine, index)

    def sign(self, engine: Engine, number: int) -> SignedPart:
        [signed] = sign(engine, NS, PartsRequest(self.name, [(number, None)], self.upload_id))
        return signed

    def complete(self, engine: Engine, *, replace: bool | None = None) -> File:
        """Complete, asking again as the answers say."""
        request = CompleteRequest(self.name, self.upload_id, replace=replace)
        for _ in range(ASKS):
            found = complete(engine, NS, request)
            if not isinstance(found, StillCompleting):
                return found
            engine.sleep(found.retry_after)
        raise AssertionError("still completing")

    def status(self, engine: Engine) -> Status:
        return status(engine, NS, self.name)


def put(signed: SignedPart, body: bytes) -> Answer:
    """A client's PUT to S3."""
    return sender_over_http("PUT", signed.url, body, signed.headers)


def downloaded(engine: Engine, file: File) -> bytes:
    """The file's bytes as a reader gets them from S3."""
    url = engine.objects.presign_get(f"o/{file.upload_id}", content_type="a/b", disposition="inline", lifetime=60)
    answer = sender_over_http("GET", url, b"", {})
    assert answer.status == 200
    return answer.body


def is_the_file(engine: Engine, file: File, body: bytes) -> None:
    """The name points to this file, which has these bytes, and everybody is told so."""
    assert engine.ledger.file(file.ns, file.name) == file
    assert sha256(downloaded(engine, file)) == sha256(body)
    seen = status(engine, NS, file.name)
    assert (seen.state, seen.received_bytes, seen.size) == (Phase.COMPLETE, len(body), len(body))
    assert seen.upload_id == file.upload_id


def left_in_s3(engine: Engine, upload_id: str) -> list[str]:
    """What S3 has under the upload's names: the object, and multipart uploads."""
    found = [f"o/{upload_id}"] if engine.objects.head(f"o/{upload_id}") else []
    cursor = None
    while True:
        page = engine.objects.multiparts(cursor, 1_000)
        found += [multipart_id for key, multipart_id, _ in page.items if key == f"o/{upload_id}"]
        cursor = page.cursor
        if cursor is None:
            return found
