"""The body of a request for a link."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ferry.http.models.body import Body
from ferry.http.models.checks import MAX_PASSWORD_BYTES, validate_label, validate_link_kind, validate_password

MIN_LIFETIME_SECONDS, DEFAULT_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS = 60, 7 * 86_400, 90 * 86_400
"""How long a link works."""
MAX_LABEL_LENGTH = 200
"""Characters of a label."""
MAX_DOWNLOADS = 10_000
"""What a link counts at most: each counted download of a token is kept in the row of its counters."""
MAX_FILES = 5_000
"""What a link counts at most: each upload in progress is kept in the row of its counters."""
MAX_BYTES = 10**15
"""The largest limit of an upload link's bytes."""


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
    password: Annotated[str, AfterValidator(validate_password)] | None = None
    """A password of 8 to 256 bytes of UTF-8, which those who open the link must send."""
    label: Annotated[str, Field(max_length=MAX_LABEL_LENGTH), AfterValidator(validate_label)] | None = None
    """What the link is called, in up to 200 characters. Those who open it see the label."""

    _check_kind = model_validator(mode="after")(validate_link_kind)
