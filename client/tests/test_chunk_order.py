"""In which order chunks are sent through the API where S3 is out of reach."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from client.tests.fake_service import CHUNK_SIZE, FakeService
from ferry_client.client import Ferry
from ferry_client.transport import HttpRequest

Connect = Callable[..., Ferry]

DEADLINE_SECONDS = 30
MIB = 1024 * 1024


class ChunkOrder:
    """Notes which chunks the service has when it gets one. The first chunk waits for one of the second part."""

    def __init__(self, fake: FakeService, chunks_per_part: int) -> None:
        self._fake = fake
        self._chunks_per_part = chunks_per_part
        self._second_part = threading.Event()
        self.without_previous: set[int] = set()
        """Chunks, except the first of each part, that came before the service had the one before them."""

    def __call__(self, request: HttpRequest) -> None:
        query = parse_qs(urlsplit(request.url).query)
        if "chunk_index" not in query:
            return
        index, [upload] = int(query["chunk_index"][0]), self._fake.uploads.values()
        if index > self._chunks_per_part:
            self._second_part.set()
        if index == 1:
            assert self._second_part.wait(DEADLINE_SECONDS)
        if (index - 1) % self._chunks_per_part and index - 1 not in upload.chunks:
            self.without_previous.add(index)


def test_chunks_of_part_are_sent_one_after_another(connect: Connect, fake: FakeService) -> None:
    """With as many parts as requests at once, each thread sends the chunks of a part in order."""
    order = ChunkOrder(fake, 5 * MIB // CHUNK_SIZE)
    fake.before.append(order)
    connect(allow_direct=False, max_jobs=2).upload(bytes(10 * MIB), "x")
    assert (order.without_previous, len(fake.files["x"].data)) == (set(), 10 * MIB)


def test_chunks_of_few_parts_are_sent_at_once(connect: Connect, fake: FakeService) -> None:
    """With fewer parts than requests at once, several threads send the chunks of a part."""
    order = ChunkOrder(fake, 5 * MIB // CHUNK_SIZE)
    fake.before.append(order)
    connect(allow_direct=False, max_jobs=3).upload(bytes(10 * MIB), "x")
    assert order.without_previous
    assert len(fake.files["x"].data) == 10 * MIB
