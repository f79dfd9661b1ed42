"""What no row knows: found page by page, taken when nobody can want it any more, and never anything that lives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.cleanup import sweep_due
from ferry.cleanup.search import UNKNOWN_AGE
from ferry.digests import crc32c
from ferry.engine import DAY, HOUR, MINUTE
from ferry.model import DueKind, File, Phase, State
from ferry.uploads.files import delete
from tests.fakes.faults import Crashed, Fault, Log, Script
from tests.support.world import CHUNK, NAME, NS, Client, World, bytes_of, survive

PART = 2 * CHUNK
NOBODY = "f" * 32


def client_of(world: World, name: str = NAME, size: int = PART + 5) -> Client:
    client = Client(world, bytes_of(size), name=name)
    client.begin()
    return client


def finished(world: World, name: str = NAME, size: int = PART + 5) -> Client:
    client = client_of(world, name, size)
    client.send_all()
    assert isinstance(client.complete(), File)
    return client


def put(world: World, key: str) -> None:
    world.objects.put(key, b"x", crc32c=crc32c(b"x"))


def days(world: World, count: int) -> list[tuple[int, int, int]]:
    """So many days with two ticks each; what of each kind was found on which."""
    found = []
    for _ in range(2 * count):
        world.clock.advance(DAY // 2)
        orphans = world.sweep().orphans
        found.append((orphans.multipart_uploads, orphans.staged_objects, orphans.objects))
    return found


def test_a_multipart_upload_of_no_session_goes_when_no_upload_can_be_as_old(world: World) -> None:
    """Nobody could go on with it; until then a table that was taken away may come back."""
    world.objects.create_multipart(f"o/{NOBODY}", content_type="text/plain")
    early = days(world, UNKNOWN_AGE // DAY - 1)
    assert (len(world.objects.uploads), {count for count, _, _ in early}) == (1, {0})
    late = days(world, 2)
    assert (len(world.objects.uploads), sum(count for count, _, _ in late)) == (0, 1)


def test_stages_of_no_session_go_with_the_youngest(world: World) -> None:
    """All of an upload or none."""
    put(world, f"st/{NOBODY}/1/1-ab")
    days(world, 5)
    put(world, f"st/{NOBODY}/1/2-cd")
    early = days(world, UNKNOWN_AGE // DAY - 1)
    assert (len(world.objects.objects), {count for _, count, _ in early}) == (2, {0})
    late = days(world, 2)
    assert (world.objects.objects, sum(count for _, count, _ in late)) == ({}, 2)


def test_an_object_without_a_row_gets_one_and_time(world: World) -> None:
    """It is counted once, and deleted so many days after it was found, however old it is."""
    put(world, f"o/{NOBODY}")
    world.clock.advance(1_000 * DAY)
    found = days(world, 34)
    assert [count for _, _, count in found] == [1] + 67 * [0]
    assert f"o/{NOBODY}" in world.objects.objects
    days(world, 2)
    assert world.objects.objects == {}
    assert (world.ledger.rows.objects, world.ledger.rows.dues) == ({}, {})


def test_an_operator_may_have_objects_counted_only(world: World) -> None:
    """OrphanObjectDays=0: no row, no deletion, and counted by every round."""
    world.engine = replace(world.engine, keep_objects=0)
    put(world, f"o/{NOBODY}")
    found = days(world, 90)
    assert sum(count for _, _, count in found) >= 80
    assert f"o/{NOBODY}" in world.objects.objects


def test_what_is_not_ferrys_is_neither_counted_nor_touched(world: World) -> None:
    """Other keys in the bucket, be they under a prefix of Ferry's."""
    others = ["o/photo.jpg", f"o/{NOBODY}/x", "o/" + "F" * 32, f"o/{'a' * 33}", "st/x/1", f"st/{'a' * 31}/1/1-a", "x"]
    for key in others:
        put(world, key)
    for key in ("o/photo.jpg", f"o/{NOBODY}0", f"p/{NOBODY}"):
        world.objects.create_multipart(key, content_type="text/plain")
    assert set(days(world, 100)) == {(0, 0, 0)}
    assert (len(world.objects.objects), len(world.objects.uploads)) == (len(others), 3)


def test_finished_files_and_uploads_in_progress_stay(world: World) -> None:
    """Long after their sessions were forgotten; an upload that is kept alive up to its greatest age."""
    kept = finished(world)
    world.ledger.rows.sessions.clear()  # as DynamoDB's TTL would, a week later
    world.ledger.rows.slots.clear()
    days(world, 60)
    alive = client_of(world, "alive")
    for index in (1, 2, 3):
        world.clock.advance(23 * HOUR)
        world.sweep()
        alive.send(index)
        alive.sign(1)
    assert isinstance(alive.complete(), File)
    days(world, 60)
    assert (world.content(), world.content("alive")) == (kept.body, alive.body)
    delete(world.engine, NS, NAME)
    days(world, 2)
    assert world.content() is None
    assert set(world.objects.objects) == {f"o/{alive.upload_id}"}


def test_a_start_that_died_half_way_leaves_nothing(world: World) -> None:
    """Its multipart upload, which no row names, goes with the second look at its session, long before any round."""
    client = Client(world, bytes_of(PART))
    with pytest.raises(Crashed):
        client.begin(engine=world.new_engine(Script({("create_multipart", 1): Fault.CRASH_AFTER})))
    world.clock.advance(15 * MINUTE + 1)
    report = world.sweep()
    assert (report.expired, len(world.objects.uploads)) == (1, 1)
    world.clock.advance(HOUR)
    assert world.sweep().orphans.multipart_uploads == 1
    assert world.objects.uploads == {}


def test_a_second_multipart_upload_of_a_session_goes_after_an_hour(world: World) -> None:
    """The one that the session names stays, and takes the file."""
    client = client_of(world)
    world.objects.create_multipart(f"o/{client.upload_id}", content_type="text/plain")
    world.sweep()
    assert len(world.objects.uploads) == 2
    world.clock.advance(23 * HOUR)
    client.send_all()
    world.clock.advance(2 * HOUR)
    assert world.sweep().orphans.multipart_uploads == 1
    assert isinstance(client.complete(), File)
    assert world.content() == client.body


def test_an_upload_whose_bytes_are_gone_is_found_when_the_clean_up_comes_by(world: World) -> None:
    """It ends, so that its client begins again, and does not send the rest of it first."""
    client = client_of(world)
    client.send(1)
    world.clock.advance(23 * HOUR)
    client.send(2)
    world.objects.uploads.clear()  # somebody aborted it by hand
    world.clock.advance(2 * HOUR)
    report = world.sweep()
    assert (report.lost, report.expired, client.state()) == (1, 1, State.EXPIRED)
    world.sweep_until_quiet()
    assert world.orphans() == []


def test_a_completion_under_way_inside_s3_is_not_lost(world: World) -> None:
    """The multipart upload is gone, the object not there yet: another look a quarter of an hour later."""
    client = client_of(world)
    client.send_all()
    survive(lambda: client.complete(world.new_engine(Script({("complete_multipart", 1): Fault.UNAVAILABLE}))))
    assert client.state() is State.OPEN
    hidden = dict(world.objects.uploads)
    world.objects.uploads.clear()
    world.ledger.rows.dues[DueKind.SESSION, client.upload_id] = world.clock.now
    report = world.sweep()
    assert (report.expired, report.lost, client.state()) == (0, 0, State.OPEN)
    world.objects.uploads.update(hidden)
    assert isinstance(client.complete(), File)


def test_each_tick_costs_a_bounded_number_of_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is: the search goes on at the next, and everything is looked at once in a round."""
    monkeypatch.setattr("ferry.cleanup.search.PAGE", 5)
    ids = [f"{number:032x}" for number in range(10**6, 10**6 + 100)]
    for upload_id in ids:
        put(world, f"o/{upload_id}")
    world.clock.advance(2 * DAY)
    found = []
    for _ in range(20):
        log = Log()
        report = sweep_due(world.new_engine(log=log), has_time=lambda: True)
        found.append(report.orphans.objects)
        assert log.count("listing") <= 4
        assert len(log.calls) <= 1 + 1 + 4 * (1 + 2 + 1 + 5)
    assert sum(found) == 100
    assert max(found) == 20
    search = world.ledger.search()
    assert search is not None
    assert search.phase is Phase.DONE
    log = Log()
    sweep_due(world.new_engine(log=log), has_time=lambda: True)
    assert log.methods == ["due", "search"]


def test_two_searches_at_once_do_not_get_in_each_others_way(world: World) -> None:
    """Whoever finds that the other was faster stops; nothing is skipped."""
    for number in range(8):
        put(world, f"o/{number:032x}")
    world.clock.advance(2 * DAY)
    script = Script({("save_search", 1): world.sweep})
    sweep_due(world.new_engine(script), has_time=lambda: True)
    assert len(world.ledger.rows.objects) == 8
    world.sweep()
    search = world.ledger.search()
    assert search is not None
    assert search.phase is Phase.DONE
