"""Appends to one sequential upload that meet: two at one offset, one beside a DELETE, a last one whose answer is lost.

Beside each race a client asks for the offset again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ferry.errors import BackendUnavailable, OffsetMismatch, UploadNotFound
from ferry.model.sequential import Protocol
from ferry.model.uploads import Upload, UploadState
from ferry.resumable.append import AppendRequest, AppendResult, append
from ferry.resumable.create import CreateRequest, create
from ferry.resumable.delete import delete
from ferry.resumable.limits import MAX_APPEND_BYTES
from ferry.resumable.lookup import find_sequential, shown_offset
from ferry.rules.layout import MIB
from ferry.services import Services
from tests.backends.files import NS, OTHER_SEED_OFFSET, RaceClient, assert_current_file, remaining_in_s3
from tests.backends.race_runner import RaceOperation, RaceOutcome, RaceRound

SITUATIONS = [(0, 300), (5, 300), (7 * MIB, 300), (7 * MIB, MIB), (7 * MIB, MIB + 1)]
"""Bytes that the upload has before, and bytes that each append sends. Parts have 8 MiB."""

CALLS_PER_APPEND = 9
"""Approximate number of the backend calls of an append that ends the upload."""

MAX_LOOKS = 60
"""How often the watching client asks for the offset at most."""

MAX_REPETITIONS = 60
"""How often a client repeats its last request at most."""

REPEAT_AFTER_SECONDS = 0.5
"""Pause of a client before it repeats a request."""

REJECTED = {"upload_not_found", "upload_offset_mismatch", "upload_completing", "backend_unavailable"}
"""Errors of an append that another request has forestalled."""


@dataclass
class AppendClient:
    """A client of tus with one file, whose last append is the subject of the race."""

    name: str
    body: bytes
    sent: int
    upload_id: str

    @classmethod
    def create(cls, race_round: RaceRound, prefix: str) -> AppendClient:
        """Create an upload of the round's situation, and append all but its last bytes."""
        sent, size = SITUATIONS[race_round.number % len(SITUATIONS)]
        name = f"{prefix}-{race_round.number}"
        body = RaceClient.create(name, sent + size, race_round.number).body
        request = CreateRequest(Protocol.TUS, name=name, length=len(body))
        client = cls(name, body, sent, create(race_round.services, NS, request).record.upload_id)
        for offset in range(0, sent, MAX_APPEND_BYTES):
            client.append(race_round.services, offset, body[offset : min(sent, offset + MAX_APPEND_BYTES)])
        return client

    def append(self, services: Services, offset: int, body: bytes) -> AppendResult:
        return append(services, NS, AppendRequest(self.upload_id, offset, body, protocol=Protocol.TUS))

    def append_last(self, services: Services, body: bytes | None = None) -> AppendResult:
        """Append the last bytes, or others in their place."""
        return self.append(services, self.sent, self.body[self.sent :] if body is None else body)

    def find(self, services: Services) -> Upload:
        return find_sequential(services, NS, self.upload_id, Protocol.TUS).upload

    def delete(self, services: Services) -> str | None:
        return delete(services, NS, self.upload_id, Protocol.TUS)

    def watch(self, services: Services) -> int:
        """Ask for the offset, which never falls, and is the length only when the file is committed."""
        last = 0
        for _ in range(MAX_LOOKS):
            try:
                upload = self.find(services)
            except UploadNotFound:
                break
            offset = shown_offset(upload)
            assert offset >= last
            assert offset < len(self.body) or upload.record.state is UploadState.COMPLETE
            if offset == len(self.body):
                break
            last = offset
        return last

    def repeat_last(self, services: Services) -> AppendResult | None:
        """Do what a client does that has lost the answer of its last request; None: HEAD says that all is done."""
        for _ in range(MAX_REPETITIONS):
            offset = shown_offset(self.find(services))
            if offset == len(self.body):
                return None
            try:
                result = self.append(services, offset, self.body[offset:])
            except (OffsetMismatch, BackendUnavailable):
                result = None
            if result is not None and result.pending is None:
                return result
            services.sleep(REPEAT_AFTER_SECONDS)
        raise AssertionError("the upload did not complete")


def race(
    race_round: RaceRound,
    client: AppendClient,
    first: tuple[str, Callable[[Services], object]],
    second: tuple[str, Callable[[Services], object]],
) -> tuple[RaceOutcome, RaceOutcome]:
    """Run two operations beside a watching client. The second one starts at a call of the first one."""
    start_at_call = (race_round.number - 1) // len(SITUATIONS) % CALLS_PER_APPEND + 1
    first_outcome, second_outcome, watched = race_round.run_concurrently(
        RaceOperation(*first), RaceOperation(*second, start_at_call), RaceOperation("watch", client.watch)
    )
    assert watched.summary == "int", watched
    return first_outcome, second_outcome


def test_appends_at_one_offset_store_one(race_round: RaceRound) -> None:
    """Of two appends at one offset one is acknowledged, and the file has its bytes; the other is rejected."""
    client = AppendClient.create(race_round, "appends")
    size = len(client.body) - client.sent
    other = RaceClient.create("", size, OTHER_SEED_OFFSET + race_round.number).body
    bodies = {"first body": client.body[client.sent :], "second body": other}
    first, second = ((name, partial(client.append_last, body=body)) for name, body in bodies.items())
    outcomes = race(race_round, client, first, second)
    [winner] = [outcome for outcome in outcomes if outcome.error is None]
    [loser] = [outcome for outcome in outcomes if outcome.error is not None]
    assert loser.summary in REJECTED
    assert winner.result.file is not None
    assert_current_file(race_round.services, winner.result.file, client.body[: client.sent] + bodies[winner.name])


def test_append_beside_delete_leaves_file_or_nothing(race_round: RaceRound) -> None:
    """Either the append is acknowledged and the file is whole, or the upload is gone and S3 has nothing of it."""
    client = AppendClient.create(race_round, "append-delete")
    operations: list[tuple[str, Callable[[Services], object]]]
    operations = [("append", client.append_last), ("delete", client.delete)]
    first, second = operations if race_round.number % 2 else operations[::-1]
    outcomes = race(race_round, client, first, second)
    [appended] = [outcome for outcome in outcomes if outcome.name == "append"]
    [deleted] = [outcome for outcome in outcomes if outcome.name == "delete"]
    if appended.error is None:
        assert deleted.summary in {"str", "upload_completing"}
        assert_current_file(race_round.services, appended.result.file, client.body)
        return
    assert (appended.summary, deleted.summary) == ("upload_not_found", "NoneType")
    assert race_round.services.file_repository.get_file(NS, client.name) is None
    assert remaining_in_s3(race_round.services, client.upload_id) == []


def test_lost_answer_of_last_append_repeats_to_same_file(race_round: RaceRound) -> None:
    """A client that repeats its last request, while the first one runs or after it, gets the one file."""
    client = AppendClient.create(race_round, "lost-answer")
    lost, repeated = race(race_round, client, ("append", client.append_last), ("repeat", client.repeat_last))
    assert repeated.error is None, repeated
    file = race_round.services.file_repository.get_file(NS, client.name)
    assert file is not None
    assert lost.error is None or lost.summary in REJECTED
    if lost.error is None and lost.result.file is not None:
        assert lost.result.file == file
    assert_current_file(race_round.services, file, client.body)
