"""The quota of a namespace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """What a namespace may have (None: as much as it likes), and what of it is counted: the bytes of files and of open
    uploads, and how many uploads are open. `max_file` is the size of one file.
    """

    max_bytes: int | None = None
    max_uploads: int | None = None
    max_file_bytes: int | None = None
    used_bytes: int = 0
    open_uploads: int = 0

    @property
    def tracks_usage(self) -> bool:
        """Whether there is a limit that has to be counted for."""
        return self.max_bytes is not None or self.max_uploads is not None
