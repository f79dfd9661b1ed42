"""The quota of a namespace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a namespace, set by the operator, and its usage (docs/decisions/0004). A limit of None is no limit."""

    max_bytes: int | None = None
    """Limit of `used_bytes`."""

    max_uploads: int | None = None
    """Limit of `open_uploads`."""

    max_file_bytes: int | None = None
    """Limit of the size of one file, in bytes."""

    used_bytes: int = 0
    """Bytes of the counted files and of the counted uploads in progress, by their declared size."""

    open_uploads: int = 0
    """Counted uploads in progress."""

    @property
    def tracks_usage(self) -> bool:
        """Return whether a limit needs the usage. A limit of the file size alone does not."""
        return self.max_bytes is not None or self.max_uploads is not None
