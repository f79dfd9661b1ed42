"""How an attempt to complete an upload can end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferry.errors import (
    BackendUnavailable,
    ChecksumMismatch,
    FileExists,
    InvalidFilename,
    PreconditionFailed,
    UploadIncomplete,
)
from ferry.model.files import File
from ferry.model.objects import StoredObject


@dataclass(frozen=True, slots=True)
class Built:
    """The object is in S3; the name does not point to it yet."""

    stored_object: StoredObject
    """The object with its CRC32C and its modification date."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The name points to the object: the upload is a file."""

    file: File
    """The finished file."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The time budget of this attempt is spent. Assembled parts stay in S3, and the next attempt continues."""


@dataclass(frozen=True, slots=True)
class PriorAttemptPending:
    """S3 may still be building the object for an earlier attempt, so this attempt must wait for it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The upload cannot become a file as it is. It opens again, and the client decides how to continue."""

    error: ChecksumMismatch | FileExists | InvalidFilename | PreconditionFailed | UploadIncomplete
    """The error that the client gets."""
    stored_object: StoredObject | None = None
    """The object, if it exists already. An upload with an object accepts no more chunks."""
    lost_chunks: Sequence[int] = ()
    """Indexes of recorded chunks whose bytes are missing. The client sends them again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A backend failed. The attempt can be repeated as it is."""

    error: BackendUnavailable
    """The error that the client gets."""
    stored_object: StoredObject | None
    """The object, if it existed before the failure."""


@dataclass(frozen=True, slots=True)
class PartialBuilt:
    """The object of a partial upload is in S3. It becomes no file: the upload opens again, and keeps the object."""

    stored_object: StoredObject
    """The object with its CRC32C."""


BuildResult = Built | OutOfTime | PriorAttemptPending | Rejected
"""How building the object can end."""

CompletionOutcome = Committed | PartialBuilt | OutOfTime | PriorAttemptPending | Rejected | Failed
"""How a whole attempt can end."""
