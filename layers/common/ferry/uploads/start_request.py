"""A client's request to upload a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ferry.model.files import IfExists


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A client's request to upload a file."""

    name: str
    """The file's name."""
    size: int
    """Bytes of the file."""
    content_type: str | None = None
    """Its media type; None: `DEFAULT_CONTENT_TYPE`."""
    chunk_size: int | None = None
    """Preferred chunk size in bytes; None: the largest."""
    part_size: int | None = None
    """Preferred part size in bytes; None: `DEFAULT_PART_BYTES`. `ChunkLayout.plan` rounds it up."""
    crc32c: int | None = None
    """CRC32C of the whole file, if known."""
    fingerprint: str | None = None
    """Any string that the client derives from its file, so that it recognizes the same file later."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The client's own names and values, kept with the file."""
    if_exists: IfExists = IfExists.FAIL
    """What to do with a finished file of that name."""
    resume: bool = False
    """Whether the client says that an upload in progress without checksum and fingerprint is of its file."""
    restart: bool = False
    """Whether to cancel an upload in progress instead of resuming it."""
    received_at: int | None = None
    """When the gateway received it, in epoch milliseconds; None: when the use case begins."""
