"""The body of a request for a link."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Annotated, Literal

from ferry.http.json_values import JsonSchema
from ferry.http.models.body import Body
from ferry.http.validation import Check

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


def _label_problem(value: str) -> str | None:
    has_control = any(unicodedata.category(character) == "Cc" for character in value)
    return "must have no control characters" if has_control else None


def _password_problem(value: str) -> str | None:
    if MIN_PASSWORD_BYTES <= len(value.encode()) <= MAX_PASSWORD_BYTES:
        return None
    return f"must have from {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes of UTF-8"


Lifetime = Annotated[int, JsonSchema(minimum=MIN_LIFETIME_SECONDS, maximum=MAX_LIFETIME_SECONDS)]


@dataclass(frozen=True)
class LinkTokenBody(Body):
    """A request for a token of a link."""

    password: Annotated[str, JsonSchema(maxLength=MAX_PASSWORD_BYTES)] | None = field(default=None, repr=False)
    """The password, if the link has one."""


@dataclass(frozen=True)
class LinkCreateBody(Body):
    """What the link is for, and its limits."""

    kind: Literal["download", "upload"]
    """`download`: read one file, or the files of a folder. `upload`: put files into a folder, and see nothing of it."""
    filename: str | None = None
    """The one file of a download link, in place of `prefix`."""
    prefix: str | None = None
    """The folder of the link, with `/` at its end. An upload link without one gets a folder of its own."""
    expires_in: Lifetime = DEFAULT_LIFETIME_SECONDS
    """Seconds for which it works: from a minute to 90 days, by default 7 days."""
    max_downloads: Annotated[int, JsonSchema(minimum=1, maximum=MAX_DOWNLOADS)] | None = None
    """Downloads at most, of a download link; `null` for no limit. Without it, a default of the service."""
    max_files: Annotated[int, JsonSchema(minimum=1, maximum=MAX_FILES)] | None = None
    """Files at most, of an upload link. Without it, a default of the service."""
    max_bytes: Annotated[int, JsonSchema(minimum=1, maximum=MAX_BYTES)] | None = None
    """Bytes at most, of an upload link. Without it, a default of the service."""
    password: Annotated[str, Check(_password_problem)] | None = field(default=None, repr=False)
    """A password of 8 to 256 bytes of UTF-8, which those who open the link must send."""
    label: Annotated[str, JsonSchema(maxLength=MAX_LABEL_LENGTH), Check(_label_problem)] | None = None
    """What the link is called, in up to 200 characters. Those who open it see the label."""

    def find_problem(self) -> str | None:
        """Return which member does not belong to the kind, or is missing for it."""
        foreign = ("filename", "max_downloads") if self.kind == "upload" else ("max_files", "max_bytes")
        for name in foreign:
            if name in self.sent_members:
                return f"{name} does not belong to a link of kind {self.kind}; omit it"
        if self.kind == "download" and (self.filename is None) == (self.prefix is None):
            return "send one of filename and prefix"
        return None
