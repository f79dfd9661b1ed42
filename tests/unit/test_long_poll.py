"""Calls that wait for news: how soon they hear of it, what that costs, and when they may not wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, FaultStep, ProcessCrashed
from ferry.errors import NotFound
from ferry.files.delete import delete_file
from ferry.http.queries import MAX_WAIT_SECONDS
from ferry.rules.durations import DAY_MS
from ferry.status.long_poll import wait_for_update
from ferry.status.snapshot import StatusReport, get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.presign import PartsRequest, presign_parts
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

PART_BYTES = 2 * CHUNK_BYTES
DYNAMODB = {"MemoryUploadRepository", "MemoryCleanupRepository"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> InMemoryService:
    """A Ferry in memory whose parts have two chunks of 64 KiB."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", PART_BYTES)
    return InMemoryService()


class LongPollCall:
    """A call that waits: its sleep moves the clock, and after the n-th lets something happen. `log` has its calls."""

    def __init__(
        self,
        service: InMemoryService,
        actions: Mapping[int, Callable[[], object]] | None = None,
        plan: FaultPlan | None = None,
    ) -> None:
        self.service, self.actions = service, actions or {}
        self.sleeps_seconds: list[float] = []
        self.log = CallLog()
        self.services = replace(service.new_services(plan, self.log), sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.sleeps_seconds.append(seconds)
        before = self.service.clock.now
        self.actions.get(len(self.sleeps_seconds), lambda: None)()
        self.service.clock.now = before + round(seconds * 1000)

    def wait(self, since_version: int, timeout_seconds: float = 20) -> StatusReport:
        return wait_for_update(self.services, NS, NAME, since_version=since_version, timeout_seconds=timeout_seconds)

    @property
    def repository_reads(self) -> int:
        return sum(call.port in DYNAMODB for call in self.log.calls)


def read_version(service: InMemoryService) -> int:
    return get_status(service.services, NS, NAME).version


def started_client(service: InMemoryService, size: int = 2 * PART_BYTES) -> Client:
    client = Client(service, seeded_bytes(size))
    client.start()
    return client


def completed_client(service: InMemoryService) -> Client:
    client = started_client(service)
    client.send_chunks()
    client.complete_with_retries()
    return client


def test_wait_chunk_received_returns_at_next_poll(service: InMemoryService) -> None:
    """A look a second, so within one; each is one read of the ledger, and so is the last, which tells the answer."""
    client = started_client(service)
    since = read_version(service)
    waiting = LongPollCall(service, actions={3: lambda: client.send_chunk(1)})
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, CHUNK_BYTES)
    assert waiting.sleeps_seconds == [1.0, 1.0, 1.0]
    assert waiting.log.methods == [
        "get_name",
        "get_upload",
        "acquire",
        "get_upload",
        "get_upload",
        "get_upload",
        "release",
    ]


@pytest.mark.parametrize("seconds", [1, 2.5, MAX_WAIT_SECONDS])
def test_wait_no_change_returns_unchanged_at_timeout(service: InMemoryService, seconds: float) -> None:
    """After exactly as long as was asked for; the ledger is read once a second, and at first for the whole status."""
    started_client(service)
    known = get_status(service.services, NS, NAME)
    waiting = LongPollCall(service)
    assert waiting.wait(known.version, seconds) == known
    assert sum(waiting.sleeps_seconds) == seconds
    assert waiting.repository_reads <= 2 + -(-seconds // 1)


def test_wait_slow_reads_ends_on_time(service: InMemoryService) -> None:
    """The time a look takes is part of its second, and the last one begins before the time is up."""
    started_client(service)
    began = service.clock.now
    steps: dict[int | tuple[str, int], FaultStep] = {
        ("get_upload", n): lambda: service.clock.advance(700) for n in range(2, 99)
    }
    waiting = LongPollCall(service, plan=FaultPlan(steps))
    waiting.wait(read_version(service), 10)
    assert waiting.sleeps_seconds[1:-1] == [0.3] * (len(waiting.sleeps_seconds) - 2)
    assert service.clock.now <= began + 10_700
    assert waiting.repository_reads <= 2 + 10


def test_wait_newer_version_exists_returns_at_once(service: InMemoryService) -> None:
    """Something newer than `since` is there: answered at once. So is a name that is not there."""
    started_client(service)
    waiting = LongPollCall(service)
    for since in (0, read_version(service) - 1):
        assert waiting.wait(since).version == read_version(service)
    with pytest.raises(NotFound):
        wait_for_update(waiting.services, NS, "unknown", since_version=0, timeout_seconds=20)
    assert (waiting.sleeps_seconds, waiting.log.count("acquire")) == ([], 0)


def test_wait_version_from_before_restore_waits_for_change(service: InMemoryService) -> None:
    """Nothing newer is there, so it waits as long as it was to, and no longer; but what changes meanwhile is news."""
    client = started_client(service)
    lost = read_version(service) + 1_000
    waiting = LongPollCall(service)
    assert waiting.wait(lost, 5).version == read_version(service)
    assert sum(waiting.sleeps_seconds) == 5
    again = LongPollCall(service, actions={2: lambda: client.send_chunk(1)})
    assert again.wait(lost).received_bytes == CHUNK_BYTES
    assert again.sleeps_seconds == [1.0, 1.0]


def send_and_complete(client: Client) -> None:
    """All of it."""
    client.send_chunks()
    client.complete()


# what happens meanwhile → the state that is then told
END_ACTIONS: Mapping[str, tuple[Callable[[Client], object], UploadStatus]] = {
    "cancelled": (Client.cancel, UploadStatus.CANCELLED),
    "completed": (send_and_complete, UploadStatus.COMPLETE),
    "restarted": (lambda client: client.start(restart=True), UploadStatus.PENDING),
}


@pytest.mark.parametrize("end", END_ACTIONS)
def test_wait_upload_ends_returns_at_next_poll(service: InMemoryService, end: str) -> None:
    """Cancelled, completed, or another in its place: the next look says so."""
    client = started_client(service)
    act, phase = END_ACTIONS[end]
    service.clock.advance(5_000)
    waiting = LongPollCall(service, actions={2: lambda: act(client)})
    assert waiting.wait(read_version(service)).state is phase
    assert waiting.sleeps_seconds == [1.0, 1.0]


def test_wait_upload_expires_returns_at_next_poll(service: InMemoryService) -> None:
    """By the clock alone: no row changes with it."""
    started_client(service)
    since = read_version(service)
    service.clock.advance(DAY_MS - 1_500)
    waiting = LongPollCall(service)
    assert waiting.wait(since).state is UploadStatus.EXPIRED
    assert waiting.sleeps_seconds == [1.0, 1.0]


def test_wait_after_completion_sees_new_upload_and_deletion(service: InMemoryService) -> None:
    """A new upload of the name, or that it is gone; its name is looked up once a second, and nothing else."""
    client = completed_client(service)
    since = read_version(service)
    service.clock.advance(60_000)
    waiting = LongPollCall(service, actions={3: lambda: client.start(replace_existing=True)})
    assert waiting.wait(since).state is UploadStatus.PENDING
    assert waiting.log.methods == ["get_name", "get_upload", "acquire", *["get_name"] * 4, "get_upload", "release"]
    client.cancel()
    gone = LongPollCall(service, actions={1: lambda: delete_file(service.services, NS, NAME)})
    assert gone.wait(read_version(service), 2).state is UploadStatus.CANCELLED

    finished_again = Client(service, seeded_bytes(PART_BYTES))
    finished_again.start()
    finished_again.send_chunks()
    finished_again.complete()
    gone = LongPollCall(service, actions={1: lambda: delete_file(service.services, NS, NAME)})
    with pytest.raises(NotFound):
        gone.wait(read_version(service))
    assert gone.sleeps_seconds == [1.0]
    assert service.permit_pool.held == {}


# Parts straight to S3


@pytest.fixture
def ten_thousand_parts(service: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> tuple[InMemoryService, Client]:
    """An upload of 10,000 parts of 4 bytes, which may all go straight to S3."""
    for name, value in {"MIN_CHUNK_BYTES": 4, "DEFAULT_PART_BYTES": 4}.items():
        monkeypatch.setattr(f"ferry.rules.layout.{name}", value)
    client = Client(service, seeded_bytes(40_000), chunk_size=4)
    client.start()
    return service, client


def put_parts(client: Client, *numbers: int) -> None:
    """Put these parts straight to S3."""
    for first in range(0, len(numbers), 100):
        wanted = [(number, None) for number in numbers[first : first + 100]]
        for part in presign_parts(client.service.services, NS, PartsRequest(NAME, wanted)):
            assert client.put_part(part, client.part_body(part.part_number)).status == 200


@pytest.mark.parametrize("landed", [range(1, 10_001), range(1, 10_001, 2), range(9_000, 10_001)])
def test_status_ten_thousand_parts_exact_by_few_reads(
    ten_thousand_parts: tuple[InMemoryService, Client], landed: range
) -> None:
    """Exact to the part, by two reads of the ledger and one sweep over the listing."""
    service, client = ten_thousand_parts
    put_parts(client, *landed)
    log, pages = CallLog(), service.object_store.list_parts_calls
    found = get_status(service.new_services(log=log), NS, NAME)
    assert log.methods == ["get_name", "get_upload", "list_parts"]
    assert service.object_store.list_parts_calls - pages <= 10
    assert found.received_bytes == 4 * len(landed)
    missing = {number for first, last in found.missing for number in range(first, last + 1)}
    assert missing == set(range(1, 10_001)) - set(landed)


@pytest.mark.parametrize(
    ("landed", "new_part", "pages"),
    [
        ([], 1, 1),
        ([], 10_000, 1),
        (range(1, 5_001), 5_001, 1),
        (range(1, 5_001), 9_999, 1),
        (range(5_001, 10_001), 5_000, 1),
        (range(2, 10_001), 1, 1),
        (range(1, 10_001, 2), 10_000, 5),
    ],
)
def test_wait_part_uploaded_returns_at_next_poll(
    ten_thousand_parts: tuple[InMemoryService, Client], landed: list[int] | range, new_part: int, pages: int
) -> None:
    """Whichever of ten thousand it is: a look is one read and, unless very many lie behind gaps, one page."""
    service, client = ten_thousand_parts
    put_parts(client, new_part, *landed)
    upload = service.object_store.multipart_uploads["mp-1"]
    late = upload.parts.pop(new_part)
    since = read_version(service)
    waiting = LongPollCall(service, actions={3: lambda: upload.parts.update({new_part: late})})
    begun_with = service.object_store.list_parts_calls
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, 4 * (len(landed) + 1))
    assert waiting.sleeps_seconds == [1.0, 1.0, 1.0]
    calls = Counter(waiting.log.methods)
    assert calls.pop("list_parts_page") <= 3 * pages
    assert calls == {"get_name": 1, "get_upload": 4, "acquire": 1, "release": 1, "list_parts": 2}
    assert service.object_store.list_parts_calls - begun_with <= 2 * 10 + 3 * pages


def test_wait_nothing_missing_skips_listing(ten_thousand_parts: tuple[InMemoryService, Client]) -> None:
    """All is there, and only completing it is news: S3 is not asked while it waits."""
    service, client = ten_thousand_parts
    put_parts(client, *range(1, 10_001))
    waiting = LongPollCall(service)
    waiting.wait(read_version(service), 5)
    assert (waiting.log.count("list_parts_page"), waiting.log.count("list_parts")) == (0, 1)


def test_wait_without_presigned_parts_skips_s3(service: InMemoryService) -> None:
    """A waiting call of an upload in chunks costs reads of the ledger alone."""
    started_client(service)
    waiting = LongPollCall(service)
    waiting.wait(read_version(service), 5)
    assert not [call for call in waiting.log.calls if call.port == "MemoryObjectStore"]


# Too many at once


def test_wait_no_permit_left_returns_at_once(service: InMemoryService) -> None:
    """And may wait again as soon as one of them has left."""
    client = started_client(service)
    service.permit_pool.max_permits = 2
    since = read_version(service)
    answered: list[list[float]] = []

    def another(then: Callable[[], object] = lambda: None) -> None:
        waiting = LongPollCall(service, actions={1: then})
        waiting.wait(since, 1)
        answered.append(waiting.sleeps_seconds)

    another(lambda: another(another))
    assert answered == [[], [1.0], [1.0]]
    another()
    assert (answered[-1], service.permit_pool.held) == ([1.0], {})
    client.cancel()


def test_wait_crashed_permit_expires(service: InMemoryService) -> None:
    """Nobody need put that right."""
    started_client(service)
    service.permit_pool.max_permits = 1
    since = read_version(service)
    dying = LongPollCall(service, plan=FaultPlan({("get_upload", 2): Fault.CRASH_BEFORE}))
    with pytest.raises(ProcessCrashed):
        dying.wait(since, 10)
    waiting = LongPollCall(service)
    waiting.wait(since)
    assert waiting.sleeps_seconds == []
    service.clock.advance(9_001)
    waiting.wait(since, 1)
    assert waiting.sleeps_seconds == [1.0]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_RESPONSE, Fault.THROTTLED])
def test_wait_permit_pool_unavailable_returns_at_once(service: InMemoryService, fault: Fault) -> None:
    """The status is known, and that it cannot wait is no reason to withhold it; nor is that it cannot say it left."""
    started_client(service)
    since = read_version(service)
    waiting = LongPollCall(service, plan=FaultPlan({("acquire", 1): fault}))
    assert waiting.wait(since).version == since
    assert waiting.sleeps_seconds == []
    leaving = LongPollCall(service, plan=FaultPlan({("release", 1): fault}))
    assert leaving.wait(since, 1).version == since
    assert leaving.sleeps_seconds == [1.0]


def test_wait_without_permit_pool_waits(service: InMemoryService) -> None:
    """As in a function that has been told of none."""
    started_client(service)
    waiting = LongPollCall(service)
    waiting.services = replace(waiting.services, permit_pool=None)
    waiting.wait(read_version(service), 2)
    assert waiting.sleeps_seconds == [1.0, 1.0]
