"""How a start under `if_exists: rename` chooses its name, and how its repetition finds the upload."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferry.model.uploads import CurrentUpload


@dataclass(frozen=True, slots=True)
class NameState:
    """What makes a name free or taken."""

    has_file: bool = False
    """Whether it has a finished file."""

    current_upload: CurrentUpload | None = None
    """Its newest upload; None if it never had one."""

    has_sequential: bool = False
    """Whether it has open sequential uploads."""

    @property
    def is_free(self) -> bool:
        """Return whether it has neither a file nor an upload in progress, of any kind."""
        return not (self.has_file or self.has_sequential) and (
            self.current_upload is None or not self.current_upload.in_progress
        )


@dataclass(frozen=True, slots=True)
class RenamedStart:
    """A start under `if_exists: rename`, and the upload that it began."""

    start_id: str
    """Identifies the start: its repetition has the same id (`start_id_for`)."""

    upload_id: str
    """The upload."""


def start_id_for(ns: str, name: str, size: int, *, crc32c: int | None, fingerprint: str | None) -> str | None:
    """Return what identifies a start: the name asked for, the size, and the checksum or, without one, the fingerprint.

    None: it has neither, so every such start is a new one.
    """
    if crc32c is None and fingerprint is None:
        return None
    proof = ["fingerprint", fingerprint] if crc32c is None else ["crc32c", crc32c]
    return hashlib.sha256(json.dumps([ns, name, size, *proof]).encode()).hexdigest()[:32]
