"""The body of an error response: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferry.http.json_values import OMIT_NONE, Timestamp
from ferry.http.responses.files import FileBody
from ferry.http.responses.members import Count, Ranges, Time, Url
from ferry.model.uploads import UploadRecord


@dataclass(frozen=True, slots=True)
class FieldError:
    """A member of the request that is not valid."""

    loc: Sequence[str | int]
    """The path of the member: names, and positions in arrays from 0."""
    msg: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """One of several uploads in progress of a name."""

    upload_id: str
    """The upload."""
    created_at: Time
    """When it began."""
    size: Count | None
    """Bytes of its file; `null` while they are not known."""

    @classmethod
    def from_record(cls, record: UploadRecord) -> OpenUpload:
        knows_size = record.sequential is None or record.sequential.length is not None
        return cls(record.upload_id, Timestamp(record.created_at), record.layout.size if knows_size else None)


@dataclass(frozen=True, slots=True)
class LinkLeft:
    """What an upload link still takes."""

    files: Count
    """Files."""
    bytes: Count
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Problem details (RFC 9457). Members that only some errors have say so."""

    type: Url
    """A URI that identifies the error: `urn:ferry:problem:` and the code."""
    title: str
    """The error in general."""
    status: int
    """The HTTP status code."""
    detail: str
    """What is wrong with this request, and what to send instead."""
    code: str
    """The error, for programs; codes do not change."""
    request_id: str
    """The id of this request; quote it when reporting an error."""
    errors: Sequence[FieldError] | None = field(default=None, metadata=OMIT_NONE)
    """With status 422: the members that are not valid."""
    upload_id: str | None = field(default=None, metadata=OMIT_NONE)
    """With `upload_in_progress`: the open upload."""
    size: Count | None = field(default=None, metadata=OMIT_NONE)
    """With `upload_in_progress` and `range_not_satisfiable`: bytes of the whole file."""
    expires_at: Time | None = field(default=None, metadata=OMIT_NONE)
    """With `upload_in_progress`: when the open upload expires."""
    missing: Ranges | None = field(default=None, metadata=OMIT_NONE)
    """With `upload_incomplete`: inclusive ranges of missing chunks, at most 1,000."""
    quota: Literal["bytes", "uploads", "file"] | None = field(default=None, metadata=OMIT_NONE)
    """With `quota_exceeded`: the limit that the request would exceed. It is of the bytes of the namespace, of the
    uploads in progress, or of the bytes of one file."""
    limit: Count | None = field(default=None, metadata=OMIT_NONE)
    """With `quota_exceeded`: what the namespace may have."""
    used: Count | None = field(default=None, metadata=OMIT_NONE)
    """With `quota_exceeded`: what the namespace has in files and open uploads."""
    requested: Count | None = field(default=None, metadata=OMIT_NONE)
    """With `quota_exceeded`: what the request asks for in addition."""
    current_file: FileBody | None = field(default=None, metadata=OMIT_NONE)
    """With `precondition_failed` of a request that would change a file: the file that the name has. With
    `upload_superseded` to the completion of a complete upload: its file."""
    uploads: Sequence[OpenUpload] | None = field(default=None, metadata=OMIT_NONE)
    """With `upload_id_required`, if several uploads of the name are in progress: these."""
    expected_offset: Count | None = field(default=None, metadata={**OMIT_NONE, "json_name": "expected-offset"})
    """With `upload_offset_mismatch`: where the upload continues."""
    provided_offset: Count | None = field(default=None, metadata={**OMIT_NONE, "json_name": "provided-offset"})
    """With `upload_offset_mismatch`: where the bytes of the request begin."""
    left: LinkLeft | None = field(default=None, metadata=OMIT_NONE)
    """With `link_limit`: what is left of the limits of the link."""
    scope: str | None = field(default=None, metadata=OMIT_NONE)
    """With `insufficient_scope`: the scope that the route requires."""
