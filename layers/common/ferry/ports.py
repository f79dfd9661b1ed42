"""What the use cases need from outside, as protocols. Adapters live in `ferry.aws`, fakes in the tests.

Each method is one call to a backend, or says so when it is more. An adapter retries what is safe to retry and then
raises `BackendUnavailable`: its call may or may not have taken effect. A condition that did not hold raises `Moved`:
nothing was written, and whoever called must read again and decide anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ferry.model import (
    Claim,
    Deletion,
    Due,
    File,
    Listed,
    Progress,
    Quota,
    Search,
    Session,
    Slot,
    State,
    StoredObject,
    StoredPart,
    Upload,
)

T = TypeVar("T")

Clock = Callable[[], int]
"""Now, in epoch milliseconds."""


class Moved(Exception):
    """A condition did not hold. For `Ledger.record`, `progress` is the row as it stands (None: there is none)."""

    def __init__(self, progress: Progress | None = None) -> None:
        super().__init__("a condition did not hold")
        self.progress = progress


class NoSuchMultipart(Exception):
    """The store knows no such multipart upload: completed, aborted, or never there."""


class PartChanged(Exception):
    """A part named at completion is not (any more) what the store has; nothing was completed."""


class Unfinished(Exception):
    """No answer by the time that was given for it: the call may have had its effect, or have it yet."""


class ChecksumRefused(Exception):
    """The store's whole-object checksum is not the one given; nothing was completed."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, and where to go on (None: that was all). A cursor is opaque, and made of text."""

    items: Sequence[T]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A presigned request: the headers must be sent exactly as given."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Deleted:
    """The bytes that went, and whether nothing was left."""

    size: int
    done: bool


class Ledger(Protocol):
    """The rows of docs/decisions/0001. All reads are strongly consistent but `due` (an index)."""

    def file(self, ns: str, name: str) -> File | None: ...

    def slot(self, ns: str, name: str) -> Slot | None: ...

    def look_up(self, ns: str, name: str) -> tuple[File | None, Slot | None, Quota | None]:
        """The name's file and slot, as both were at one moment; one call."""
        ...

    def upload(self, upload_id: str) -> Upload | None:
        """The session and all its stripes; one query (more only when the rows exceed 1 MB)."""
        ...

    def files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        """The namespace's files by name (by the bytes of its UTF-8)."""
        ...

    def open_slots(self, ns: str, cursor: str | None, limit: int) -> Page[Slot]:
        """The namespace's slots that are in progress; a page may hold fewer than `limit`, or none, and still have a
        cursor.
        """
        ...

    def after(self, slot: Slot) -> str:
        """The cursor of `open_slots` that goes on after this one. No call."""
        ...

    def begin(self, session: Session, *, over: Slot | None, due: int, within: Quota | None = None) -> None:
        """Put the session (creating), its stripes, and take the slot, in one transaction. If the session is `counted`,
        it and its size are counted there too, `within` these limits.

        Raises:
            Moved: the slot is no longer `over` (None: not there), or is in progress; or the limits leave no room.
        """
        ...

    def opened(self, upload_id: str, multipart_id: str | None, *, due: int, untold: bool = False) -> None:
        """Creating → open. `untold`: the event of its start is still to be sent.

        Raises:
            Moved: it is not creating.
        """
        ...

    def claim(self, upload_id: str, part: int, index: int, claim: Claim) -> Mapping[int, Claim]:
        """Claim a chunk if nobody has, and return the part's claims as they stand then, by chunk index.

        The caller compares: `result[index] != claim` means that other bytes came first.
        """
        ...

    def claims(self, upload_id: str, part: int) -> Mapping[int, Claim]: ...

    def all_claims(self, upload_id: str) -> Mapping[int, Mapping[int, Claim]]:
        """By part number, then chunk index. Grows with the upload: only for uploads that mix both paths."""
        ...

    def record(self, upload_id: str, seen: Progress, bit: int, length: int, *, only_chunks: bool, now: int) -> Progress:
        """Count a durable chunk that was missing when the stripe was `seen`, once, and touch the stripe.

        Where `seen.recent` has grown to `FOLD_AT`, fold in the same write: `bits` takes in `before`, `before` becomes
        `recent` as it is then, `recent` becomes this chunk alone. `only_chunks` demands that no URL was ever signed.

        Raises:
            Moved: closed, in `recent` or `before` already, or (with `only_chunks`) direct; folded since it was seen,
                twice, or at all where this write was to fold.
        """
        ...

    def mark_direct(self, upload: Upload, *, now: int) -> None:
        """Note on every stripe that URLs are signed from now on, and touch them. Raises `Moved` when one is closed."""
        ...

    def touch(self, upload_id: str, *, now: int) -> None:
        """Note activity on the first stripe. Raises `Moved` when it is closed."""
        ...

    def lease(
        self,
        upload: Upload,
        *,
        attempt: str,
        until: int,
        now: int,
        replace: bool,
        crc32c: int | None,
        after: str | None = None,
    ) -> Upload:
        """open, or completing with a lease that lapsed before `now`, → completing, due at `until`; every stripe closed.

        What this completion was asked for is noted for whoever takes over. A lease that its holder has handed on is
        taken over before it lapses by naming its attempt (`after`). Returned is the upload as it stands then: that it
        is still what was seen is the condition.

        Raises:
            Moved: the session is neither, or a version, its own or a stripe's, is no longer the one seen.
        """
        ...

    def unlease(
        self, upload: Upload, *, attempt: str, made: StoredObject | None, forget: Iterable[int], due: int
    ) -> None:
        """Completing → open again, in one transaction with the stripes.

        With `made` the object is noted and the stripes stay closed: nothing can be added any more. Otherwise they open
        again, a fold epoch and version further, without the chunks to `forget` (by index), which turned out not to be
        durable.

        Raises:
            Moved: the lease is not (any more) `attempt`.
        """
        ...

    def finish(
        self,
        session: Session,
        file: File,
        *,
        over: File | None,
        stages_due: int,
        object_due: int,
        ttl: int,
        tell_by: int | None = None,
    ) -> None:
        """Switch the pointer: FILE, SESSION → complete, SLOT no longer open, a row for the new object, tombs for the
        stages and for `over`'s object.

        SESSION and SLOT get the `ttl` (epoch seconds), nothing is due of them any more. With `tell_by` the event of it
        is noted as untold: the session is due then, and has no `ttl` until it is `told`. The upload, if it was counted,
        and the bytes of `over`, if they were, are counted no longer; `file` is, if the upload was.

        Raises:
            Moved: the lease is not `session.attempt`, or the file of that name is not `over` (None: there is none).
        """
        ...

    def end(self, upload: Upload, state: State, *, now: int, ttl: int, attempt: str | None = None) -> None:
        """→ cancelled or expired, from creating or open (with `attempt`: from completing under that lease); stripes
        closed, due now.

        The slot is no longer open, and gets the `ttl` (epoch seconds). If it was counted it is no longer.

        Raises:
            Moved: in another state; counted since it was read; or, expiring, a stripe was touched since it was read.
        """
        ...

    def swept(self, upload_id: str, *, stages_due: int, ttl: int) -> None:
        """An ended upload has left nothing in S3, and nothing of it is untold: no longer due; a tomb looks at its
        stages once more.
        """
        ...

    def told(self, session: Session, *, due: int | None, ttl: int | None = None) -> None:
        """Its events are sent: clear the note. It is due at `due`, or (None) no more, and may be forgotten at `ttl`
        (epoch seconds). No new version: nobody sees a difference.

        Raises:
            Moved: it is in another state.
        """
        ...

    def delete_file(self, file: File, *, object_due: int, now: int, tell_by: int | None = None) -> None:
        """Remove the pointer, leave a tomb for the object. With `tell_by` also a note of what is to be told, due then.
        Its bytes, if they were, are counted no longer.

        Raises:
            Moved: the file is another or none, or was counted since it was read.
        """
        ...

    def deletion(self, upload_id: str) -> Deletion | None:
        """What the note of a deletion says: the file was made by that upload."""
        ...

    def due(self, now: int, cursor: str | None, limit: int) -> Page[Due]:
        """What somebody must look at, oldest first, by the index: it lags, so check the row. A call for each shard."""
        ...

    def reschedule(self, entry: Due, due: int) -> None:
        """Look at it again at `due`. Raises `Moved` when the row is gone or has another time."""
        ...

    def bury(self, entry: Due) -> None:
        """Drop a tomb or a note whose work is done. Idempotent."""
        ...

    def erase_rows(self, upload_id: str, *, until: int) -> bool:
        """Delete an ended upload's stripes and claims (not its session), beginning nothing after `until` (epoch ms);
        whether none is left. Idempotent; calls grow with the rows.
        """
        ...

    def sessions(self, upload_ids: Iterable[str]) -> Mapping[str, Session]:
        """Those that there are; one call for each hundred."""
        ...

    def owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        """Of the objects that have a row: namespace and name of the file each was made for, None if it was for none
        that is known. One call for each hundred.
        """
        ...

    def keep(self, upload_id: str, owner: tuple[str, str] | None, *, due: int) -> None:
        """Give an object a row, due then. Raises `Moved` when it has one."""
        ...

    def acquit(self, entry: Due) -> None:
        """An object turns out to be wanted: no longer due. Raises `Moved` when its row is gone or has another time."""
        ...

    def search(self) -> Search | None:
        """How far the search for orphans has come; None: it never began."""
        ...

    def save_search(self, search: Search) -> None:
        """Raises `Moved` unless the version on record is the one before."""
        ...


class ObjectStore(Protocol):
    """The bytes. Keys are opaque ASCII; uploads are CRC32C, FULL_OBJECT."""

    def create_multipart(self, key: str, *, content_type: str) -> str:
        """Begin a multipart upload, and return its id."""
        ...

    def upload_part(self, key: str, multipart_id: str, number: int, body: bytes, *, crc32c: int) -> StoredPart:
        """The part as the store took it. Raises `NoSuchMultipart`."""
        ...

    def list_parts(self, key: str, multipart_id: str, *, last: int) -> Mapping[int, StoredPart]:
        """All parts up to number `last`, by number: one call, and where more than 1,000 are there one for each 1,000
        numbers of the rest, at once. Raises `NoSuchMultipart`.
        """
        ...

    def page_of_parts(self, key: str, multipart_id: str, after: int) -> tuple[Mapping[int, StoredPart], int | None]:
        """One page of them, after that number, and up to which it goes if that is not all. Raises `NoSuchMultipart`."""
        ...

    def complete_multipart(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[StoredPart],
        *,
        size: int,
        crc32c: int | None,
        until: int | None = None,
    ) -> StoredObject:
        """The object, but for its date. It is waited for `until` then (epoch ms), if given: it may take minutes.

        Raises `NoSuchMultipart`, `PartChanged`, `ChecksumRefused`; or `Unfinished`: the store is still at it.
        """
        ...

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Abort until the store no longer knows it: a part in flight can land after an abort. Several calls."""
        ...

    def put(
        self, key: str, body: bytes, *, crc32c: int, content_type: str = "application/octet-stream"
    ) -> StoredObject:
        """The object, but for its date."""
        ...

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        """The bytes (inclusive range), or None when there is no such object."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """The object with the date that the store tells everybody, or None when there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Idempotent."""
        ...

    def delete_prefix(self, prefix: str, *, until: int) -> Deleted:
        """Delete the objects under a prefix, beginning no page of 1,000 after `until` (epoch ms); two calls a page."""
        ...

    def multiparts(self, cursor: str | None, limit: int, key: str = "") -> Page[tuple[str, str, int]]:
        """Multipart uploads under `o/`, or on `key` alone: (key, multipart id, initiated in epoch ms)."""
        ...

    def listing(self, prefix: str, cursor: str | None, limit: int) -> Page[Listed]:
        """Objects under a prefix, by key."""
        ...

    def folders(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        """What comes after the prefix, up to and with the next `/`: one for each, by name, whole keys."""
        ...

    def presign_part(
        self, key: str, multipart_id: str, number: int, *, size: int, crc32c: int | None, lifetime: int
    ) -> SignedRequest:
        """A PUT of that part, that length and, when given, that CRC; `lifetime` in seconds. No call."""
        ...

    def presign_get(self, key: str, *, content_type: str, disposition: str, lifetime: int) -> str:
        """A GET whose answer has these headers. No call."""
        ...
