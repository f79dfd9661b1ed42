"""The ledger's rows as the clean-up looks at them: what is due, what knows an object, how far the search has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ferry.aws import cursors
from ferry.aws import ledger_rows as rows
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, Write, delete, put, update
from ferry.model import Due, DueKind, Search, Session
from ferry.ports import Clock, Moved, Page

DUE_INDEX = "due"
ERASED_AT_ONCE = 100
_LISTING = ("due",)
_DONE = "done"


class CleanupRows:
    """The part of `ferry.ports.Ledger` that is the clean-up's."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    # What is due

    def due(self, now: int, cursor: str | None, limit: int) -> Page[Due]:
        """One query for each shard, so that none waits for another's end; what is not taken is read again."""
        starts = _starts(cursor, now)
        found: list[tuple[int, int, Row]] = []
        for shard, start in enumerate(starts):
            if start == _DONE:
                continue
            given = {"shard": str(shard), "now": now}
            after = rows.tomb_row(start) if isinstance(start, Due) else None
            page, _ = self._table.query(
                "#due_shard = :shard AND #due <= :now", given, limit=limit + 1, start=after, index=DUE_INDEX
            )
            found += [(row["due"], shard, row) for row in page]
        found.sort(key=lambda entry: entry[0])  # stable: within a shard as the index has them
        taken, left = found[:limit], {shard for _, shard, _ in found[limit:]}
        for _, shard, row in taken:
            starts[shard] = rows.due_of(row)
        starts = [start if shard in left else _DONE for shard, start in enumerate(starts)]
        return Page([rows.due_of(row) for _, _, row in taken], _cursor(starts) if left else None)

    def reschedule(self, entry: Due, due: int) -> None:
        key = rows.due_key(entry.kind, entry.subject)
        self._write(update(key, {"due": due}, when="#due = :seen", given={"seen": entry.due}))

    def bury(self, entry: Due) -> None:
        if entry.kind is DueKind.SESSION:
            raise ValueError("a session is no tomb")
        self._write(delete(rows.due_key(entry.kind, entry.subject)))

    def erase_rows(self, upload_id: str, *, until: int) -> bool:
        """A query for each of four partitions and for each hundred rows, and a batch for every 25."""
        stripes = {"pk": rows.upload_pk(upload_id), "stripes": rows.STRIPE_PREFIX}
        partitions: list[tuple[str, dict[str, str]]] = [("#pk = :pk AND begins_with(#sk, :stripes)", stripes)]
        partitions += [("#pk = :pk", {"pk": pk}) for pk in rows.part_pks(upload_id)]
        for when, given in partitions:
            start: Row | None = None
            while True:
                if self._clock() >= until:
                    return False
                found, start = self._table.query(when, given, limit=ERASED_AT_ONCE, start=start)
                self._table.erase((row["pk"], row["sk"]) for row in found)
                if start is None:
                    break
        return True

    # What S3 has, and who knows it

    def sessions(self, upload_ids: Iterable[str]) -> Mapping[str, Session]:
        found = self._table.get_many(map(rows.session_key, upload_ids))
        return {session.upload_id: session for session in map(rows.session_of, found)}

    def owners(self, upload_ids: Iterable[str]) -> Mapping[str, tuple[str, str] | None]:
        found = self._table.get_many(rows.due_key(DueKind.OBJECT, upload_id) for upload_id in upload_ids)
        known = map(rows.owner_of, found)
        return {upload_id: None if name is None else (ns, name) for upload_id, ns, name in known}

    def keep(self, upload_id: str, owner: tuple[str, str] | None, *, due: int) -> None:
        self._write(put(rows.object_row(upload_id, owner, due), "attribute_not_exists(#pk)"))

    def acquit(self, entry: Due) -> None:
        key = rows.due_key(DueKind.OBJECT, entry.subject)
        self._write(update(key, rows.NOT_DUE, when="#due = :seen", given={"seen": entry.due}))

    def search(self) -> Search | None:
        row = self._table.get(rows.SEARCH_KEY)
        return rows.search_of(row) if row else None

    def save_search(self, search: Search) -> None:
        row = rows.search_row(search)
        if search.version == 1:
            self._write(put(row, "attribute_not_exists(#pk)"))
        else:
            self._write(put(row, "#version = :seen", {"seen": search.version - 1}))

    # Within

    def _write(self, write: Write) -> None:
        try:
            self._table.write(write)
        except ConditionFailed as failed:
            raise Moved from failed


def _cursor(starts: Iterable[Due | str]) -> str:
    """Where each shard goes on: after an entry, at its beginning, or nowhere."""
    at: list[str | int] = []
    for start in starts:
        at += [start.due, start.kind.value, start.subject] if isinstance(start, Due) else [0, start, ""]
    return cursors.encode(_LISTING, at)


def _starts(cursor: str | None, now: int) -> list[Due | str]:
    if cursor is None:
        return [""] * rows.SHARDS
    at = cursors.decode(cursor, _LISTING, "nss" * rows.SHARDS)
    return [_start(shard, at[3 * shard : 3 * shard + 3], now) for shard in range(rows.SHARDS)]


def _start(shard: int, at: list[str | int], now: int) -> Due | str:
    due, kind, subject = int(at[0]), str(at[1]), str(at[2])
    if (due, subject) == (0, "") and kind in ("", _DONE):
        return kind
    if due > now or kind not in list(DueKind) or not subject or rows.shard_of(subject) != str(shard):
        raise cursors.invalid()
    return Due(DueKind(kind), subject, due)
