"""The ledger in memory: every condition and every effect of `ferry.ports.Ledger`, each method one atomic step."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ferry.aws import cursors
from ferry.model import Claim, Deletion, DueKind, File, Progress, Quota, Session, Slot, State, StoredObject, Upload
from ferry.ports import Moved, Page
from tests.fakes.ledger_cleanup import CleanupMemory
from tests.fakes.ledger_rows import Name, Rows
from tests.fakes.listings import epoch_seconds, forgetting, name_at, names_after
from tests.fakes.quotas import count, marked


class MemoryLedger(CleanupMemory):
    """A `ferry.ports.Ledger`. Tests may look into `rows`, and go back in time with `snapshot` and `restore`."""

    def __init__(self) -> None:
        super().__init__(Rows())
        self.was_set_back = False

    def snapshot(self) -> Rows:
        """What a point-in-time backup would hold."""
        with self._lock:
            return copy.deepcopy(self.rows)

    def restore(self, rows: Rows) -> None:
        with self._lock:
            self.rows = copy.deepcopy(rows)
            self.was_set_back = True

    # Reads

    def file(self, ns: str, name: str) -> File | None:
        with self._lock:
            return self.rows.files.get((ns, name))

    def slot(self, ns: str, name: str) -> Slot | None:
        with self._lock:
            return self.rows.slots.get((ns, name))

    def look_up(self, ns: str, name: str) -> tuple[File | None, Slot | None, Quota | None]:
        with self._lock:
            return self.file(ns, name), self.slot(ns, name), self.rows.quotas.get(ns)

    def upload(self, upload_id: str) -> Upload | None:
        with self._lock:
            session = self.rows.sessions.get(upload_id)
            if session is None:
                return None
            stripes = self.rows.stripes.get(upload_id, {})
            return Upload(session, tuple(stripes[number] for number in sorted(stripes)))

    def files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        listing = ("files", ns, prefix)
        after = name_at(cursor, listing, prefix)
        with self._lock:
            names = names_after(self.rows.files, ns, after)
            found = [self.rows.files[ns, name] for name in names if name.startswith(prefix)]
        more = cursors.encode(listing, [found[limit - 1].name]) if len(found) > limit else None
        return Page(found[:limit], more)

    def open_slots(self, ns: str, cursor: str | None, limit: int) -> Page[Slot]:
        listing = ("slots", ns)
        after = name_at(cursor, listing)
        with self._lock:
            names = names_after(self.rows.slots, ns, after)
            page = [self.rows.slots[ns, name] for name in names[:limit]]
        more = cursors.encode(listing, [page[-1].name]) if len(names) > limit else None
        return Page([slot for slot in page if slot.open], more)

    def after(self, slot: Slot) -> str:
        return cursors.encode(("slots", slot.ns), [slot.name])

    def claims(self, upload_id: str, part: int) -> Mapping[int, Claim]:
        with self._lock:
            return dict(self.rows.claims.get(upload_id, {}).get(part, {}))

    def all_claims(self, upload_id: str) -> Mapping[int, Mapping[int, Claim]]:
        with self._lock:
            return copy.deepcopy(self.rows.claims.get(upload_id, {}))

    # The life of an upload

    def begin(self, session: Session, *, over: Slot | None, due: int, within: Quota | None = None) -> None:
        name = (session.ns, session.name)
        with self._lock:
            found = self.rows.slots.get(name)
            _demand(session.upload_id not in self.rows.sessions)
            _demand(found is None if over is None else _same(found, over) and not over.open)
            if session.counted and within is not None:
                used, size = self.rows.quotas[session.ns], session.grid.size
                _demand(within.max_bytes is None or used.bytes + size <= within.max_bytes)
                _demand(within.max_uploads is None or used.uploads < within.max_uploads)
                count(self.rows, session.ns, size, 1)
            self.rows.sessions[session.upload_id] = session
            self.rows.stripes[session.upload_id] = {
                number: Progress(number, open=True, touched=session.created)
                for number in range(session.grid.stripe_count)
            }
            self.rows.slots[name] = Slot(*name, session.upload_id, open=True)
            self.rows.ttls.pop(name, None)
            self.rows.dues[DueKind.SESSION, session.upload_id] = due

    def opened(self, upload_id: str, multipart_id: str | None, *, due: int, untold: bool = False) -> None:
        with self._lock:
            self._session(upload_id, State.CREATING)
            self._move(upload_id, due=due, state=State.OPEN, multipart_id=multipart_id, untold=untold)

    def claim(self, upload_id: str, part: int, index: int, claim: Claim) -> Mapping[int, Claim]:
        with self._lock:
            claims = self.rows.claims.setdefault(upload_id, {}).setdefault(part, {})
            claims.setdefault(index, claim)
            return dict(claims)

    def record(self, upload_id: str, seen: Progress, bit: int, length: int, *, only_chunks: bool, now: int) -> Progress:
        with self._lock:
            row = self.rows.stripes.get(upload_id, {}).get(seen.stripe)
            epochs = (seen.epoch,) if seen.to_be_folded else (seen.epoch, seen.epoch + 1)
            if row is None or not row.open or row.epoch not in epochs or (only_chunks and row.direct):
                raise Moved(row)
            if bit in row.recent or bit in row.before:
                raise Moved(row)
            fold: dict[str, Any] = {}
            if seen.to_be_folded:
                fold = {"bits": seen.folded, "before": row.recent, "recent": frozenset(), "epoch": row.epoch + 1}
            row = replace(row, **fold)
            return self._stripe(
                upload_id,
                row,
                recent=row.recent | {bit},
                received=row.received + length,
                version=row.version + 1,
                touched=now,
            )

    def mark_direct(self, upload: Upload, *, now: int) -> None:
        upload_id = upload.session.upload_id
        with self._lock:
            for row in [self._open_stripe(upload_id, seen.stripe) for seen in upload.stripes]:
                self._stripe(upload_id, row, direct=True, touched=now, version=row.version + 1)

    def touch(self, upload_id: str, *, now: int) -> None:
        with self._lock:
            row = self._open_stripe(upload_id, 0)
            self._stripe(upload_id, row, touched=now, version=row.version + 1)

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
        upload_id = upload.session.upload_id
        with self._lock:
            session = self._session(upload_id, State.OPEN, State.COMPLETING)
            _demand(session.version == upload.session.version)
            handed_on = after is not None and session.attempt == after
            _demand(session.state is State.OPEN or session.lease_until < now or handed_on)
            _demand([row.version for row in self._present(upload)] == [seen.version for seen in upload.stripes])
            self._close(upload)
            self._move(
                upload_id,
                due=until,
                state=State.COMPLETING,
                attempt=attempt,
                lease_until=until,
                leased_at=now if session.leased_at is None else session.leased_at,
                lease_replace=replace,
                lease_crc32c=crc32c,
            )
            return Upload(self.rows.sessions[upload_id], tuple(self._present(upload)))

    def unlease(
        self, upload: Upload, *, attempt: str, made: StoredObject | None, forget: Iterable[int], due: int
    ) -> None:
        upload_id = upload.session.upload_id
        with self._lock:
            session = self._leased(upload_id, attempt)
            if made is None:
                stripes = forgetting(self._present(upload), upload, forget)
                _demand(all(row.epoch == seen.epoch for row, seen, lost in stripes if lost))
                for row, _, lost in stripes:
                    self._reopen(upload, row, lost)
            self._move(
                upload_id,
                due=due,
                state=State.OPEN,
                attempt=None,
                lease_until=0,
                lease_replace=False,
                lease_crc32c=None,
                made=made or session.made,
            )

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
        name = (file.ns, file.name)
        with self._lock:
            self._leased(session.upload_id, session.attempt)
            found = self.rows.files.get(name)
            _demand((found and marked(found)) == (over and marked(over)))
            self._release(name, session.upload_id, epoch_seconds(ttl))
            self.rows.files[name] = file
            freed = over.size if over is not None and over.counted else 0
            count(self.rows, session.ns, -freed, -int(session.counted))
            self._move(
                session.upload_id,
                due=tell_by,
                untold=tell_by is not None,
                state=State.COMPLETE,
                answer=file,
                replaced=over and over.upload_id,
                ended=file.uploaded_at,
                attempt=None,
                lease_until=0,
            )
            if tell_by is None:
                self.rows.ttls[session.upload_id,] = ttl
            self.rows.objects[session.upload_id] = name
            self.rows.dues[DueKind.STAGES, session.upload_id] = stages_due
            if over is not None:
                self.rows.objects[over.upload_id] = name
                self.rows.dues[DueKind.OBJECT, over.upload_id] = object_due

    def end(self, upload: Upload, state: State, *, now: int, ttl: int, attempt: str | None = None) -> None:
        upload_id = upload.session.upload_id
        with self._lock:
            if attempt is None:
                _demand(upload.session.state in (State.CREATING, State.OPEN))
                session = self._session(upload_id, upload.session.state)
                _demand(session.counted == upload.session.counted)
            else:
                session = self._leased(upload_id, attempt)
            if state is State.EXPIRED:
                _demand([row.touched for row in self._present(upload)] == [seen.touched for seen in upload.stripes])
            self._present(upload)
            self._release((session.ns, session.name), upload_id, epoch_seconds(ttl))
            self._close(upload)
            if session.counted:
                count(self.rows, session.ns, -session.grid.size, -1)
            self._move(upload_id, due=now, state=state, ended=now, attempt=None, lease_until=0)

    def swept(self, upload_id: str, *, stages_due: int, ttl: int) -> None:
        with self._lock:
            self._session(upload_id, State.CANCELLED, State.EXPIRED)
            self._move(upload_id, due=None, swept=True, untold=False)
            self.rows.ttls[upload_id,] = epoch_seconds(ttl)
            self.rows.dues[DueKind.STAGES, upload_id] = stages_due

    def told(self, session: Session, *, due: int | None, ttl: int | None = None) -> None:
        with self._lock:
            found = self._session(session.upload_id, session.state)
            self._move(session.upload_id, due=due, untold=False, version=found.version)
            if ttl is not None:
                self.rows.ttls[session.upload_id,] = epoch_seconds(ttl)

    def delete_file(self, file: File, *, object_due: int, now: int, tell_by: int | None = None) -> None:
        with self._lock:
            found = self.rows.files.get((file.ns, file.name))
            _demand(found is not None and marked(found) == marked(file))
            count(self.rows, file.ns, -file.size if file.counted else 0, 0)
            del self.rows.files[file.ns, file.name]
            self.rows.objects[file.upload_id] = (file.ns, file.name)
            self.rows.dues[DueKind.OBJECT, file.upload_id] = object_due
            if tell_by is not None:
                self.rows.dues[DueKind.DELETED, file.upload_id] = tell_by
                self.rows.deletions[file.upload_id] = Deletion(file, now)

    def deletion(self, upload_id: str) -> Deletion | None:
        with self._lock:
            return self.rows.deletions.get(upload_id)

    # Within the lock

    def _session(self, upload_id: str, *states: State) -> Session:
        session = self.rows.sessions.get(upload_id)
        if session is None or session.state not in states:
            raise Moved
        return session

    def _leased(self, upload_id: str, attempt: str | None) -> Session:
        session = self._session(upload_id, State.COMPLETING)
        _demand(session.attempt == attempt)
        return session

    def _move(self, upload_id: str, **changes: Any) -> None:
        """Change the session; `due=None` takes it off the index, no `due` leaves it as it is."""
        if "due" in changes:
            due = changes.pop("due")
            if due is None:
                self.rows.dues.pop((DueKind.SESSION, upload_id), None)
            else:
                self.rows.dues[DueKind.SESSION, upload_id] = due
        session = self.rows.sessions[upload_id]
        self.rows.sessions[upload_id] = replace(session, **{"version": session.version + 1} | changes)

    def _stripe(self, upload_id: str, row: Progress, **changes: Any) -> Progress:
        changed = self.rows.stripes[upload_id][row.stripe] = replace(row, **changes)
        return changed

    def _open_stripe(self, upload_id: str, number: int) -> Progress:
        row = self.rows.stripes.get(upload_id, {}).get(number)
        if row is None or not row.open:
            raise Moved
        return row

    def _present(self, upload: Upload) -> list[Progress]:
        rows = self.rows.stripes.get(upload.session.upload_id, {})
        _demand(all(seen.stripe in rows for seen in upload.stripes))
        return [rows[seen.stripe] for seen in upload.stripes]

    def _close(self, upload: Upload) -> None:
        for row in self._present(upload):
            self._stripe(upload.session.upload_id, row, open=False, epoch=row.epoch + 2)

    def _reopen(self, upload: Upload, row: Progress, lost: list[int]) -> None:
        changes: dict[str, Any] = {"open": True, "epoch": row.epoch + 2, "version": row.version + 1}
        grid = upload.session.grid
        if lost:
            bits = row.all_bits
            for index in lost:
                bits &= ~(1 << grid.bit_of_chunk(index))
            changes |= {
                "bits": bits,
                "recent": frozenset(),
                "before": frozenset(),
                "received": row.received - sum(grid.length_of_chunk(index) for index in lost),
            }
        self._stripe(upload.session.upload_id, row, **changes)

    def _release(self, name: Name, upload_id: str, ttl: int) -> None:
        slot = self.rows.slots.get(name)
        if slot is None or slot.upload_id != upload_id:
            raise Moved
        self.rows.slots[name] = replace(slot, open=False)
        self.rows.ttls[name] = ttl


def _demand(condition: bool) -> None:
    if not condition:
        raise Moved


def _same(found: Slot | None, over: Slot) -> bool:
    return found is not None and found.upload_id == over.upload_id and found.open == over.open
