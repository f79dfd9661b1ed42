"""The response body of `POST /upload/complete` for a file that is not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CompletionPending:
    """An upload whose file is not finished yet."""

    filename: str
    """The name that the file will have."""
    upload_id: str
    """The id of the upload."""
    state: Literal["completing"] = "completing"
    """Always `completing`."""
