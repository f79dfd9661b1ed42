"""Calls that wait for news: how soon they hear of it, what that costs, and when they may not wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from ferry.engine import DAY
from ferry.errors import NotFound
from ferry.http.listings import MAX_WAIT
from ferry.progress import Phase, Status, status
from ferry.uploads.files import delete
from ferry.uploads.parts import PartsRequest, sign
from ferry.waiting import wait
from tests.fakes.faults import Crashed, Fault, Log, Script, Step
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of

PART = 2 * CHUNK
LEDGER = "MemoryLedger"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A Ferry in memory whose parts have two chunks of 64 KiB."""
    monkeypatch.setattr("ferry.grid.DEFAULT_PART_SIZE", PART)
    monkeypatch.setattr("tests.fakes.objects.MIN_PART_SIZE", PART)
    return World()


class Waiting:
    """A call that waits: its sleep moves the clock, and after the n-th lets something happen. `log` has its calls."""

    def __init__(
        self, world: World, then: Mapping[int, Callable[[], object]] | None = None, script: Script | None = None
    ) -> None:
        self.world, self.then = world, then or {}
        self.slept: list[float] = []
        self.log = Log()
        self.engine = replace(world.new_engine(script, self.log), sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        before = self.world.clock.now
        self.then.get(len(self.slept), lambda: None)()
        self.world.clock.now = before + round(seconds * 1000)

    def wait(self, since: int, seconds: float = 20) -> Status:
        return wait(self.engine, NS, NAME, since=since, seconds=seconds)

    @property
    def reads(self) -> int:
        return sum(call.port == LEDGER for call in self.log.calls)


def version(world: World) -> int:
    return status(world.engine, NS, NAME).version


def begun(world: World, size: int = 2 * PART) -> Client:
    client = Client(world, bytes_of(size))
    client.begin()
    return client


def finished(world: World) -> Client:
    client = begun(world)
    client.send_all()
    client.complete_patiently()
    return client


def test_a_chunk_is_heard_of_at_the_next_look(world: World) -> None:
    """A look a second, so within one; each is one read of the ledger, and so is the last, which tells the answer."""
    client = begun(world)
    since = version(world)
    waiting = Waiting(world, then={3: lambda: client.send(1)})
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, CHUNK)
    assert waiting.slept == [1.0, 1.0, 1.0]
    assert waiting.log.methods == ["look_up", "upload", "take", "upload", "upload", "upload", "leave"]


@pytest.mark.parametrize("seconds", [1, 2.5, MAX_WAIT])
def test_unchanged_when_the_time_is_up(world: World, seconds: float) -> None:
    """After exactly as long as was asked for; the ledger is read once a second, and at first for the whole status."""
    begun(world)
    known = status(world.engine, NS, NAME)
    waiting = Waiting(world)
    assert waiting.wait(known.version, seconds) == known
    assert sum(waiting.slept) == seconds
    assert waiting.reads <= 2 + -(-seconds // 1)


def test_slow_looks_do_not_make_a_wait_longer(world: World) -> None:
    """The time a look takes is part of its second, and the last one begins before the time is up."""
    begun(world)
    began = world.clock.now
    steps: dict[int | tuple[str, int], Step] = {("upload", n): lambda: world.clock.advance(700) for n in range(2, 99)}
    waiting = Waiting(world, script=Script(steps))
    waiting.wait(version(world), 10)
    assert waiting.slept[1:-1] == [0.3] * (len(waiting.slept) - 2)
    assert world.clock.now <= began + 10_700
    assert waiting.reads <= 2 + 10


def test_what_is_known_already_is_no_reason_to_wait(world: World) -> None:
    """Something newer than `since` is there: answered at once. So is a name that is not there."""
    begun(world)
    waiting = Waiting(world)
    for since in (0, version(world) - 1):
        assert waiting.wait(since).version == version(world)
    with pytest.raises(NotFound):
        wait(waiting.engine, NS, "unknown", since=0, seconds=20)
    assert (waiting.slept, waiting.log.count("take")) == ([], 0)


def test_a_version_from_before_the_ledger_was_set_back(world: World) -> None:
    """Nothing newer is there, so it waits as long as it was to, and no longer; but what changes meanwhile is news."""
    client = begun(world)
    lost = version(world) + 1_000
    waiting = Waiting(world)
    assert waiting.wait(lost, 5).version == version(world)
    assert sum(waiting.slept) == 5
    again = Waiting(world, then={2: lambda: client.send(1)})
    assert again.wait(lost).received_bytes == CHUNK
    assert again.slept == [1.0, 1.0]


def send_and_complete(client: Client) -> None:
    """All of it."""
    client.send_all()
    client.complete()


# what happens meanwhile → the state that is then told
ENDS: Mapping[str, tuple[Callable[[Client], object], Phase]] = {
    "cancelled": (Client.cancel, Phase.CANCELLED),
    "completed": (send_and_complete, Phase.COMPLETE),
    "restarted": (lambda client: client.begin(restart=True), Phase.PENDING),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_an_upload_is_heard_of(world: World, end: str) -> None:
    """Cancelled, completed, or another in its place: the next look says so."""
    client = begun(world)
    act, phase = ENDS[end]
    world.clock.advance(5_000)
    waiting = Waiting(world, then={2: lambda: act(client)})
    assert waiting.wait(version(world)).state is phase
    assert waiting.slept == [1.0, 1.0]


def test_expiry_is_heard_of(world: World) -> None:
    """By the clock alone: no row changes with it."""
    begun(world)
    since = version(world)
    world.clock.advance(DAY - 1_500)
    waiting = Waiting(world)
    assert waiting.wait(since).state is Phase.EXPIRED
    assert waiting.slept == [1.0, 1.0]


def test_what_comes_after_a_finished_file_is_heard_of(world: World) -> None:
    """A new upload of the name, or that it is gone; its name is looked up once a second, and nothing else."""
    client = finished(world)
    since = version(world)
    world.clock.advance(60_000)
    waiting = Waiting(world, then={3: lambda: client.begin(replace=True)})
    assert waiting.wait(since).state is Phase.PENDING
    assert waiting.log.methods == ["look_up", "upload", "take", *["look_up"] * 4, "upload", "leave"]
    client.cancel()
    gone = Waiting(world, then={1: lambda: delete(world.engine, NS, NAME)})
    assert gone.wait(version(world), 2).state is Phase.CANCELLED

    finished_again = Client(world, bytes_of(PART))
    finished_again.begin()
    finished_again.send_all()
    finished_again.complete()
    gone = Waiting(world, then={1: lambda: delete(world.engine, NS, NAME)})
    with pytest.raises(NotFound):
        gone.wait(version(world))
    assert gone.slept == [1.0]
    assert world.seats.taken == {}


# Parts straight to S3


@pytest.fixture
def many(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Client]:
    """An upload of 10,000 parts of 4 bytes, which may all go straight to S3."""
    for name, value in {"MIN_CHUNK_SIZE": 4, "DEFAULT_PART_SIZE": 4}.items():
        monkeypatch.setattr(f"ferry.grid.{name}", value)
    client = Client(world, bytes_of(40_000), chunk_size=4)
    client.begin()
    return world, client


def land(client: Client, *numbers: int) -> None:
    """Put these parts straight to S3."""
    for first in range(0, len(numbers), 100):
        wanted = [(number, None) for number in numbers[first : first + 100]]
        for part in sign(client.world.engine, NS, PartsRequest(NAME, wanted)):
            assert client.put(part, client.part(part.number)).status == 200


@pytest.mark.parametrize("landed", [range(1, 10_001), range(1, 10_001, 2), range(9_000, 10_001)])
def test_a_status_of_ten_thousand_parts(many: tuple[World, Client], landed: range) -> None:
    """Exact to the part, by two reads of the ledger and one sweep over the listing."""
    world, client = many
    land(client, *landed)
    log, pages = Log(), world.objects.pages
    found = status(world.new_engine(log=log), NS, NAME)
    assert log.methods == ["look_up", "upload", "list_parts"]
    assert world.objects.pages - pages <= 10
    assert found.received_bytes == 4 * len(landed)
    missing = {number for first, last in found.missing for number in range(first, last + 1)}
    assert missing == set(range(1, 10_001)) - set(landed)


@pytest.mark.parametrize(
    ("landed", "news", "pages"),
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
def test_a_part_is_heard_of_at_the_next_look(
    many: tuple[World, Client], landed: list[int] | range, news: int, pages: int
) -> None:
    """Whichever of ten thousand it is: a look is one read and, unless very many lie behind gaps, one page."""
    world, client = many
    land(client, news, *landed)
    upload = world.objects.uploads["mp-1"]
    late = upload.parts.pop(news)
    since = version(world)
    waiting = Waiting(world, then={3: lambda: upload.parts.update({news: late})})
    begun_with = world.objects.pages
    found = waiting.wait(since)
    assert (found.version, found.received_bytes) == (since + 1, 4 * (len(landed) + 1))
    assert waiting.slept == [1.0, 1.0, 1.0]
    calls = Counter(waiting.log.methods)
    assert calls.pop("page_of_parts") <= 3 * pages
    assert calls == {"look_up": 1, "upload": 4, "take": 1, "leave": 1, "list_parts": 2}
    assert world.objects.pages - begun_with <= 2 * 10 + 3 * pages


def test_nothing_can_land_where_nothing_is_missing(many: tuple[World, Client]) -> None:
    """All is there, and only completing it is news: S3 is not asked while it waits."""
    world, client = many
    land(client, *range(1, 10_001))
    waiting = Waiting(world)
    waiting.wait(version(world), 5)
    assert (waiting.log.count("page_of_parts"), waiting.log.count("list_parts")) == (0, 1)


def test_s3_is_not_asked_where_no_url_was_signed(world: World) -> None:
    """A waiting call of an upload in chunks costs reads of the ledger alone."""
    begun(world)
    waiting = Waiting(world)
    waiting.wait(version(world), 5)
    assert not [call for call in waiting.log.calls if call.port == "MemoryObjects"]


# Too many at once


def test_when_too_many_wait_the_next_is_answered_at_once(world: World) -> None:
    """And may wait again as soon as one of them has left."""
    client = begun(world)
    world.seats.most = 2
    since = version(world)
    answered: list[list[float]] = []

    def another(then: Callable[[], object] = lambda: None) -> None:
        waiting = Waiting(world, then={1: then})
        waiting.wait(since, 1)
        answered.append(waiting.slept)

    another(lambda: another(another))
    assert answered == [[], [1.0], [1.0]]
    another()
    assert (answered[-1], world.seats.taken) == ([1.0], {})
    client.cancel()


def test_who_died_waiting_keeps_its_seat_no_longer_than_it_would_have_waited(world: World) -> None:
    """Nobody need put that right."""
    begun(world)
    world.seats.most = 1
    since = version(world)
    dying = Waiting(world, script=Script({("upload", 2): Fault.CRASH_BEFORE}))
    with pytest.raises(Crashed):
        dying.wait(since, 10)
    waiting = Waiting(world)
    waiting.wait(since)
    assert waiting.slept == []
    world.clock.advance(9_001)
    waiting.wait(since, 1)
    assert waiting.slept == [1.0]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_ANSWER, Fault.THROTTLED])
def test_who_cannot_tell_whether_there_is_a_seat_does_not_wait(world: World, fault: Fault) -> None:
    """The status is known, and that it cannot wait is no reason to withhold it; nor is that it cannot say it left."""
    begun(world)
    since = version(world)
    waiting = Waiting(world, script=Script({("take", 1): fault}))
    assert waiting.wait(since).version == since
    assert waiting.slept == []
    leaving = Waiting(world, script=Script({("leave", 1): fault}))
    assert leaving.wait(since, 1).version == since
    assert leaving.slept == [1.0]


def test_without_a_limit_anybody_may_wait(world: World) -> None:
    """As in a function that has been told of none."""
    begun(world)
    waiting = Waiting(world)
    waiting.engine = replace(waiting.engine, seats=None)
    waiting.wait(version(world), 2)
    assert waiting.slept == [1.0, 1.0]
