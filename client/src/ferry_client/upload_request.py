"""What a caller asks to have uploaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferry_client.callbacks import ignore
from ferry_client.models import IfExists

if TYPE_CHECKING:
    from ferry_client.sources import Source


@dataclass(frozen=True, slots=True)
class UploadChoices:
    """What a caller chooses for an upload."""

    if_exists: IfExists
    """What to do where the name has a file."""
    content_type: str | None
    """The file's type; None: by the extension of its name."""
    metadata: Mapping[str, str]
    """Stored with the file."""
    restart: bool
    """Whether an upload in progress of this name is discarded, also one of another machine."""
    on_progress: Callable[[int, int], None]
    """Called with the durable bytes and the bytes of the file, 0 while they are unknown; from any thread."""
    on_note: Callable[[str], None]
    """Called with what people should know."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What to upload."""

    source: Source
    """The bytes."""
    name: str
    """The name that the file gets."""
    if_exists: IfExists = "fail"
    """What to do where the name has a file."""
    content_type: str | None = None
    """The file's type; None: `application/octet-stream`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Stored with the file."""
    restart: bool = False
    """Whether an upload in progress of this name is discarded, also one of another machine."""
    on_progress: Callable[[int], None] = ignore
    """Called with the number of durable bytes, from any thread."""
    on_note: Callable[[str], None] = ignore
    """Called with what people should know: a restart, or that S3 is out of reach."""
