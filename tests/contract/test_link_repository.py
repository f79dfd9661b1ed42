"""What a link repository does: links, counters, activity and attempts at passwords."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dev.fakes.clock import START_MS
from ferry.errors import InvalidField
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.links import (
    Activity,
    ActivityAction,
    AttemptCount,
    AttemptRule,
    DownloadClaim,
    DownloadCount,
    Link,
    Reservation,
)
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.link_repository import ALL_NETWORKS, RESERVATION_CHECK_MS, LinkLimitReached
from tests.contract.conftest import DYNAMODB_LOCAL, MEMORY, Repositories
from tests.contract.link_factories import DOWNLOAD_LINK, LINK_ID, UPLOAD_LINK, due_tasks, usage_of

NETWORK = "192.0.2.0/24"
RULE = AttemptRule(3, 60_000, is_sliding=True)
FIXED_RULE = AttemptRule(3, 60_000, is_sliding=False)


@pytest.mark.parametrize("link", [DOWNLOAD_LINK, UPLOAD_LINK], ids=["download", "upload"])
def test_link_is_read_as_it_was_created(repositories: Repositories, link: Link) -> None:
    """Every field of a link is stored. Another link of its id is a conflict."""
    assert repositories.links.get_link(LINK_ID) is None
    repositories.links.create_link(link)
    assert repositories.links.get_link(LINK_ID) == link
    with pytest.raises(ConcurrentUpdate):
        repositories.links.create_link(replace(link, ns="other"))


def test_revoked_link_keeps_its_first_time(repositories: Repositories) -> None:
    """A link is revoked once; a link that is not there stays so."""
    repositories.links.revoke_link(DOWNLOAD_LINK, START_MS + 1)
    assert repositories.links.get_link(LINK_ID) is None
    repositories.links.create_link(DOWNLOAD_LINK)
    repositories.links.revoke_link(DOWNLOAD_LINK, START_MS + 5)
    repositories.links.revoke_link(DOWNLOAD_LINK, START_MS + 9)
    assert repositories.links.get_link(LINK_ID) == replace(DOWNLOAD_LINK, revoked_at=START_MS + 5)


def test_links_are_listed_newest_first_by_namespace(repositories: Repositories) -> None:
    """A listing has the links of one namespace, page by page, and takes no cursor of another one."""
    links = [replace(DOWNLOAD_LINK, link_id=f"{n:032x}", created_at=START_MS + n) for n in range(5)]
    for link in [*links, replace(DOWNLOAD_LINK, link_id="f" * 32, ns="other")]:
        repositories.links.create_link(link)
    found: list[Link] = []
    cursor = None
    while True:
        page = repositories.links.list_links("ns", cursor, 2)
        assert len(page.items) <= 2
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
        last_cursor = cursor
    assert found == links[::-1]
    with pytest.raises(InvalidField):
        repositories.links.list_links("other", last_cursor, 2)


def test_download_is_counted_up_to_the_limit(repositories: Repositories) -> None:
    """The limit is exact. What is beyond it counts nothing."""
    counts = [repositories.links.count_download(DOWNLOAD_LINK, None)[0] for _ in range(5)]
    assert counts == [DownloadCount.COUNTED] * 3 + [DownloadCount.USED_UP] * 2
    assert usage_of(repositories).downloads == 3
    assert usage_of(repositories).is_used_up(DOWNLOAD_LINK)


def test_download_under_one_token_is_counted_once_per_file(repositories: Repositories) -> None:
    """A repeated claim is the same download, also when the link is used up; another token or file is another one."""
    claim = DownloadClaim("token", START_MS + 900_000, "a")
    other_file, other_token = (
        replace(claim, filename="b"),
        replace(claim, token_id="t2", expires_at=START_MS + 1_800_000),
    )
    for each in (claim, other_file, other_token):
        assert repositories.links.count_download(DOWNLOAD_LINK, each)[0] is DownloadCount.COUNTED
        assert repositories.links.count_download(DOWNLOAD_LINK, each)[0] is DownloadCount.SAME
    late = replace(claim, token_id="t3")
    assert repositories.links.count_download(DOWNLOAD_LINK, late)[0] is DownloadCount.USED_UP
    result, usage = repositories.links.count_download(DOWNLOAD_LINK, claim)
    assert (result, usage.downloads) == (DownloadCount.SAME, 3)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto does not serialize writes of threads
def test_racing_downloads_are_counted_up_to_the_limit(repositories: Repositories) -> None:
    """Of fifty downloads at the same time exactly as many are counted as the limit allows."""
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: repositories.links.count_download(DOWNLOAD_LINK, None)[0], range(50)))
    assert counts.count(DownloadCount.COUNTED) == 3
    assert counts.count(DownloadCount.USED_UP) == 47


def test_reservation_takes_of_both_limits(repositories: Repositories) -> None:
    """Files and bytes are limited. What does not fit takes nothing, and the error has the counters."""
    links = repositories.links
    usage = links.reserve_upload(UPLOAD_LINK, "u1", 60, START_MS)
    assert (usage.files, usage.bytes, usage.started, usage.left(UPLOAD_LINK)) == (1, 60, 1, (1, 40))
    with pytest.raises(LinkLimitReached) as too_large:
        links.reserve_upload(UPLOAD_LINK, "u2", 41, START_MS)
    assert too_large.value.usage == usage
    assert links.reserve_upload(UPLOAD_LINK, "u2", 40, START_MS).is_used_up(UPLOAD_LINK)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(UPLOAD_LINK, "u3", 0, START_MS)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(replace(UPLOAD_LINK, link_id="f" * 32), "u4", 101, START_MS)


def test_repeated_reservation_takes_once(repositories: Repositories) -> None:
    """The reservation of an upload that has one succeeds, and takes nothing more."""
    first = repositories.links.reserve_upload(UPLOAD_LINK, "u1", 100, START_MS)
    assert repositories.links.reserve_upload(UPLOAD_LINK, "u1", 100, START_MS) == first


def test_reservation_is_given_back_once(repositories: Repositories) -> None:
    """An upload that ended gives files and bytes back once; what began and was received stays counted."""
    links = repositories.links
    links.reserve_upload(UPLOAD_LINK, "u1", 60, START_MS)
    links.reserve_upload(UPLOAD_LINK, "u2", 40, START_MS)
    for _ in range(2):
        links.release_upload(LINK_ID, "u1", received_bytes=7)
    usage = usage_of(repositories)
    assert (usage.files, usage.bytes, usage.started, usage.received_bytes) == (1, 40, 2, 7 + 40)
    assert list(usage.reservations) == ["u2"]


def test_settled_reservation_stays_counted(repositories: Repositories) -> None:
    """A file that was put there stays counted, and is not given back afterwards."""
    links = repositories.links
    links.reserve_upload(UPLOAD_LINK, "u1", 60, START_MS)
    for _ in range(2):
        links.settle_upload(LINK_ID, "u1", size=60)
    links.release_upload(LINK_ID, "u1", received_bytes=0)
    usage = usage_of(repositories)
    assert (usage.files, usage.bytes, usage.received_bytes, usage.reservations) == (1, 60, 60, {})


def test_started_and_received_are_limited(repositories: Repositories) -> None:
    """Ten times the files may begin and twice the bytes may be received, although each upload gives back."""
    links, link = repositories.links, replace(UPLOAD_LINK, max_files=1)
    for number in range(10):
        links.reserve_upload(link, f"u{number}", 1, START_MS)
        links.release_upload(LINK_ID, f"u{number}", received_bytes=0)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(link, "u10", 1, START_MS)
    other = replace(UPLOAD_LINK, link_id="f" * 32)
    for name in ("a", "b"):
        links.reserve_upload(other, name, 100, START_MS)
        links.release_upload(other.link_id, name, received_bytes=100)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(other, "c", 1, START_MS)
    assert usage_of(repositories, other.link_id).left(other) == (2, 0)


def test_reservation_grows_within_the_limit(repositories: Repositories) -> None:
    """An upload of unknown size takes what it grows by, whatever size its request knew; what is reserved stays."""
    links = repositories.links
    assert links.grow_upload(UPLOAD_LINK, "u1", from_size=0, size=5, now=START_MS) is None
    links.reserve_upload(UPLOAD_LINK, "u1", 0, START_MS)
    assert links.grow_upload(UPLOAD_LINK, "u1", from_size=0, size=60, now=START_MS + 1)
    assert links.grow_upload(UPLOAD_LINK, "u1", from_size=0, size=60, now=START_MS + 2)
    assert links.grow_upload(UPLOAD_LINK, "u1", from_size=7, size=70, now=START_MS + 3)
    with pytest.raises(LinkLimitReached):
        links.grow_upload(UPLOAD_LINK, "u1", from_size=70, size=101, now=START_MS + 4)
    usage = usage_of(repositories)
    assert (usage.files, usage.bytes, usage.received_bytes, usage.started) == (1, 70, 70, 1)
    assert usage.reservations == {"u1": Reservation(70, START_MS + 3)}
    links.resize_reservation(LINK_ID, "u1", Reservation(60, START_MS + 1), 1)
    links.resize_reservation(LINK_ID, "u1", Reservation(70, START_MS + 3), 65)
    links.settle_upload(LINK_ID, "u1", size=64)
    assert (usage_of(repositories).bytes, usage_of(repositories).received_bytes) == (64, 64)


def test_final_upload_takes_over_its_partials(repositories: Repositories) -> None:
    """Partial uploads take bytes and no file. A final one takes a file, and only the bytes beyond theirs."""
    links = repositories.links
    links.reserve_upload(UPLOAD_LINK, "p1", 40, START_MS, is_partial=True)
    usage = links.reserve_upload(UPLOAD_LINK, "p2", 30, START_MS, is_partial=True)
    assert (usage.files, usage.bytes, usage.partials) == (0, 70, 2)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(UPLOAD_LINK, "f0", 110, START_MS, partial_ids=["p1", "p2", "p1"])
    for _ in range(2):
        usage = links.reserve_upload(UPLOAD_LINK, "f1", 100, START_MS, partial_ids=["p1", "p2", "unknown"])
    assert (usage.files, usage.bytes, usage.received_bytes, usage.partials, usage.started) == (1, 100, 100, 0, 3)
    assert list(usage.reservations) == ["f1"]
    links.release_upload(LINK_ID, "p1", received_bytes=40)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(UPLOAD_LINK, "f2", 40, START_MS, partial_ids=["p1"])
    links.settle_upload(LINK_ID, "f1", size=100)
    usage = usage_of(repositories)
    assert (usage.files, usage.bytes, usage.received_bytes, usage.reservations) == (1, 100, 100, {})


def test_ended_partial_gives_its_bytes_back(repositories: Repositories) -> None:
    """A partial upload that ended gives back its bytes, and a final upload of it takes its bytes whole."""
    links = repositories.links
    links.reserve_upload(UPLOAD_LINK, "p1", 40, START_MS, is_partial=True)
    for _ in range(2):
        links.release_upload(LINK_ID, "p1", received_bytes=40)
    usage = usage_of(repositories)
    assert (usage.files, usage.bytes, usage.received_bytes, usage.partials, usage.ended_partials) == (0, 0, 40, 0, 1)
    assert links.reserve_upload(UPLOAD_LINK, "f1", 40, START_MS, partial_ids=["p1"]).bytes == 40


def test_partial_uploads_in_progress_are_limited(repositories: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    """The partial uploads in progress are limited, and none begins once all files are taken."""
    for module in ("ferry.aws.link_reservations", "dev.fakes.link_repository"):
        monkeypatch.setattr(f"{module}.MAX_OPEN_PARTIALS", 2)
    links = repositories.links
    for name in ("p1", "p2"):
        links.reserve_upload(UPLOAD_LINK, name, 1, START_MS, is_partial=True)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(UPLOAD_LINK, "p3", 1, START_MS, is_partial=True)
    for name in ("u1", "u2"):
        links.reserve_upload(UPLOAD_LINK, name, 1, START_MS)
    links.release_upload(LINK_ID, "p1", received_bytes=0)
    with pytest.raises(LinkLimitReached):
        links.reserve_upload(UPLOAD_LINK, "p4", 1, START_MS, is_partial=True)


def test_empty_file_needs_a_byte_left(repositories: Repositories) -> None:
    """Where no byte is left, an empty file does not begin either."""
    repositories.links.reserve_upload(UPLOAD_LINK, "u1", 100, START_MS)
    with pytest.raises(LinkLimitReached):
        repositories.links.reserve_upload(UPLOAD_LINK, "u2", 0, START_MS)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto does not serialize writes of threads
def test_racing_reservations_take_up_to_the_limit(repositories: Repositories) -> None:
    """Of fifty uploads that begin at the same time exactly as many begin as the limit allows."""
    link = replace(UPLOAD_LINK, max_files=7, max_bytes=1_000)

    def reserve(number: int) -> bool:
        try:
            repositories.links.reserve_upload(link, f"u{number}", 1, START_MS)
        except LinkLimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserve, range(50))) == 7
    assert (usage_of(repositories).files, len(usage_of(repositories).reservations)) == (7, 7)


def test_reservations_are_due_until_unscheduled(repositories: Repositories) -> None:
    """Cleanup finds a link with reservations. It is not forgotten if an upload has started meanwhile."""
    links, due_at = repositories.links, START_MS + RESERVATION_CHECK_MS
    read = links.reserve_upload(UPLOAD_LINK, "u1", 1, START_MS)
    links.reserve_upload(UPLOAD_LINK, "u2", 1, START_MS + 5)
    task = CleanupTask(CleanupTaskKind.LINK, LINK_ID, due_at)
    assert due_tasks(repositories, due_at - 1) == []
    assert due_tasks(repositories, due_at) == [task]
    links.unschedule_link(LINK_ID, read, due_at=due_at)
    links.unschedule_link(LINK_ID, usage_of(repositories), due_at=due_at + 1)
    assert due_tasks(repositories, due_at) == [task]
    repositories.cleanup.reschedule_task(task, due_at + 9)
    links.unschedule_link(LINK_ID, usage_of(repositories), due_at=due_at + 9)
    assert due_tasks(repositories, due_at + 99) == []


def test_activity_is_listed_newest_first(repositories: Repositories) -> None:
    """An entry is stored once. A listing has the entries of one link, and takes no cursor of another one."""
    entries = [
        Activity(START_MS + n // 2, ActivityAction.DOWNLOAD, NETWORK, f"{n}", DOWNLOAD_LINK.filename, n)
        for n in range(5)
    ]
    for entry in [*entries, entries[0], Activity(START_MS + 9, ActivityAction.LOCKED, NETWORK, "x")]:
        repositories.links.add_activity(LINK_ID, entry)
    first = repositories.links.list_activity(LINK_ID, None, 4)
    rest = repositories.links.list_activity(LINK_ID, first.cursor, 4)
    listed = [*first.items, *rest.items]
    assert rest.cursor is None
    assert [entry.action for entry in listed[:1]] == [ActivityAction.LOCKED]
    assert sorted(listed, key=lambda entry: -entry.at) == listed
    assert sorted(listed[1:], key=lambda entry: entry.unique_id) == entries
    assert list(repositories.links.list_activity("f" * 32, None, 4).items) == []
    with pytest.raises(InvalidField):
        repositories.links.list_activity("f" * 32, first.cursor, 4)


def test_attempts_lock_a_network(repositories: Repositories) -> None:
    """After as many attempts as the rule has, the network is locked for a window; other networks are not."""
    links = repositories.links
    for number in (1, 2, 3):
        assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, START_MS + number) == AttemptCount(number)
    until = START_MS + 3 + RULE.window_ms
    assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, START_MS + 4) == AttemptCount(0, until)
    assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, until - 1) == AttemptCount(0, until)
    assert links.reserve_attempt(UPLOAD_LINK, "198.51.100.0/24", RULE, START_MS + 4) == AttemptCount(1)
    assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, until) == AttemptCount(1)


def test_attempts_within_a_fixed_window_end_with_it(repositories: Repositories) -> None:
    """A window that is not sliding ends when it was to end, whatever was attempted within it."""
    links, ends_at = repositories.links, START_MS + FIXED_RULE.window_ms
    for number in (1, 2, 3):
        assert links.reserve_attempt(UPLOAD_LINK, ALL_NETWORKS, FIXED_RULE, START_MS + number - 1) == AttemptCount(
            number
        )
    assert links.reserve_attempt(UPLOAD_LINK, ALL_NETWORKS, FIXED_RULE, ends_at - 1) == AttemptCount(0, ends_at)
    assert links.reserve_attempt(UPLOAD_LINK, ALL_NETWORKS, FIXED_RULE, ends_at) == AttemptCount(1)


def test_released_attempt_counts_no_more(repositories: Repositories) -> None:
    """An attempt with the right password is taken back; without one there is nothing to take back."""
    links = repositories.links
    links.release_attempt(UPLOAD_LINK, NETWORK)
    for _ in range(9):
        assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, START_MS) == AttemptCount(1)
        links.release_attempt(UPLOAD_LINK, NETWORK)
    links.release_attempt(UPLOAD_LINK, NETWORK)
    assert links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, START_MS) == AttemptCount(1)


@pytest.mark.proves(MEMORY, DYNAMODB_LOCAL)  # moto does not serialize writes of threads
def test_racing_attempts_are_reserved_up_to_the_rule(repositories: Repositories) -> None:
    """Of many attempts at the same time no more are hashed than the rule allows."""
    with ThreadPoolExecutor(8) as pool:
        counts = list(
            pool.map(lambda _: repositories.links.reserve_attempt(UPLOAD_LINK, NETWORK, RULE, START_MS), range(30))
        )
    assert sorted(count.attempts for count in counts if count.locked_until is None) == [1, 2, 3]
