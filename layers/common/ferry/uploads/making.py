"""Make the object of an upload whose bytes are all there, under a lease (docs/decisions/0001, complete 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ferry.digests import combine_all, crc32c
from ferry.engine import MINUTE, SECOND, Engine
from ferry.errors import BackendUnavailable, ChecksumMismatch, UploadExpired, UploadIncomplete
from ferry.grid import ranges_of
from ferry.model import Claim, State, StoredObject, StoredPart, Upload
from ferry.ports import ChecksumRefused, NoSuchMultipart, PartChanged, Unfinished
from ferry.uploads.assembly import assemble, crc_of_part
from ferry.uploads.ending import end
from ferry.uploads.received import list_parts

Claims = Mapping[int, Mapping[int, Claim]]
Parts = Mapping[int, StoredPart]

ROUNDS = 5
"""How often parts are listed again when late URLs keep changing them."""

MISMATCH = "the bytes that were uploaded do not have that checksum; send the right one, or cancel"

SETTLING = 15 * MINUTE
"""How long an earlier attempt may still be under way inside S3."""

SETTLING_PAUSE = 2.0
"""Seconds from one look for its object to the next, for a minute at most."""

LAST_CALL = 3 * SECOND
"""How much longer than for mending an attempt waits for S3 to put the object together."""


class WrongObject(Exception):
    """The object exists, and does not have the checksum that the file must have."""

    def __init__(self, made: StoredObject) -> None:
        super().__init__("the object has another checksum")
        self.made = made


class StillMaking(Exception):
    """Not done, and not to be undone: the lease lapses, and whoever comes next goes on."""


class OutOfTime(StillMaking):
    """There is more to put together than one request has time for; what has been done stays done."""


def make(
    engine: Engine, upload: Upload, wanted: int | None, *, tried_before: bool, listed: Parts | None = None
) -> StoredObject:
    """The upload's object, whole and checked.

    Args:
        engine: the backends.
        upload: as read after its stripes were closed, under the caller's lease.
        wanted: the CRC32C the whole file must have, or None.
        tried_before: whether an earlier attempt may have made it, or be making it.
        listed: its parts, where they were listed after the upload was read: S3 refuses whatever has changed since.

    Raises:
        ChecksumMismatch: it would have another CRC32C; nothing was made.
        WrongObject: it has been made before, with another CRC32C.
        UploadIncomplete: chunks (`missing`) turned out not to be durable.
        UploadExpired: S3 has neither the multipart upload nor the object; the session is ended.
        OutOfTime: `engine.mending` is over; or S3 takes longer than that over the object.
        StillMaking: an earlier attempt must settle first.
    """
    session = upload.session
    if not session.grid.size:
        if wanted not in (None, 0):
            raise ChecksumMismatch("an empty file has the CRC32C 0 (AAAAAA==)")
        empty = engine.objects.put(session.object_key, b"", crc32c=0, content_type=session.content_type)
        return _as_told(engine, upload, StoredObject(empty.etag, 0, 0))
    claims = _claims(engine, upload)
    give_up = engine.clock() + engine.mending
    until = give_up + LAST_CALL
    try:
        for _ in range(ROUNDS):
            if listed is None:
                listed = list_parts(engine, session)
            parts = _checked_parts(engine, upload, listed, claims, give_up)
            listed = None
            with suppress(PartChanged):
                return _put_together(engine, upload, parts, wanted, until)
    except NoSuchMultipart:
        return _made_before(engine, upload, wanted, tried_before=tried_before, until=until)
    raise BackendUnavailable("parts of this upload keep changing; stop sending them and complete again")


def _put_together(
    engine: Engine, upload: Upload, parts: list[StoredPart], wanted: int | None, until: int
) -> StoredObject:
    """The one call, with the CRC32C that the object must have. Raises `PartChanged`, `NoSuchMultipart`."""
    session = upload.session
    expected = _whole_crc(parts)
    if wanted is not None and expected not in (None, wanted):
        raise ChecksumMismatch(MISMATCH)
    if engine.clock() >= until:
        raise OutOfTime
    crc = expected if wanted is None else wanted
    try:
        made = engine.objects.complete_multipart(
            session.object_key, session.multipart_id or "", parts, size=session.grid.size, crc32c=crc, until=until
        )
    except Unfinished:
        raise OutOfTime from None
    except ChecksumRefused:
        raise ChecksumMismatch(MISMATCH) from None
    told = crc if made.crc32c is None else made.crc32c
    return _as_told(engine, upload, StoredObject(made.etag, session.grid.size, told))


def _claims(engine: Engine, upload: Upload) -> Claims:
    """All claims, where a late URL may have overwritten what chunks have made; else nothing needs them."""
    if upload.direct and upload.received:
        return engine.ledger.all_claims(upload.session.upload_id)
    return {}


def _checked_parts(engine: Engine, upload: Upload, listed: Parts, claims: Claims, give_up: int) -> list[StoredPart]:
    """Every part, present, of its size, and made of its acknowledged chunks; what is not is mended from the stages.

    A mended part is named as the store took it, not as it is listed afterwards: a late URL may overwrite it in between.
    """
    parts: list[StoredPart] = []
    lost: list[int] = []
    for number in range(1, upload.session.grid.part_count + 1):
        part = listed.get(number)
        if part is None or not _is_right(upload, part, claims):
            if engine.clock() >= give_up:
                raise OutOfTime
            part, absent = _mend(engine, upload, number, claims, part)
            lost += absent
        if part is not None:
            parts.append(part)
    if lost:
        raise UploadIncomplete(missing=list(ranges_of(sorted(lost))))
    return parts


def _is_right(upload: Upload, part: StoredPart, claims: Claims) -> bool:
    if part.size != upload.session.grid.length_of_part(part.number):
        return False
    if part.number not in claims or not upload.has_chunks_of_part(part.number):
        return True
    return part.crc32c == crc_of_part(upload.session, part.number, claims[part.number])


def _mend(
    engine: Engine, upload: Upload, number: int, claims: Claims, listed: StoredPart | None
) -> tuple[StoredPart | None, Sequence[int]]:
    """Put a part together from its stages; or the indexes of chunks that are not durable after all.

    A store that lists no CRCs leaves open whether a part was overwritten. A chunk without a stage then settles it: its
    part was assembled before any URL was signed, and such a part is only ever signed with its own CRC.
    """
    session = upload.session
    indexes = session.grid.chunks_of_part(number)
    if not upload.has_chunks_of_part(number):
        return None, [index for index in indexes if not upload.has_chunk(index)]
    of_part = claims.get(number) or engine.ledger.claims(session.upload_id, number)
    if any(index not in of_part for index in indexes):
        return None, [index for index in indexes if index not in of_part]
    made = assemble(engine, session, number, of_part, {})
    if made.part is None and listed and listed.crc32c is None and listed.size == session.grid.length_of_part(number):
        return listed, ()
    return made.part, made.absent


def _whole_crc(parts: list[StoredPart]) -> int | None:
    """Combined from the parts' CRCs, never recomputed; None where the store does not tell one."""
    pieces = [(part.crc32c, part.size) for part in parts if part.crc32c is not None]
    return combine_all(pieces) if len(pieces) == len(parts) else None


def _as_told(engine: Engine, upload: Upload, made: StoredObject) -> StoredObject:
    """With what the call that made it leaves out: the date it has from now on, and perhaps its checksum."""
    if made.crc32c is not None and made.modified is not None:
        return made
    found = engine.objects.head(upload.session.object_key)
    crc = made.crc32c if made.crc32c is not None or found is None else found.crc32c
    if found is None or crc is None:
        raise BackendUnavailable("the store does not tell the checksum or the date of the object it has made")
    return replace(made, crc32c=crc, modified=found.modified)


def _made_before(engine: Engine, upload: Upload, wanted: int | None, *, tried_before: bool, until: int) -> StoredObject:
    """S3 knows the multipart upload no more: an earlier attempt made the object, or the bytes are gone."""
    session = upload.session
    found = engine.objects.head(session.object_key)
    settling = tried_before and session.leased_at is not None and engine.clock() < session.leased_at + SETTLING
    until = min(until, engine.clock() + MINUTE)
    while found is None and settling and engine.clock() < until:
        engine.sleep(SETTLING_PAUSE)
        found = engine.objects.head(session.object_key)
    if found is not None and found.size == session.grid.size and _has_chunks(engine, upload, found):
        found = _as_told(engine, upload, found)
        if wanted is not None and found.crc32c != wanted:
            raise WrongObject(found)
        return found
    if found is None and settling:
        raise StillMaking
    end(engine, upload, State.EXPIRED, attempt=session.attempt)
    raise UploadExpired("S3 no longer has the bytes of this upload; start it again")


def _has_chunks(engine: Engine, upload: Upload, found: StoredObject) -> bool:
    """Whether an object that an earlier attempt made has every part that chunks have made whole.

    It can differ where chunks were acknowledged since: over a part put straight to S3, or in a ledger set back to an
    earlier time. Only where the CRCs do not settle it are bytes read back, and nowhere else.
    """
    session = upload.session
    of_parts = {
        number: crc_of_part(session, number, claims)
        for number, claims in (engine.ledger.all_claims(session.upload_id) if upload.received else {}).items()
        if upload.has_chunks_of_part(number)
    }
    if len(of_parts) == session.grid.part_count and found.crc32c is not None:
        pieces = [(crc, session.grid.length_of_part(n)) for n, crc in sorted(of_parts.items()) if crc is not None]
        return len(pieces) == len(of_parts) and combine_all(pieces) == found.crc32c
    return all(_crc_of_slice(engine, upload, number) == crc for number, crc in of_parts.items())


def _crc_of_slice(engine: Engine, upload: Upload, number: int) -> int | None:
    grid = upload.session.grid
    first = (number - 1) * grid.part_size
    body = engine.objects.get(upload.session.object_key, first, first + grid.length_of_part(number) - 1)
    return None if body is None else crc32c(body)
