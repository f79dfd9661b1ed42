"""Long polls: how soon they notice a change, what they cost, and when they do not wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan, FaultStep, ProcessCrashed
from ferry.errors import NotFound
from ferry.files.delete import delete_file
from ferry.http.queries import MAX_WAIT_SECONDS
from ferry.model.files import IfExists
from ferry.rules.durations import DAY_MS
from ferry.status.long_poll import wait_for_update
from ferry.status.snapshot import StatusReport, get_status
from ferry.status.upload_status import UploadStatus
from ferry.uploads.presign import PartsRequest, presign_parts
from tests.support.in_memory_service import CHUNK_BYTES, NAME, NS, Client, InMemoryService, seeded_bytes

PART_BYTES = 2 * CHUNK_BYTES
DYNAMODB = {"MemoryUploadRepository", "MemoryFileRepository", "MemoryCleanupRepository"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> InMemoryService:
    """A service in memory whose parts have two chunks of 64 KiB."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", PART_BYTES)
    return InMemoryService()


class LongPollCall:
    """A waiting call: each sleep moves the clock, and the n-th one runs `actions[n]`. `log` has the calls."""

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
    """A chunk is noticed within a second. Each poll is one read of the metadata store."""
    client = started_client(service)
    since = read_version(service)
    waiting = LongPollCall(service, actions={3: lambda: client.send_chunk(1)})
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, CHUNK_BYTES)
    assert waiting.sleeps_seconds == [1.0, 1.0, 1.0]
    assert waiting.log.methods == [
        "get_name_uploads",
        "get_upload",
        "acquire",
        "get_upload",
        "get_upload",
        "get_upload",
        "release",
    ]


@pytest.mark.parametrize("seconds", [1, 2.5, MAX_WAIT_SECONDS])
def test_wait_no_change_returns_unchanged_at_timeout(service: InMemoryService, seconds: float) -> None:
    """Without a change the wait lasts exactly as long as requested, and takes one read a second."""
    started_client(service)
    known = get_status(service.services, NS, NAME)
    waiting = LongPollCall(service)
    assert waiting.wait(known.version, seconds) == known
    assert sum(waiting.sleeps_seconds) == seconds
    assert waiting.repository_reads <= 2 + -(-seconds // 1)


def test_wait_slow_reads_ends_on_time(service: InMemoryService) -> None:
    """The time of a read counts toward its second, and the last read begins before the timeout."""
    started_client(service)
    started_at = service.clock.now
    steps: dict[int | tuple[str, int], FaultStep] = {
        ("get_upload", n): lambda: service.clock.advance(700) for n in range(2, 99)
    }
    waiting = LongPollCall(service, plan=FaultPlan(steps))
    waiting.wait(read_version(service), 10)
    assert waiting.sleeps_seconds[1:-1] == [0.3] * (len(waiting.sleeps_seconds) - 2)
    assert service.clock.now <= started_at + 10_700
    assert waiting.repository_reads <= 2 + 10


def test_wait_newer_version_exists_returns_at_once(service: InMemoryService) -> None:
    """A newer version is returned at once, and so is the error for an unknown name."""
    started_client(service)
    waiting = LongPollCall(service)
    for since in (0, read_version(service) - 1):
        assert waiting.wait(since).version == read_version(service)
    with pytest.raises(NotFound):
        wait_for_update(waiting.services, NS, "unknown", since_version=0, timeout_seconds=20)
    assert (waiting.sleeps_seconds, waiting.log.count("acquire")) == ([], 0)


def test_wait_version_from_before_restore_waits_for_change(service: InMemoryService) -> None:
    """A version from before a restore waits until the timeout, or until anything changes."""
    client = started_client(service)
    lost = read_version(service) + 1_000
    waiting = LongPollCall(service)
    assert waiting.wait(lost, 5).version == read_version(service)
    assert sum(waiting.sleeps_seconds) == 5
    again = LongPollCall(service, actions={2: lambda: client.send_chunk(1)})
    assert again.wait(lost).received_bytes == CHUNK_BYTES
    assert again.sleeps_seconds == [1.0, 1.0]


def send_and_complete(client: Client) -> None:
    """Send every chunk, and complete the upload."""
    client.send_chunks()
    client.complete()


# what happens during the wait → the state that is then returned
END_ACTIONS: Mapping[str, tuple[Callable[[Client], object], UploadStatus]] = {
    "cancelled": (Client.cancel, UploadStatus.CANCELLED),
    "completed": (send_and_complete, UploadStatus.COMPLETE),
    "restarted": (lambda client: client.start(restart=True), UploadStatus.PENDING),
}


@pytest.mark.parametrize("end", END_ACTIONS)
def test_wait_upload_ends_returns_at_next_poll(service: InMemoryService, end: str) -> None:
    """A cancellation, a completion and a restart are noticed by the next poll."""
    client = started_client(service)
    act, state = END_ACTIONS[end]
    service.clock.advance(5_000)
    waiting = LongPollCall(service, actions={2: lambda: act(client)})
    assert waiting.wait(read_version(service)).state is state
    assert waiting.sleeps_seconds == [1.0, 1.0]


def test_wait_upload_expires_returns_at_next_poll(service: InMemoryService) -> None:
    """An expiry is noticed by the clock, because no row changes."""
    started_client(service)
    since = read_version(service)
    service.clock.advance(DAY_MS - 1_500)
    waiting = LongPollCall(service)
    assert waiting.wait(since).state is UploadStatus.EXPIRED
    assert waiting.sleeps_seconds == [1.0, 1.0]


def test_wait_after_completion_sees_new_upload_and_deletion(service: InMemoryService) -> None:
    """For a finished file, each poll reads the name only, and notices a new upload and a deletion."""
    client = completed_client(service)
    since = read_version(service)
    service.clock.advance(60_000)
    waiting = LongPollCall(service, actions={3: lambda: client.start(if_exists=IfExists.REPLACE)})
    assert waiting.wait(since).state is UploadStatus.PENDING
    assert waiting.log.methods == [
        "get_name_uploads",
        "get_upload",
        "acquire",
        *["get_name_uploads"] * 4,
        "get_upload",
        "release",
    ]
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
    """An upload of 10,000 parts of 4 bytes, all of which may be sent straight to S3."""
    for name, value in {"MIN_CHUNK_BYTES": 4, "DEFAULT_PART_BYTES": 4}.items():
        monkeypatch.setattr(f"ferry.rules.layout.{name}", value)
    client = Client(service, seeded_bytes(40_000), chunk_size=4)
    client.start()
    return service, client


def put_parts(client: Client, *numbers: int) -> None:
    """Send these parts straight to S3."""
    for first in range(0, len(numbers), 100):
        parts = [(number, None) for number in numbers[first : first + 100]]
        for part in presign_parts(client.service.services, NS, PartsRequest(NAME, parts)):
            assert client.put_part(part, client.part_body(part.part_number)).status == 200


@pytest.mark.parametrize("uploaded", [range(1, 10_001), range(1, 10_001, 2), range(9_000, 10_001)])
def test_status_ten_thousand_parts_exact_by_few_reads(
    ten_thousand_parts: tuple[InMemoryService, Client], uploaded: range
) -> None:
    """The status is exact to the part, with two reads of the metadata store and one pass over the listing."""
    service, client = ten_thousand_parts
    put_parts(client, *uploaded)
    log, pages = CallLog(), service.object_store.list_parts_calls
    found = get_status(service.new_services(log=log), NS, NAME)
    assert log.methods == ["get_name_uploads", "get_upload", "list_parts"]
    assert service.object_store.list_parts_calls - pages <= 10
    assert found.received_bytes == 4 * len(uploaded)
    missing = {number for first, last in found.missing for number in range(first, last + 1)}
    assert missing == set(range(1, 10_001)) - set(uploaded)


@pytest.mark.parametrize(
    ("uploaded", "new_part", "pages"),
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
    ten_thousand_parts: tuple[InMemoryService, Client], uploaded: list[int] | range, new_part: int, pages: int
) -> None:
    """Any of 10,000 parts is noticed. A poll is one read and, unless parts lie behind many gaps, one page."""
    service, client = ten_thousand_parts
    put_parts(client, new_part, *uploaded)
    upload = service.object_store.multipart_uploads["mp-1"]
    late = upload.parts.pop(new_part)
    since = read_version(service)
    waiting = LongPollCall(service, actions={3: lambda: upload.parts.update({new_part: late})})
    calls_before = service.object_store.list_parts_calls
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, 4 * (len(uploaded) + 1))
    assert waiting.sleeps_seconds == [1.0, 1.0, 1.0]
    calls = Counter(waiting.log.methods)
    assert calls.pop("list_parts_page") <= 3 * pages
    assert calls == {"get_name_uploads": 1, "get_upload": 4, "acquire": 1, "release": 1, "list_parts": 2}
    assert service.object_store.list_parts_calls - calls_before <= 2 * 10 + 3 * pages


def test_wait_nothing_missing_skips_listing(ten_thousand_parts: tuple[InMemoryService, Client]) -> None:
    """When no part is missing, only a completion can follow, so a poll does not call S3."""
    service, client = ten_thousand_parts
    put_parts(client, *range(1, 10_001))
    waiting = LongPollCall(service)
    waiting.wait(read_version(service), 5)
    assert (waiting.log.count("list_parts_page"), waiting.log.count("list_parts")) == (0, 1)


def test_wait_without_presigned_parts_skips_s3(service: InMemoryService) -> None:
    """A wait for an upload in chunks takes reads of the metadata store only."""
    started_client(service)
    waiting = LongPollCall(service)
    waiting.wait(read_version(service), 5)
    assert not [call for call in waiting.log.calls if call.port == "MemoryObjectStore"]


# Permits


def test_wait_no_permit_left_returns_at_once(service: InMemoryService) -> None:
    """Without a free permit the status is returned at once; a released permit can be acquired again."""
    client = started_client(service)
    service.permit_pool.max_permits = 1
    since = read_version(service)
    answered: list[list[float]] = []

    def another(then: Callable[[], object] = lambda: None) -> None:
        waiting = LongPollCall(service, actions={1: then})
        waiting.wait(since, 1)
        answered.append(waiting.sleeps_seconds)

    another(another)
    assert answered == [[], [1.0]]
    another()
    assert (answered[-1], service.permit_pool.held) == ([1.0], {})
    client.cancel()


def test_wait_busy_namespace_leaves_permits_for_others(service: InMemoryService) -> None:
    """While 30 long polls of one namespace use its share, one of another namespace waits, and further ones return."""
    started_client(service)
    service.permit_pool.max_permits = 20
    now = service.clock()
    held = [service.permit_pool.acquire("busy", expires_at=now + 20_000, now=now) for _ in range(30)]
    assert len([permit for permit in held if permit is not None]) == 15
    waiting = LongPollCall(service)
    waiting.wait(read_version(service), 2)
    assert waiting.sleeps_seconds == [1.0, 1.0]
    assert service.permit_pool.acquire("busy", expires_at=now + 20_000, now=now) is None


def test_wait_crashed_permit_expires(service: InMemoryService) -> None:
    """The permit of a crashed call becomes free when it expires."""
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
    """A failure of the permit pool ends the wait, not the request; a failed release is ignored."""
    started_client(service)
    since = read_version(service)
    waiting = LongPollCall(service, plan=FaultPlan({("acquire", 1): fault}))
    assert waiting.wait(since).version == since
    assert waiting.sleeps_seconds == []
    leaving = LongPollCall(service, plan=FaultPlan({("release", 1): fault}))
    assert leaving.wait(since, 1).version == since
    assert leaving.sleeps_seconds == [1.0]


def test_wait_without_permit_pool_waits(service: InMemoryService) -> None:
    """Without a permit pool every call may wait."""
    started_client(service)
    waiting = LongPollCall(service)
    waiting.services = replace(waiting.services, permit_pool=None)
    waiting.wait(read_version(service), 2)
    assert waiting.sleeps_seconds == [1.0, 1.0]
