"""The rows of the ledger in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from ferry.model import Claim, Deletion, DueKind, File, Progress, Quota, Search, Session, Slot

Name = tuple[str, str]


@dataclass
class Rows:
    """All that a ledger holds. `dues` are what the index shows, `ttls` what DynamoDB would delete one day, `objects`
    whose file each object is that has a row.
    """

    files: dict[Name, File] = field(default_factory=dict)
    slots: dict[Name, Slot] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    stripes: dict[str, dict[int, Progress]] = field(default_factory=dict)
    claims: dict[str, dict[int, dict[int, Claim]]] = field(default_factory=dict)
    dues: dict[tuple[DueKind, str], int] = field(default_factory=dict)
    ttls: dict[tuple[str, ...], int] = field(default_factory=dict)
    objects: dict[str, Name | None] = field(default_factory=dict)
    deletions: dict[str, Deletion] = field(default_factory=dict)
    quotas: dict[str, Quota] = field(default_factory=dict)
    search: Search | None = None
