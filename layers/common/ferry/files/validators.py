"""What conditions compare a finished file by."""

from __future__ import annotations

from ferry.model.files import File
from ferry.rules.conditions import Validators
from ferry.rules.durations import SECOND_MS


def file_validators(file: File, *, also_record: bool = False) -> Validators:
    """Return the validators of a file's content; with `also_record`, its record's entity tag counts as well.

    The file may have a date after it became current: it is later than that of the file that it replaced.
    """
    return Validators(
        file.etag,
        file.last_modified_seconds,
        current_since_seconds=max(file.uploaded_at // SECOND_MS, file.last_modified_seconds),
        other_etag=file.record_etag if also_record else None,
    )
