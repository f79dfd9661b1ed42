"""What conditions compare a finished file by."""

from __future__ import annotations

from ferry.model.files import File
from ferry.rules.conditions import Validators
from ferry.rules.durations import SECOND_MS


def file_validators(file: File) -> Validators:
    """Return the validators of a file, which downloads and changes of it share."""
    return Validators(file.etag, file.last_modified_seconds, current_since_seconds=file.uploaded_at // SECOND_MS)
