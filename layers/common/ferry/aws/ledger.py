"""The ledger in DynamoDB: the rows, conditions and transactions of docs/decisions/0001."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ferry.aws import cursors
from ferry.aws import ledger_rows as rows
from ferry.aws import ledger_writes as writes
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, delete, put, update
from ferry.aws.ledger_cleanup import CleanupRows
from ferry.model import Claim, Deletion, Due, DueKind, File, Progress, Quota, Session, Slot, State, StoredObject, Upload
from ferry.ports import Clock, Moved, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEEP_ROWS = 30 * 86_400
"""For how long stripes and claims stay if nothing ever erases them: beyond any upload's age. Seconds."""


class DynamoLedger(CleanupRows):
    """`ferry.ports.Ledger` over one table. Each method is one call unless it says more.

    botocore repeats a call whose answer was lost. A conditional write that had taken effect then fails its own
    condition and is reported as `Moved`: whoever reads again finds it done. Transactions carry a token instead.
    """

    def __init__(self, client: DynamoDBClient, table: str, clock: Clock = wall_clock) -> None:
        super().__init__(Table(client, table), clock)

    # Reads

    def file(self, ns: str, name: str) -> File | None:
        row = self._table.get(rows.file_key(ns, name))
        return rows.file_of(row) if row else None

    def slot(self, ns: str, name: str) -> Slot | None:
        row = self._table.get(rows.slot_key(ns, name))
        return rows.slot_of(row) if row else None

    def look_up(self, ns: str, name: str) -> tuple[File | None, Slot | None, Quota | None]:
        keys = [rows.file_key(ns, name), rows.slot_key(ns, name), rows.quota_key(ns)]
        file, slot, quota = self._table.get_together(keys)
        return (
            rows.file_of(file) if file else None,
            rows.slot_of(slot) if slot else None,
            rows.quota_of(quota) if quota else None,
        )

    def upload(self, upload_id: str) -> Upload | None:
        if len(upload_id.encode()) > rows.MAX_TEXT:
            return None
        return rows.upload_of(self._table.query_all("#pk = :pk", {"pk": rows.upload_pk(upload_id)}))

    def files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        listing = ("files", ns, prefix)
        after = _name_at(cursor, listing, prefix)
        if len(prefix.encode()) > rows.MAX_TEXT:
            return Page([])
        found, more = self._named(ns, rows.FILE_PREFIX + prefix, after and rows.FILE_PREFIX + after, limit=limit + 1)
        files = [rows.file_of(row) for row in found[:limit]]
        if len(found) > limit or more:
            return Page(files, cursors.encode(listing, [files[-1].name]))
        return Page(files)

    def open_slots(self, ns: str, cursor: str | None, limit: int) -> Page[Slot]:
        listing = ("slots", ns)
        after = _name_at(cursor, listing)
        found, more = self._named(
            ns, rows.SLOT_PREFIX, after and rows.SLOT_PREFIX + after, limit=limit, only="attribute_exists(#open)"
        )
        name = more["sk"].removeprefix(rows.SLOT_PREFIX) if more else None
        return Page([rows.slot_of(row) for row in found], cursors.encode(listing, [name]) if name else None)

    def after(self, slot: Slot) -> str:
        return cursors.encode(("slots", slot.ns), [slot.name])

    def claims(self, upload_id: str, part: int) -> Mapping[int, Claim]:
        row = self._table.get(rows.part_key(upload_id, part))
        return rows.claims_of(row) if row else {}

    def all_claims(self, upload_id: str) -> Mapping[int, Mapping[int, Claim]]:
        """Three queries, and one more for each further MB."""
        return {
            int(row["sk"]): rows.claims_of(row)
            for pk in rows.part_pks(upload_id)
            for row in self._table.query_all("#pk = :pk", {"pk": pk})
        }

    # The life of an upload

    def begin(self, session: Session, *, over: Slot | None, due: int, within: Quota | None = None) -> None:
        slot = rows.slot_row(Slot(session.ns, session.name, session.upload_id, open=True))
        ttl = session.created // 1000 + KEEP_ROWS
        stripes = [Progress(number, open=True, touched=session.created) for number in range(session.grid.stripe_count)]
        if over is None:
            take = put(slot, "attribute_not_exists(#pk)")
        else:
            if over.open:
                raise Moved
            take = put(slot, "#upload_id = :seen AND attribute_not_exists(#open)", {"seen": over.upload_id})
        self._table.transact(
            [
                put(rows.session_row(session, due), "attribute_not_exists(#pk)"),
                take,
                *([writes.reserved(session, within)] if session.counted and within else []),
                *(put(rows.stripe_row(session.upload_id, stripe, ttl)) for stripe in stripes),
            ]
        )

    def opened(self, upload_id: str, multipart_id: str | None, *, due: int, untold: bool = False) -> None:
        changes = {"state": State.OPEN.value, "multipart_id": multipart_id, "due": due, "untold": untold or None}
        self._write(writes.transition(upload_id, changes, "#state = :creating", {"creating": State.CREATING.value}))

    def claim(self, upload_id: str, part: int, index: int, claim: Claim) -> Mapping[int, Claim]:
        name, value = rows.claim_name(index), rows.claim_attribute(claim)
        write = update(
            rows.part_key(upload_id, part),
            {name: value},
            also=["#ttl = if_not_exists(#ttl, :ttl)"],
            when=f"attribute_not_exists(#{name}) OR #{name} = :claim",
            given={"claim": value, "ttl": self._clock() // 1000 + KEEP_ROWS},
        )
        try:
            return rows.claims_of(self._table.write(write))
        except ConditionFailed as failed:
            return rows.claims_of(failed.row or {})

    def record(self, upload_id: str, seen: Progress, bit: int, length: int, *, only_chunks: bool, now: int) -> Progress:
        when = (
            "attribute_exists(#open) AND #epoch BETWEEN :epoch AND :latest "
            "AND NOT contains(#recent, :bit) AND NOT contains(#before, :bit)"
        )
        changes: dict[str, Any] = {"touched": now}
        adds: dict[str, Any] = {"received": length, "version": 1}
        if seen.to_be_folded:
            changes |= {"bits": rows.bits_attribute(seen.folded), "epoch": seen.epoch + 1, "recent": {bit}}
        else:
            adds["recent"] = {bit}
        write = update(
            rows.stripe_key(upload_id, seen.stripe),
            changes,
            adds=adds,
            also=["#before = #recent"] if seen.to_be_folded else [],
            when=when + (" AND attribute_not_exists(#direct)" if only_chunks else ""),
            given={"epoch": seen.epoch, "latest": seen.epoch + (not seen.to_be_folded), "bit": bit},
        )
        try:
            return rows.stripe_of(self._table.write(write))
        except ConditionFailed as failed:
            raise Moved(rows.stripe_of(failed.row) if failed.row else None) from failed

    def mark_direct(self, upload: Upload, *, now: int) -> None:
        self._table.transact(
            writes.touched(upload.session.upload_id, row.stripe, now, direct=True) for row in upload.stripes
        )

    def touch(self, upload_id: str, *, now: int) -> None:
        self._write(writes.touched(upload_id, 0, now))

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
        changes = {
            "state": State.COMPLETING.value,
            "attempt": attempt,
            "lease_until": until,
            "lease_replace": replace,
            "lease_crc32c": crc32c,
            "due": until,
        }
        given: dict[str, Any] = {
            "seen": upload.session.version,
            "open": State.OPEN.value,
            "completing": State.COMPLETING.value,
            "now": now,
        }
        free = "#lease_until < :now"
        if after is not None:
            free, given["after"] = f"({free} OR #attempt = :after)", after
        take = writes.transition(
            upload.session.upload_id,
            changes,
            f"#version = :seen AND (#state = :open OR (#state = :completing AND {free}))",
            given,
            also=["#leased_at = if_not_exists(#leased_at, :now)"],
        )
        self._table.transact([take, *writes.closed(upload, unless="version")])
        return upload.leased(attempt=attempt, until=until, now=now, replace_file=replace, crc32c=crc32c)

    def unlease(
        self, upload: Upload, *, attempt: str, made: StoredObject | None, forget: Iterable[int], due: int
    ) -> None:
        changes: dict[str, Any] = {"state": State.OPEN.value, "due": due, "attempt": None, "lease_crc32c": None}
        changes |= {"lease_until": 0, "lease_replace": False}
        if made is not None:
            changes["made"] = rows.made_attributes(made)
        give_back = writes.under_lease(upload.session.upload_id, attempt, changes)
        self._table.transact([give_back, *(writes.reopened(upload, forget) if made is None else [])])

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
        upload_id = session.upload_id
        point = (
            put(rows.file_row(file), "attribute_not_exists(#pk)")
            if over is None
            else put(rows.file_row(file), *writes.still(over))
        )
        changes = {
            "state": State.COMPLETE.value,
            "answer": rows.answer_attributes(file),
            "replaced": over and over.upload_id,
            "ended": file.uploaded_at,
            "attempt": None,
            "lease_until": 0,
            **writes.noted(upload_id, tell_by, ttl),
        }
        steps = [
            point,
            writes.under_lease(upload_id, session.attempt or "", changes),
            writes.released(session, ttl),
            put(rows.object_row(upload_id, (file.ns, file.name), None)),
            put(rows.tomb_row(Due(DueKind.STAGES, upload_id, stages_due))),
            *writes.switched(session, over),
        ]
        if over is not None:
            steps.append(put(rows.object_row(over.upload_id, (over.ns, over.name), object_due)))
        self._table.transact(steps)

    def end(self, upload: Upload, state: State, *, now: int, ttl: int, attempt: str | None = None) -> None:
        session = upload.session
        changes = {"state": state.value, "ended": now, "attempt": None, "lease_until": 0}
        changes |= rows.due_attributes(session.upload_id, now)
        if attempt is not None:
            close = writes.under_lease(session.upload_id, attempt, changes)
        elif session.state in (State.CREATING, State.OPEN):
            still = f"#state = :seen AND {writes.as_read(counted=session.counted)}"
            close = writes.transition(session.upload_id, changes, still, {"seen": session.state.value})
        else:
            raise Moved
        stripes = writes.closed(upload, unless="touched" if state is State.EXPIRED else "")
        self._table.transact([close, writes.released(session, ttl), *stripes, *writes.uncounted(session)])

    def swept(self, upload_id: str, *, stages_due: int, ttl: int) -> None:
        given = {"cancelled": State.CANCELLED.value, "expired": State.EXPIRED.value}
        changes = {"swept": True, "untold": None, "ttl": ttl, **rows.NOT_DUE}
        self._table.transact(
            [
                writes.transition(upload_id, changes, "#state IN (:cancelled, :expired)", given),
                put(rows.tomb_row(Due(DueKind.STAGES, upload_id, stages_due))),
            ]
        )

    def told(self, session: Session, *, due: int | None, ttl: int | None = None) -> None:
        changes: dict[str, Any] = {"untold": None, "ttl": ttl}
        changes |= rows.NOT_DUE if due is None else {"due": due}
        key, given = rows.session_key(session.upload_id), {"seen": session.state.value}
        self._write(update(key, changes, when="#state = :seen", given=given))

    def delete_file(self, file: File, *, object_due: int, now: int, tell_by: int | None = None) -> None:
        steps = [
            delete(rows.file_key(file.ns, file.name), *writes.still(file)),
            put(rows.object_row(file.upload_id, (file.ns, file.name), object_due)),
            *writes.freed(file),
        ]
        if tell_by is not None:
            steps.append(put(rows.deletion_row(Deletion(file, now), tell_by)))
        self._table.transact(steps)

    def deletion(self, upload_id: str) -> Deletion | None:
        row = self._table.get(rows.deletion_key(upload_id))
        return rows.deletion_of(row) if row else None

    # Within

    def _named(
        self, ns: str, prefix: str, after: str | None, *, limit: int, only: str = ""
    ) -> tuple[list[Row], Row | None]:
        pk = rows.names_pk(ns)
        return self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {"pk": pk, "prefix": prefix},
            limit=limit,
            start=None if after is None else {"pk": pk, "sk": after},
            only=only,
        )


def _name_at(cursor: str | None, listing: tuple[str, ...], prefix: str = "") -> str | None:
    if cursor is None:
        return None
    (name,) = cursors.decode(cursor, listing, "s")
    if not name or not str(name).startswith(prefix):
        raise cursors.invalid()
    return str(name)
