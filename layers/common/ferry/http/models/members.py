"""Members that describe a file."""

from __future__ import annotations

from typing import Annotated

from ferry.http.validation import Check
from ferry.rules.media_types import is_media_type
from ferry.rules.metadata import metadata_problem


def _media_type_problem(value: str) -> str | None:
    """A media type (RFC 9110 section 8.3.1) becomes a header of the download, so other text is rejected."""
    return None if is_media_type(value) else "must be a media type, such as text/plain; charset=utf-8"


Metadata = Annotated[dict[str, str], Check(metadata_problem)]
MediaType = Annotated[str, Check(_media_type_problem)]
