"""The rows of links in the metadata table (docs/decisions/0014): their keys, and their conversion.

| row | pk | sk |
|---|---|---|
| link | `L#<link id>` | `L` |
| link of a namespace | `LN#<namespace>` | when, and the link id |
| counters | `T#link#<link id>` | `T` |
| activity | `LA#<link id>` | when, and what tells entries of a millisecond apart |
| attempts at the password | `LP#<link id>` | network, or `*` for all networks |

The counters' row is the cleanup task of the link, too. No sort key has a filename.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ferry.aws.metadata_rows import key_attributes, task_key, task_to_row
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.links import (
    CREATED_EVENT,
    LINK_RETENTION_MS,
    Activity,
    ActivityAction,
    DownloadClaim,
    Link,
    LinkKind,
    LinkUsage,
    PasswordHash,
    Reservation,
)
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.listing import newest_first

if TYPE_CHECKING:
    from ferry.aws.expressions import Key, Row

CLAIM_WINDOW_MS = 15 * MINUTE_MS
"""Claims are kept in one attribute for each window of this length, by the expiry of their tokens."""

KEPT_CLAIM_WINDOWS = 2
"""Windows whose tokens may still work: the present one, and the next."""

DROPPED_CLAIM_WINDOWS = 4
"""Earlier windows whose claims each write removes."""

_LINK_SORT_KEY = "L"
_RESERVATION_PREFIX = "r_"

_LINK_FIELDS = (
    "secret_hash",
    "ns",
    "created_by",
    "created_at",
    "expires_at",
    "filename",
    "prefix",
    "label",
    "max_downloads",
    "max_files",
    "max_bytes",
    "revoked_at",
)
_COUNTERS = ("downloads", "files", "bytes", "started", "received_bytes", "partials", "ended_partials")


def link_key(link_id: str) -> Key:
    return f"L#{link_id}", _LINK_SORT_KEY


def namespace_pk(ns: str) -> str:
    return f"LN#{ns}"


def listed_key(link: Link) -> Key:
    return namespace_pk(link.ns), f"{newest_first(link.created_at)}#{link.link_id}"


def usage_key(link_id: str) -> Key:
    return task_key(CleanupTaskKind.LINK, link_id)


def activity_pk(link_id: str) -> str:
    return f"LA#{link_id}"


def attempts_key(link_id: str, network: str) -> Key:
    return f"LP#{link_id}", network


def reservation_attribute(upload_id: str) -> str:
    return f"{_RESERVATION_PREFIX}{upload_id}"


def claim_attribute(window: int) -> str:
    """Return the attribute with the claims of tokens that stop working within a window."""
    return f"claims_{window}"


def claim_window(claim: DownloadClaim) -> int:
    return claim.expires_at // CLAIM_WINDOW_MS


def claim_number(claim: DownloadClaim) -> int:
    """Return a claim as a number of 64 bits."""
    digest = hashlib.sha256(f"{claim.token_id}\n{claim.filename}".encode()).digest()
    return int.from_bytes(digest[:8])


def link_to_row(link: Link) -> Row:
    password = link.password
    return key_attributes(link_key(link.link_id)) | {
        **{name: getattr(link, name) for name in _LINK_FIELDS},
        "kind": link.kind.value,
        "issuer": link.issuer or None,
        "password": None
        if password is None
        else {
            "salt": password.salt,
            "digest": password.digest,
            "cost": password.cost,
            "block_size": password.block_size,
            "parallelism": password.parallelism,
        },
        "ttl": link.ttl_epoch_seconds,
    }


def link_from_row(row: Row) -> Link:
    fields: dict[str, Any] = {name: row.get(name) for name in _LINK_FIELDS}
    password = row.get("password")
    return Link(
        link_id=row["pk"].partition("#")[2],
        kind=LinkKind(row["kind"]),
        issuer=row.get("issuer", ""),
        password=None if password is None else PasswordHash(**password),
        **fields,
    )


def listed_to_row(link: Link) -> Row:
    return key_attributes(listed_key(link)) | {"ttl": link.ttl_epoch_seconds}


def link_id_from_listed_key(sort_key: str) -> str:
    return sort_key.partition("#")[2]


def usage_from_row(row: Row) -> LinkUsage:
    reservations = {
        name.removeprefix(_RESERVATION_PREFIX): Reservation(*value)
        for name, value in row.items()
        if name.startswith(_RESERVATION_PREFIX)
    }
    return LinkUsage(
        **{name: row.get(name, 0) for name in _COUNTERS},
        reservations=reservations,
        used_up_at=row.get("used_up_at"),
        pending_events=frozenset(row.get("pending_events", ())),
    )


def created_to_row(link: Link, publish_deadline: int) -> Row:
    """Return the counters' row of a new link whose event is pending."""
    task = CleanupTask(CleanupTaskKind.LINK, link.link_id, publish_deadline)
    return task_to_row(task) | {"pending_events": {CREATED_EVENT}, "ttl": link.ttl_epoch_seconds}


def reservation_value(reservation: Reservation) -> list[int | bool]:
    """Return a reservation as its attribute holds it."""
    partial = [True] if reservation.is_partial else []
    return [reservation.size, reservation.reserved_at, *partial]


def link_id_of_usage(row: Mapping[str, Any]) -> str:
    link_id: str = row["pk"].rpartition("#")[2]
    return link_id


def activity_to_row(link_id: str, activity: Activity) -> Row:
    key = activity_pk(link_id), f"{newest_first(activity.at)}#{activity.unique_id}"
    return key_attributes(key) | {
        "at": activity.at,
        "action": activity.action.value,
        "network": activity.network,
        "filename": activity.filename,
        "size": activity.size,
        "ttl": (activity.at + LINK_RETENTION_MS) // SECOND_MS,
    }


def activity_from_row(row: Row) -> Activity:
    return Activity(
        at=row["at"],
        action=ActivityAction(row["action"]),
        network=row["network"],
        unique_id=row["sk"].partition("#")[2],
        filename=row.get("filename"),
        size=row.get("size"),
    )
