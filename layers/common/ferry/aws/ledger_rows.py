"""The ledger's rows (docs/decisions/0001): their keys, and how they hold the model's values."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from ferry.aws.expressions import Key, Row
from ferry.grid import Grid
from ferry.model import (
    Claim,
    Deletion,
    Due,
    DueKind,
    File,
    Phase,
    Progress,
    Quota,
    Search,
    Session,
    Slot,
    State,
    StoredObject,
    Upload,
)

SHARDS = 4
SEARCH_KEY: Key = ("SEARCH", "S")
PART_KEYS = 3
FILE_PREFIX = "F#"
SLOT_PREFIX = "U#"
STRIPE_PREFIX = "C#"
MAX_TEXT = 1_000
"""Bytes of a name or an id in a key: DynamoDB takes 1,024 in a sort key, and no name or id of ours comes near."""
LIMITS = ("max_bytes", "max_uploads", "max_file")
COUNTS = ("bytes", "uploads")
_SESSION = "S"
_CLAIM_PREFIX = "d"
_CRC_BYTES = 4

_SESSION_PLAIN = (
    *("upload_id", "ns", "name", "created", "idle", "max_age", "content_type", "metadata", "crc32c", "fingerprint"),
    *("replace", "multipart_id", "attempt", "lease_until", "leased_at", "lease_replace", "lease_crc32c"),
    *("replaced", "ended", "swept", "version"),
)
_FILE_PLAIN = (
    *("upload_id", "size", "etag", "crc32c", "content_type", "metadata", "fingerprint"),
    *("uploaded_at", "last_modified"),
)
_MADE_PLAIN = ("etag", "size", "crc32c", "modified")
_STRIPE_PLAIN = ("touched", "received", "epoch", "version")


# Keys


def names_pk(ns: str) -> str:
    """The partition of a namespace's files and slots."""
    return f"N#{ns}"


def file_key(ns: str, name: str) -> Key:
    return names_pk(ns), FILE_PREFIX + name


def slot_key(ns: str, name: str) -> Key:
    return names_pk(ns), SLOT_PREFIX + name


def quota_key(ns: str) -> Key:
    """A partition of its own: it is written to more than all the names."""
    return f"Q#{ns}", "Q"


def quota_of(row: Row) -> Quota:
    return Quota(**{name: row[name] for name in (*LIMITS, *COUNTS) if name in row})


def upload_pk(upload_id: str) -> str:
    """The partition of a session and its stripes."""
    return f"U#{upload_id}"


def session_key(upload_id: str) -> Key:
    return upload_pk(upload_id), _SESSION


def stripe_key(upload_id: str, number: int) -> Key:
    return upload_pk(upload_id), f"{STRIPE_PREFIX}{number}"


def part_pks(upload_id: str) -> list[str]:
    """The partitions of an upload's claims: several, so that no key gets all the writes."""
    return [f"{upload_pk(upload_id)}#{rest}" for rest in range(PART_KEYS)]


def part_key(upload_id: str, part: int) -> Key:
    return part_pks(upload_id)[part % PART_KEYS], str(part)


def due_key(kind: DueKind, subject: str) -> Key:
    """The row that an entry of the index stands for."""
    return session_key(subject) if kind is DueKind.SESSION else (f"T#{kind.value}#{subject}", "T")


def shard_of(subject: str) -> str:
    return str(zlib.crc32(subject.encode()) % SHARDS)


# Rows of names


def file_row(file: File) -> Row:
    return _keyed(file_key(file.ns, file.name)) | _file_attributes(file)


def file_of(row: Row) -> File:
    return _file(row, ns=row["pk"].removeprefix("N#"), name=row["sk"].removeprefix(FILE_PREFIX))


def slot_row(slot: Slot) -> Row:
    return _keyed(slot_key(slot.ns, slot.name)) | {"upload_id": slot.upload_id, "open": slot.open or None}


def slot_of(row: Row) -> Slot:
    name = row["sk"].removeprefix(SLOT_PREFIX)
    return Slot(row["pk"].removeprefix("N#"), name, row["upload_id"], open=row.get("open", False))


# Rows of an upload


def session_row(session: Session, due: int) -> Row:
    grid = session.grid
    return {
        **_keyed(session_key(session.upload_id)),
        **{name: getattr(session, name) for name in _SESSION_PLAIN},
        "size": grid.size,
        "chunk_size": grid.chunk_size,
        "chunks_per_part": grid.chunks_per_part,
        "state": session.state.value,
        "untold": session.untold or None,
        "counted": session.counted or None,
        "made": session.made and made_attributes(session.made),
        "answer": session.answer and _file_attributes(session.answer),
        **due_attributes(session.upload_id, due),
    }


def session_of(row: Row) -> Session:
    plain = {name: row[name] for name in _SESSION_PLAIN if name in row}
    made, answer = row.get("made"), row.get("answer")
    return Session(
        **plain,
        grid=Grid(row["size"], row["chunk_size"], row["chunks_per_part"]),
        state=State(row["state"]),
        untold=row.get("untold", False),
        counted=row.get("counted", False),
        made=StoredObject(*(made.get(name) for name in _MADE_PLAIN)) if made else None,
        answer=_file(answer, ns=row["ns"], name=row["name"]) if answer else None,
    )


def made_attributes(made: StoredObject) -> dict[str, Any]:
    return {name: getattr(made, name) for name in _MADE_PLAIN}


def answer_attributes(answer: File) -> dict[str, Any]:
    """A finished file inside its session, which has the namespace and the name already."""
    return _file_attributes(answer)


def stripe_row(upload_id: str, stripe: Progress, ttl: int) -> Row:
    return {
        **_keyed(stripe_key(upload_id, stripe.stripe)),
        **{name: getattr(stripe, name) for name in _STRIPE_PLAIN},
        "open": stripe.open or None,
        "direct": stripe.direct or None,
        "bits": bits_attribute(stripe.bits),
        "recent": stripe.recent or None,
        "before": stripe.before or None,
        "ttl": ttl,
    }


def stripe_of(row: Row) -> Progress:
    return Progress(
        stripe=int(row["sk"].removeprefix(STRIPE_PREFIX)),
        open=row.get("open", False),
        direct=row.get("direct", False),
        bits=int.from_bytes(row.get("bits", b""), "little"),
        recent=row.get("recent", frozenset()),
        before=row.get("before", frozenset()),
        **{name: row[name] for name in _STRIPE_PLAIN},
    )


def bits_attribute(bits: int) -> bytes:
    """A bitmap as bytes, bit 0 lowest in the first."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def upload_of(rows: Iterable[Row]) -> Upload | None:
    """The rows of one `U#<id>` partition, in any order; None when the session is not among them."""
    sessions: list[Session] = []
    stripes: list[Progress] = []
    for row in rows:
        if row["sk"].startswith(STRIPE_PREFIX):
            stripes.append(stripe_of(row))
        elif row["sk"] == _SESSION:  # a made-up id may name another partition
            sessions.append(session_of(row))
    return Upload(sessions[0], tuple(sorted(stripes, key=lambda stripe: stripe.stripe))) if sessions else None


def claim_name(index: int) -> str:
    """The attribute of a PART row that holds the claim of chunk `index`."""
    return f"{_CLAIM_PREFIX}{index}"


def claim_attribute(claim: Claim) -> bytes:
    return claim.digest + claim.crc32c.to_bytes(_CRC_BYTES, "big")


def claims_of(row: Row) -> dict[int, Claim]:
    return {
        int(name.removeprefix(_CLAIM_PREFIX)): Claim(value[:-_CRC_BYTES], int.from_bytes(value[-_CRC_BYTES:], "big"))
        for name, value in row.items()
        if isinstance(value, bytes)
    }


# What is due


def due_attributes(subject: str, due: int) -> dict[str, Any]:
    """What puts a row on the index."""
    return {"due": due, "due_shard": shard_of(subject)}


NOT_DUE: dict[str, None] = {"due": None, "due_shard": None}
"""What takes a row off the index."""


def tomb_row(entry: Due) -> Row:
    return _keyed(due_key(entry.kind, entry.subject)) | due_attributes(entry.subject, entry.due)


def deletion_key(upload_id: str) -> Key:
    return due_key(DueKind.DELETED, upload_id)


def deletion_row(deletion: Deletion, due: int) -> Row:
    """The note of a deletion that has not been told: all that is known of the file by then."""
    file = deletion.file
    entry = Due(DueKind.DELETED, file.upload_id, due)
    return tomb_row(entry) | _file_attributes(file) | {"ns": file.ns, "name": file.name, "deleted_at": deletion.at}


def deletion_of(row: Row) -> Deletion:
    return Deletion(_file(row, ns=row["ns"], name=row["name"]), row["deleted_at"])


def object_row(upload_id: str, owner: tuple[str, str] | None, due: int | None) -> Row:
    """What is known of an object: whose file it was made for, and when it is due, if it is."""
    row = _keyed(due_key(DueKind.OBJECT, upload_id))
    if owner is not None:
        row["ns"], row["name"] = owner
    return row if due is None else row | due_attributes(upload_id, due)


def owner_of(row: Row) -> tuple[str, str, str | None]:
    """The object's upload id, and the namespace and the name of its file, empty and None where there is none."""
    return row["pk"].rpartition("#")[2], row.get("ns", ""), row.get("name")


def search_row(search: Search) -> Row:
    values = {"began": search.began, "phase": search.phase.value, "cursor": search.cursor, "version": search.version}
    return _keyed(SEARCH_KEY) | values


def search_of(row: Row) -> Search:
    return Search(row["began"], Phase(row["phase"]), row.get("cursor"), row["version"])


def due_of(row: Row) -> Due:
    """An entry of the index, from the keys that it projects."""
    head, _, rest = row["pk"].partition("#")
    if head == "U":
        return Due(DueKind.SESSION, rest, row["due"])
    kind, _, subject = rest.partition("#")
    return Due(DueKind(kind), subject, row["due"])


def _keyed(key: Key) -> Row:
    return {"pk": key[0], "sk": key[1]}


def _file_attributes(file: File) -> dict[str, Any]:
    return {name: getattr(file, name) for name in _FILE_PLAIN} | {"counted": file.counted or None}


def _file(row: Row, *, ns: str, name: str) -> File:
    plain: dict[str, Any] = {attribute: row.get(attribute) for attribute in _FILE_PLAIN}
    return File(ns=ns, name=name, counted=row.get("counted", False), **plain)
