"""The response body of `POST /upload/start` for a file that is already there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferry.http.responses.files import FileBody, file_members
from ferry.http.responses.plans import Limits

if TYPE_CHECKING:
    from ferry.model.files import File


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingFile(FileBody):
    """The finished file that is the one to be uploaded: nothing has to be sent."""

    limits: Limits
    """Limits of this service."""

    @classmethod
    def from_file_and_limits(cls, file: File, limits: Limits) -> ExistingFile:
        return cls(**file_members(file), limits=limits)
