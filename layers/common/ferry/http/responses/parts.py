"""The response body of `POST /upload/parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferry.http.json_values import Timestamp
from ferry.http.responses.members import Count, Ordinal, Time, Url

if TYPE_CHECKING:
    from ferry.uploads.presign import PresignedPart


@dataclass(frozen=True, slots=True)
class SignedPart:
    """A presigned PUT for one part."""

    part_number: Ordinal
    """The number of the part."""
    url: Url
    """The presigned URL."""
    headers: Mapping[str, str]
    """Headers to send with the PUT, exactly as they are."""
    size: Count
    """Bytes that the body of the PUT must have."""
    expires_at: Time
    """When the URL stops working."""

    @classmethod
    def from_presigned(cls, part: PresignedPart) -> SignedPart:
        return cls(part.part_number, part.url, dict(part.headers), part.size, Timestamp(part.expires_at))


@dataclass(frozen=True, slots=True)
class SignedParts:
    """Presigned PUTs, in the order of the request."""

    parts: Sequence[SignedPart]
    """One entry for each part of the request."""
