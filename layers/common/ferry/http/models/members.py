"""Members that describe a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from ferry.http.models.checks import validate_media_type, validate_metadata

Metadata = Annotated[dict[str, str], AfterValidator(validate_metadata)]
MediaType = Annotated[str, AfterValidator(validate_media_type)]
