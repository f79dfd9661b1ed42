"""Members that describe a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from ferry.rules.media_types import is_media_type
from ferry.rules.metadata import metadata_problem


def _validate_media_type(value: str) -> str:
    """Return a media type (RFC 9110 section 8.3.1). It becomes a header of the download, so other text is rejected."""
    if not is_media_type(value):
        raise PydanticCustomError("ferry", "must be a media type, such as text/plain; charset=utf-8")
    return value


def _validate_metadata(value: dict[str, str]) -> dict[str, str]:
    problem = metadata_problem(value)
    if problem is not None:
        raise PydanticCustomError("ferry", "{problem}", {"problem": problem})
    return value


Metadata = Annotated[dict[str, str], AfterValidator(_validate_metadata)]
MediaType = Annotated[str, AfterValidator(_validate_media_type)]
