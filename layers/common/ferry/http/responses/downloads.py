"""The response body of a download that returns a URL."""

from __future__ import annotations

from dataclasses import dataclass

from ferry.downloads.download import PresignedLink
from ferry.http.json_values import Timestamp
from ferry.http.responses.members import Count, Time, Url
from ferry.model.files import File


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """Where a file can be fetched without an access token."""

    url: Url
    """The presigned URL. It is a secret: it grants access to the file."""
    expires_at: Time
    """When the URL stops working."""
    size: Count
    """Bytes of the file."""
    etag: str
    """The entity tag as the `ETag` header has it, quotes included."""

    @classmethod
    def from_link(cls, link: PresignedLink, file: File) -> DownloadLink:
        return cls(link.url, Timestamp(link.expires_at), file.size, file.etag)
