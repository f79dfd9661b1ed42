"""Links: secret addresses for people without an account (docs/decisions/0014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ferry.rules.durations import DAY_MS, SECOND_MS

LINK_RETENTION_MS = 90 * DAY_MS
"""How long the rows of a link are kept after its expiry, and each entry of its activity after it happened."""

MAX_STARTED_FACTOR = 10
"""Uploads that may begin by a link, cancelled ones included, as a multiple of `max_files`."""

MAX_RECEIVED_FACTOR = 2
"""Bytes that may be received by a link, those of cancelled uploads included, as a multiple of `max_bytes`."""


CREATED_EVENT, USED_UP_EVENT = "created", "used_up"
"""Members of `LinkUsage.pending_events`."""

MAX_OPEN_PARTIALS = 1_000
"""Partial uploads in progress by a link, which bounds the size of its counters' row."""


class LinkKind(StrEnum):
    """What a link is for."""

    DOWNLOAD = "download"
    """Read one file, or the files of a folder."""

    UPLOAD = "upload"
    """Put files into a folder, and see nothing else of it."""


class LinkState(StrEnum):
    """Whether a link works."""

    ACTIVE = "active"
    """It works, unless its limits are used up."""

    EXPIRED = "expired"
    """Its `expires_at` has passed."""

    REVOKED = "revoked"
    """It was deleted, or its client is disabled."""


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A scrypt hash of a link's password, with what it was computed with (RFC 7914)."""

    salt: bytes
    """Random bytes."""

    digest: bytes
    """The derived key."""

    cost: int
    """The parameter N."""

    block_size: int
    """The parameter r."""

    parallelism: int
    """The parameter p."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link. Its secret is shown once, when it is created; only a hash is stored."""

    link_id: str
    """128 bits in hexadecimal, derived from the secret, which cannot be derived from it."""

    secret_hash: bytes
    """SHA-256 of the secret."""

    ns: str
    """The namespace of its files."""

    kind: LinkKind
    """What it is for."""

    created_by: str
    """The client that created it. While that client is disabled, requests by the link are rejected as revoked."""

    created_at: int
    """When it was created, in epoch milliseconds."""

    expires_at: int
    """When it ends, in epoch milliseconds."""

    issuer: str = ""
    """The external issuer of the client's tokens; empty for Ferry's own clients."""

    filename: str | None = None
    """The one file of a download link; None: it has a prefix."""

    prefix: str | None = None
    """The folder of a link, which ends with `/`; None: it has a filename."""

    label: str | None = None
    """What its owner calls it; shown to those who open the link."""

    max_downloads: int | None = None
    """Downloads at most; None: no limit, and always None for an upload link."""

    max_files: int | None = None
    """Files at most; None for a download link."""

    max_bytes: int | None = None
    """Bytes at most; None for a download link."""

    password: PasswordHash | None = None
    """The hash of its password; None without one."""

    revoked_at: int | None = None
    """When it was deleted, in epoch milliseconds; None: it was not."""

    def state(self, now: int) -> LinkState:
        """Return whether it works, without regard to its client and its limits."""
        if self.revoked_at is not None:
            return LinkState.REVOKED
        return LinkState.EXPIRED if now >= self.expires_at else LinkState.ACTIVE

    def includes(self, name: str) -> bool:
        """Return whether a file of this name is the file of the link, or is in its folder."""
        if self.prefix is None:
            return name == self.filename
        return name.startswith(self.prefix)

    @property
    def ttl_epoch_seconds(self) -> int:
        """When DynamoDB may delete its rows, in epoch seconds."""
        return (self.expires_at + LINK_RETENTION_MS) // SECOND_MS


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is reserved of a link's limits for an upload in progress."""

    size: int
    """Bytes of the file."""

    reserved_at: int
    """When it was reserved, or grew last, in epoch milliseconds."""

    is_partial: bool = False
    """Whether it is a partial upload, which takes bytes but no file: the final upload of its bytes is the file."""


@dataclass(frozen=True, slots=True)
class LinkUsage:
    """What is used of a link's limits. The counters have a row of their own, which is written more often."""

    downloads: int = 0
    """Counted downloads."""

    files: int = 0
    """Uploaded files, and uploads in progress."""

    bytes: int = 0
    """Bytes of these files and uploads."""

    started: int = 0
    """Uploads that have started; never reduced."""

    received_bytes: int = 0
    """Bytes that uploads have received, or may still receive while in progress. Received bytes stay counted."""

    partials: int = 0
    """Partial uploads in progress."""

    ended_partials: int = 0
    """Partial uploads that have ended, or whose bytes became part of a final upload; never reduced."""

    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    """The uploads in progress, by upload id."""

    used_up_at: int | None = None
    """When nothing was left for the first time, in epoch milliseconds; None before, or if events are disabled."""

    pending_events: frozenset[str] = frozenset()
    """The last words of the kinds of events that are still to be published: `created`, `used_up`."""

    def is_used_up(self, link: Link) -> bool:
        """Return whether nothing more may begin by the link."""
        if link.kind is LinkKind.DOWNLOAD:
            return link.max_downloads is not None and self.downloads >= link.max_downloads
        return 0 in self.left(link)

    def left(self, link: Link) -> tuple[int, int]:
        """Return the files and the bytes that an upload link still takes."""
        max_files, max_bytes = link.max_files or 0, link.max_bytes or 0
        files = min(max_files - self.files, MAX_STARTED_FACTOR * max_files - self.started)
        size = min(max_bytes - self.bytes, MAX_RECEIVED_FACTOR * max_bytes - self.received_bytes)
        return max(files, 0), max(size, 0)


class ActivityAction(StrEnum):
    """What happened by a link."""

    DOWNLOAD = "download"
    """A download that counts."""

    UPLOAD = "upload"
    """A file was uploaded."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of an action
    """A password was wrong."""

    LOCKED = "locked"
    """A network was locked, after too many wrong passwords."""


@dataclass(frozen=True, slots=True)
class Activity:
    """An entry of a link's activity."""

    at: int
    """When it happened, in epoch milliseconds."""

    action: ActivityAction
    """What happened."""

    network: str
    """The network that the request came from, never a whole address (`ferry.rules.networks`)."""

    unique_id: str
    """Distinguishes entries of the same millisecond. A repeated write has the same value."""

    filename: str | None = None
    """The file; None for passwords."""

    size: int | None = None
    """Bytes of the file; None for passwords."""


@dataclass(frozen=True, slots=True)
class DownloadClaim:
    """A token and a file: further requests under that token for that file are the same download."""

    token_id: str
    """The token's `jti`."""

    expires_at: int
    """When the token stops working, in epoch milliseconds."""

    filename: str
    """The file."""


class DownloadCount(StrEnum):
    """What counting a download led to."""

    COUNTED = "counted"
    """The download is counted."""

    SAME = "same"
    """It was counted before, under the same token."""

    USED_UP = "used up"
    """The limit is reached; nothing was counted."""


@dataclass(frozen=True, slots=True)
class AttemptRule:
    """How many wrong passwords are accepted before a lock."""

    max_attempts: int
    """Attempts within the window."""

    window_ms: int
    """The length of the window, in milliseconds."""

    is_sliding: bool
    """Whether each attempt begins the window anew, so that a lock lasts as long as the window."""


@dataclass(frozen=True, slots=True)
class AttemptCount:
    """What reserving an attempt at a password led to."""

    attempts: int
    """Attempts within the window, with this one; 0: it was not reserved."""

    locked_until: int | None = None
    """When the lock ends, in epoch milliseconds; None: the attempt was reserved."""
