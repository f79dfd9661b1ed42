"""What a link repository keeps of events that are still to be published."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.links import CREATED_EVENT, USED_UP_EVENT, DownloadClaim, DownloadCount
from ferry.ports.link_repository import UsedUpEvent
from tests.contract.conftest import Repositories
from tests.contract.link_factories import DOWNLOAD_LINK, LINK_ID, UPLOAD_LINK, due_tasks, usage_of


def test_created_event_is_pending_until_cleared(repositories: Repositories) -> None:
    """The event of a creation is due at its deadline, and cleared with the task."""
    links, due_at = repositories.links, START_MS + 60_000
    links.create_link(DOWNLOAD_LINK, due_at)
    assert usage_of(repositories).pending_events == {CREATED_EVENT}
    task = CleanupTask(CleanupTaskKind.LINK, LINK_ID, due_at)
    assert due_tasks(repositories, due_at) == [task]
    links.unschedule_link(LINK_ID, usage_of(repositories), due_at=due_at)
    assert due_tasks(repositories, due_at) == [task], "an event is pending"
    for _ in range(2):
        links.clear_link_event(LINK_ID, CREATED_EVENT, due_at=due_at)
    assert (due_tasks(repositories, due_at), usage_of(repositories).pending_events) == ([], frozenset())


def test_last_download_makes_the_event_pending_once(repositories: Repositories) -> None:
    """The download that leaves nothing makes the event pending, with its time; later requests do not."""
    links = repositories.links
    for number in range(3):
        event = UsedUpEvent(START_MS + number, START_MS + number + 60_000)
        result, usage = links.count_download(DOWNLOAD_LINK, DownloadClaim(str(number), START_MS, "a"), event)
        assert (result, usage.used_up_at) == (DownloadCount.COUNTED, START_MS + 2 if number == 2 else None)
    late = UsedUpEvent(START_MS + 9, START_MS + 99_000)
    assert links.count_download(DOWNLOAD_LINK, DownloadClaim("2", START_MS, "a"), late)[0] is DownloadCount.SAME
    result, usage = links.count_download(DOWNLOAD_LINK, None, late)
    assert (result, usage.used_up_at, usage.pending_events) == (
        DownloadCount.USED_UP,
        START_MS + 2,
        frozenset({USED_UP_EVENT}),
    )
    assert due_tasks(repositories, START_MS + 60_002) == [CleanupTask(CleanupTaskKind.LINK, LINK_ID, START_MS + 60_002)]


def test_last_upload_makes_the_event_pending_once(repositories: Repositories) -> None:
    """An upload, or its growth, that takes the last file or byte makes the event pending, the first time."""
    links, event = repositories.links, UsedUpEvent(START_MS, START_MS + 60_000)
    assert links.reserve_upload(UPLOAD_LINK, "u1", 0, START_MS, event=event).used_up_at is None
    grown = links.grow_upload(UPLOAD_LINK, "u1", from_size=0, size=99, now=START_MS, event=event)
    assert grown is not None
    assert grown.used_up_at is None
    grown = links.grow_upload(UPLOAD_LINK, "u1", from_size=99, size=100, now=START_MS, event=event)
    assert grown is not None
    assert (grown.used_up_at, grown.pending_events) == (START_MS, frozenset({USED_UP_EVENT}))
    links.clear_link_event(LINK_ID, USED_UP_EVENT)
    links.release_upload(LINK_ID, "u1", received_bytes=0)
    later = UsedUpEvent(START_MS + 5, START_MS + 65_000)
    usage = links.reserve_upload(UPLOAD_LINK, "u2", 100, START_MS, event=later)
    assert (usage.used_up_at, usage.pending_events) == (START_MS, frozenset())
    other = replace(UPLOAD_LINK, link_id="f" * 32, max_files=1)
    links.reserve_upload(other, "p1", 5, START_MS, is_partial=True, event=event)
    usage = links.reserve_upload(other, "f1", 5, START_MS, partial_ids=["p1"], event=later)
    assert (usage.used_up_at, usage.pending_events) == (START_MS + 5, frozenset({USED_UP_EVENT}))


def test_link_stays_due_while_another_event_is_pending(repositories: Repositories) -> None:
    """The event that the link is used up is cleared; the one of its creation stays pending, and so due."""
    links, link, due_at = repositories.links, replace(DOWNLOAD_LINK, max_downloads=1), START_MS + 60_000
    links.create_link(link, due_at)
    links.count_download(link, None, UsedUpEvent(START_MS, due_at))
    links.clear_link_event(LINK_ID, USED_UP_EVENT, due_at=due_at)
    assert usage_of(repositories).pending_events == {CREATED_EVENT}
    assert due_tasks(repositories, due_at) == [CleanupTask(CleanupTaskKind.LINK, LINK_ID, due_at)]
    links.clear_link_event(LINK_ID, CREATED_EVENT, due_at=due_at)
    assert (due_tasks(repositories, due_at), usage_of(repositories).pending_events) == ([], frozenset())
