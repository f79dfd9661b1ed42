"""The body of a request for a link."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ferry.http.models.body import Body

MIN_LIFETIME_SECONDS = 60
MAX_LIFETIME_SECONDS = 90 * 86_400
DEFAULT_LIFETIME_SECONDS = 7 * 86_400
MIN_PASSWORD_BYTES = 8
MAX_PASSWORD_BYTES = 256
MAX_LABEL_LENGTH = 200
MAX_DOWNLOADS = 10_000
"""What a link counts at most: each counted download of a token is kept in the row of its counters."""
MAX_FILES = 5_000
"""What a link counts at most: each upload in progress is kept in the row of its counters."""
MAX_BYTES = 10**15


def _validate_label(value: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise PydanticCustomError("ferry", "must have no control characters")
    return value


def _validate_password(value: str) -> str:
    if not MIN_PASSWORD_BYTES <= len(value.encode()) <= MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "ferry", f"must have from {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes of UTF-8"
        )
    return value


class LinkTokenBody(Body):
    """A request for a token of a link."""

    password: Annotated[str, Field(max_length=MAX_PASSWORD_BYTES)] | None = None
    """The password, if the link has one."""


class LinkCreateBody(Body):
    """What the link is for, and its limits."""

    kind: Literal["download", "upload"]
    """`download`: read one file, or the files of a folder. `upload`: put files into a folder, and see nothing of it."""
    filename: str | None = None
    """The one file of a download link, in place of `prefix`."""
    prefix: str | None = None
    """The folder of the link, with `/` at its end. An upload link without one gets a folder of its own."""
    expires_in: Annotated[int, Field(ge=MIN_LIFETIME_SECONDS, le=MAX_LIFETIME_SECONDS)] = DEFAULT_LIFETIME_SECONDS
    """Seconds for which it works: from a minute to 90 days, by default 7 days."""
    max_downloads: Annotated[int, Field(ge=1, le=MAX_DOWNLOADS)] | None = None
    """Downloads at most, of a download link; `null` for no limit. Without it, a default of the service."""
    max_files: Annotated[int, Field(ge=1, le=MAX_FILES)] | None = None
    """Files at most, of an upload link. Without it, a default of the service."""
    max_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)] | None = None
    """Bytes at most, of an upload link. Without it, a default of the service."""
    password: Annotated[str, AfterValidator(_validate_password)] | None = None
    """A password of 8 to 256 bytes of UTF-8, which those who open the link must send."""
    label: Annotated[str, Field(max_length=MAX_LABEL_LENGTH), AfterValidator(_validate_label)] | None = None
    """What the link is called, in up to 200 characters. Those who open it see the label."""

    @model_validator(mode="after")
    def _validate_kind(self) -> Self:
        """Reject members that do not belong to the kind."""
        foreign = ("filename", "max_downloads") if self.kind == "upload" else ("max_files", "max_bytes")
        for name in foreign:
            if name in self.model_fields_set:
                message = f"{name} does not belong to a link of kind {self.kind}; omit it"
                raise PydanticCustomError("ferry", message)
        if self.kind == "download" and (self.filename is None) == (self.prefix is None):
            raise PydanticCustomError("ferry", "send one of filename and prefix")
        return self
