"""Lines that break: how many bytes a connection carries, the size of chunks, and pauses."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.contents import content
from client.tests.fake_service import S3_URL, URL, FakeService
from client.tests.raw_server import read_head, server
from ferry_client import line
from ferry_client.client import Ferry
from ferry_client.connections import ConnectionLimit
from ferry_client.options import ClientOptions
from ferry_client.transport import BytesBody, HttpRequest, HttpResponse, TransportError, UrllibTransport

MIB = 1024 * 1024
KIB = 1024
Connect = Callable[..., Ferry]


def limit_of(*breaks: int, seconds_between: float = 1.0) -> ConnectionLimit:
    now = [0.0]
    limit = ConnectionLimit(now=lambda: now[0])
    record_breaks(limit, now, *breaks, seconds_between=seconds_between)
    return limit


def record_breaks(limit: ConnectionLimit, now: list[float], *breaks: int, seconds_between: float = 1.0) -> None:
    for carried_bytes in breaks:
        now[0] += seconds_between
        limit.record_break(carried_bytes)


def pause_between_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let breaks count one by one, however fast they come."""
    monkeypatch.setattr(ConnectionLimit, "_TOGETHER_SECONDS", 0.0)


def test_connections_that_break_together_show_no_limit() -> None:
    """A change of address breaks all connections at once, after about as many bytes."""
    assert limit_of(500_000, 520_000, 510_000, 505_000, seconds_between=0.01).max_bytes is None


def test_connection_that_carries_more_shows_that_there_is_no_limit() -> None:
    """A response on a connection that has carried more than the limit ends it."""
    limit = limit_of(100_000, 110_000, 105_000)
    limit.record_success(95_000)
    assert limit.max_bytes == 90_000
    limit.record_success(262_000)
    assert limit.max_bytes is None


def test_breaks_after_as_many_bytes_show_a_limit() -> None:
    """Three connections that break after about as many bytes show what a connection may carry."""
    assert limit_of(500_000, 520_000, 510_000).max_bytes == 450_000


@pytest.mark.parametrize("breaks", [(500_000, 510_000), (200_000, 500_000, 900_000), (1_000, 1_000, 1_000)])
def test_other_breaks_show_no_limit(breaks: tuple[int, ...]) -> None:
    """Too few breaks, breaks after different numbers, and breaks after next to nothing are no limit."""
    assert limit_of(*breaks).max_bytes is None


def test_break_far_below_the_limit_shows_that_there_is_none() -> None:
    """Connections that broke together, as at a change of address, show a limit that the next break contradicts."""
    assert limit_of(500_000, 520_000, 510_000, 100_000).max_bytes is None
    assert limit_of(500_000, 520_000, 510_000, 440_000).max_bytes is not None


def test_limit_is_forgotten() -> None:
    """A client that meets another network loses the limit of the last one."""
    now = [0.0]
    limit = ConnectionLimit(now=lambda: now[0])
    record_breaks(limit, now, 500_000, 500_000, 500_000)
    assert limit.max_bytes == 450_000
    now[0] += 601.0
    assert limit.max_bytes is None


@pytest.mark.parametrize(("breaks", "connections"), [((), 1), ((200_000,) * 3, 2)], ids=["no limit", "limit"])
def test_connection_ends_before_the_limit(
    breaks: tuple[int, ...], connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that would pass the limit goes on a fresh connection; all arrive."""
    accepted: list[int] = []

    def serve(connection: socket.socket) -> None:
        accepted.append(1)
        while connection.recv(1, socket.MSG_PEEK):
            head = read_head(connection)
            rest = 60_000 - len(head.partition(b"\r\n\r\n")[2])
            while rest:
                rest -= len(connection.recv(rest))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(serve) as url:
        transport = UrllibTransport(ClientOptions())
        pause_between_breaks(monkeypatch)
        for carried_bytes in breaks:
            transport.connection_limit.record_break(carried_bytes)
        for _ in range(3):
            assert transport.send(HttpRequest("POST", url, body=BytesBody(b"x" * 60_000))).status == 200
    assert len(accepted) == connections


def cut_large_chunks(fake: FakeService) -> list[str]:
    """Break each request with a chunk until an upload starts anew. Return the list of the starts' bodies."""
    starts: list[str] = []

    def cut(request: HttpRequest) -> HttpResponse | None:
        if request.url.endswith("/upload/start") and request.body is not None:
            starts.append(b"".join(request.body.blocks(lambda: MIB)).decode())
        if "/upload/chunk" in request.url and len(starts) == 1:
            raise TransportError("the connection broke", sent_bytes=100_000)
        return None

    fake.before.append(cut)
    return starts


def test_chunks_that_never_pass_become_smaller(connect: Connect, fake: FakeService) -> None:
    """An upload whose connections break again and again starts anew, in chunks of 64 KiB."""
    starts = cut_large_chunks(fake)
    notes: list[str] = []
    connect(max_jobs=1).upload(content(5 * MIB), "x", on_note=notes.append)
    assert fake.files["x"].data == content(5 * MIB)
    assert len(starts) == 2
    assert '"chunk_size": 65536' in starts[1]
    assert '"restart": true' in starts[1]
    assert len(notes) == 1


def test_chunks_that_fit_a_known_limit_stay(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each connection breaks after the same number of bytes, fresh ones carry the chunks: no new start."""
    pause_between_breaks(monkeypatch)
    left = [6]

    def cut(request: HttpRequest) -> HttpResponse | None:
        if "/upload/chunk" in request.url and left[0]:
            left[0] -= 1
            fake.connection_limit.record_break(500_000)
            raise TransportError("the connection broke", sent_bytes=100_000)
        return None

    fake.before.append(cut)
    connect(max_jobs=1).upload(content(5 * MIB), "x")
    assert fake.count("POST", "/upload/start") == 1


def test_break_after_progress_of_others_costs_no_pause(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that breaks twice is repeated at once, if another one succeeded meanwhile."""
    ferry = connect(max_jobs=1)
    pauses: list[float] = []
    monkeypatch.setattr(ferry.api, "sleep", pauses.append)
    left = [3]

    def cut(request: HttpRequest) -> HttpResponse | None:
        if "chunk_index=3" in request.url and left[0]:
            left[0] -= 1
            ferry.api.record_success()
            raise TransportError("the connection broke", sent_bytes=1000)
        return None

    fake.before.append(cut)
    ferry.upload(content(5 * MIB), "x")
    assert not left[0]
    assert not pauses


def test_slow_line_gets_chunks_only(connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first part shows a slow line, the chunks of the others follow, and no part goes to S3."""
    monkeypatch.setattr(line, "DIRECT_MIN_BYTES_PER_SECOND", 1e15)
    monkeypatch.setattr(line, "PART_PROBE_MIN_BYTES_PER_SECOND", 1e15)
    connect(max_jobs=2).upload(content(9 * MIB), "x")
    assert fake.files["x"].data == content(9 * MIB)
    assert not [request for request in fake.requests if request.url.startswith(S3_URL)]
    assert fake.count("POST", "/upload/chunk") == 36


def test_ranges_of_a_download_share_one_presigned_url(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """The first range asks for the URL, the others use it."""
    fake.put_file("x", content(5 * MIB))
    ferry = connect(max_jobs=4, range_bytes=MIB)
    ferry.download("x", tmp_path / "x")
    assert [request.url for request in fake.requests if "redirect=false" in request.url] == [
        f"{URL}/download?filename=x&redirect=false"
    ]


def test_part_whose_response_is_lost_is_not_sent_again(connect: Connect, fake: FakeService) -> None:
    """The service says that S3 has the part."""
    lost: set[str] = set()

    def lose(request: HttpRequest) -> HttpResponse | None:
        if request.url.startswith(S3_URL) and request.url not in lost and request.body is not None:
            lost.add(request.url)
            raise TransportError("the connection broke", sent_bytes=request.body.length)
        return None

    fake.after.append(lose)
    ferry = connect(max_jobs=1)
    ferry.line.bytes_per_second = 1e9
    ferry.upload(content(12 * MIB), "x", restart=True)
    assert fake.files["x"].data == content(12 * MIB)
    assert len([request for request in fake.requests if request.url.startswith(S3_URL)]) == 3


def test_bytes_of_a_break_are_counted_on_a_slow_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk goes in several blocks, so that a connection that breaks within it has sent some."""
    transport = UrllibTransport(ClientOptions())
    clock = [0.0]
    monkeypatch.setattr("ferry_client.transport.time.monotonic", lambda: clock[0])
    blocks = []
    for _ in range(20):
        for block in transport._paced(BytesBody(b"x" * 128 * KIB)):
            blocks.append(len(block))
            clock[0] += len(block) / 62_500
    assert max(blocks) <= 32 * KIB


@pytest.mark.parametrize(("bytes_per_second", "parts"), [(None, 0), (1_000_000.0, 0), (50_000_000.0, 1)])
def test_file_of_five_mib_goes_straight_to_s3_on_a_fast_line(
    connect: Connect, fake: FakeService, bytes_per_second: float | None, parts: int
) -> None:
    """Where the last transfer showed a fast line, the service's functions carry no byte of a file of 5 MiB."""
    ferry = connect(max_jobs=1)
    ferry.line.bytes_per_second = bytes_per_second
    ferry.upload(content(5 * MIB), "x")
    assert len([request for request in fake.requests if request.url.startswith(S3_URL)]) == parts
    assert fake.count("POST", "/upload/chunk") == (0 if parts else 20)
    assert fake.files["x"].data == content(5 * MIB)


def test_chunk_whose_response_is_lost_is_not_sent_again(connect: Connect, fake: FakeService) -> None:
    """The service says that it has the chunk."""
    lost: set[str] = set()

    def lose(request: HttpRequest) -> HttpResponse | None:
        if "/upload/chunk" in request.url and request.url not in lost and request.body is not None:
            lost.add(request.url)
            raise TransportError("the connection broke", sent_bytes=request.body.length)
        return None

    fake.after.append(lose)
    connect(max_jobs=1, chunk_bytes=256 * KIB).upload(content(5 * MIB), "x")
    assert fake.files["x"].data == content(5 * MIB)
    assert fake.count("POST", "/upload/chunk") == 20


@pytest.mark.parametrize(("s3_seconds", "parts"), [(0.0, 4), (1e6, 1)], ids=["S3 is fast", "S3 is slow, too"])
def test_slow_functions_do_not_keep_bytes_from_s3(
    connect: Connect, fake: FakeService, monkeypatch: pytest.MonkeyPatch, s3_seconds: float, parts: int
) -> None:
    """Where chunks come slowly on a line that does not break, one part shows whether S3 is faster."""
    clock = [0.0]
    monkeypatch.setattr("ferry_client.uploads.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(line.Line, "measure", lambda self: None)

    def take_time(request: HttpRequest) -> None:
        if request.url.startswith(S3_URL):
            clock[0] += s3_seconds

    fake.after.append(take_time)
    ferry = connect(max_jobs=1)
    ferry.line.bytes_per_second = 1_000_000
    ferry.upload(content(17 * MIB), "x")
    assert fake.files["x"].data == content(17 * MIB)
    assert len([request for request in fake.requests if request.url.startswith(S3_URL)]) == parts
