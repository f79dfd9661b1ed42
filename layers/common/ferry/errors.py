"""Everything Ferry refuses or cannot do, as one tree.

    FerryError
    ├── InvalidRequest              the request makes no sense, whatever is stored
    │   ├── MalformedBody, InvalidFilename, InvalidField, LimitExceeded
    │   ├── ChecksumUnsupported, ChecksumMismatch
    │   └── ChunkTooLarge, ChunkSizeMismatch, ChunkIndexOutOfRange, PartNumberOutOfRange, ChunksUnavailable
    ├── Unauthorized                no token, a bad one, too little scope
    │   ├── MissingToken, InvalidToken
    │   └── InsufficientScope
    ├── NotFound                    FileNotFound, UploadNotFound
    ├── Conflict                    the request is fine, the state is another
    │   ├── UploadInProgress, UploadSuperseded, UploadIncomplete
    │   ├── UploadCompleting, UploadComplete
    │   └── FileExists, ChunkConflict
    ├── QuotaExceeded               the namespace has no room for it
    ├── PreconditionFailed, RangeNotSatisfiable
    ├── Gone                        UploadExpired, UploadCancelled
    └── BackendUnavailable          a service behind Ferry failed; nothing was acknowledged
        └── Throttled               it has too much to do

A class carries its stable `code` and, in `extra`, the members its answer adds. HTTP statuses are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class FerryError(Exception):
    """Base of all of Ferry's errors.

    Args:
        detail: what went wrong and what to do next, for people; holds no secret and no backend's name.
        extra: further members of the answer, for machines.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra: Mapping[str, Any] = extra


class InvalidRequest(FerryError):
    code = "invalid_request"
    title = "The request is not valid"


class MalformedBody(InvalidRequest):
    code = "malformed_body"
    title = "The body could not be read"


class InvalidField(InvalidRequest):
    """One or more members are wrong. `errors` is a sequence of `{"loc": [...], "msg": str}`."""

    code = "validation_failed"
    title = "Some members of the request are not valid"

    def __init__(self, errors: Sequence[Mapping[str, Any]], detail: str = "") -> None:
        super().__init__(detail or self.title, errors=list(errors))

    @classmethod
    def for_member(cls, loc: str, msg: str) -> InvalidField:
        """The common case: one member, one sentence."""
        return cls([{"loc": [loc], "msg": msg}], detail=f"{loc}: {msg}")


class InvalidFilename(InvalidField):
    code = "invalid_filename"
    title = "The filename is not valid"

    def __init__(self, msg: str) -> None:
        super().__init__([{"loc": ["filename"], "msg": msg}], detail=msg)


class LimitExceeded(InvalidField):
    code = "limit_exceeded"
    title = "The request is beyond a limit"


class ChecksumUnsupported(InvalidField):
    code = "checksum_unsupported"
    title = "The checksum algorithm is not supported here"

    def __init__(self, msg: str) -> None:
        super().__init__([{"loc": ["checksum", "algorithm"], "msg": msg}], detail=msg)


class ChunkSizeMismatch(InvalidField):
    code = "chunk_size_mismatch"
    title = "The chunk does not have the length that the plan gives it"


class ChunkIndexOutOfRange(InvalidField):
    code = "chunk_index_out_of_range"
    title = "The plan has no chunk of that index"


class PartNumberOutOfRange(InvalidField):
    code = "part_number_out_of_range"
    title = "The plan has no part of that number"


class ChunksUnavailable(InvalidField):
    code = "chunks_unavailable"
    title = "The parts of this upload are too large to be built from chunks; send them straight to S3"


class ChecksumMismatch(InvalidRequest):
    code = "checksum_mismatch"
    title = "The checksum does not match the bytes"


class ChunkTooLarge(InvalidRequest):
    code = "chunk_too_large"
    title = "A chunk has at most 4,194,304 bytes"


class AuthError(FerryError):
    code = "unauthorized"
    title = "Not allowed"


class MissingToken(AuthError):
    code = "missing_token"
    title = "Send an access token: Authorization: Bearer <token>"


class InvalidToken(AuthError):
    code = "invalid_token"
    title = "The access token is not valid; ask for a new one"


class InsufficientScope(AuthError):
    """`extra["scope"]` is the scope that would have been enough."""

    code = "insufficient_scope"
    title = "The access token does not have the scope for this"


class NotFound(FerryError):
    code = "not_found"
    title = "There is nothing of that name"


class FileNotFound(NotFound):
    title = "There is no file of that name"


class UploadNotFound(NotFound):
    code = "upload_not_found"
    title = "There is no upload of that name"


class Conflict(FerryError):
    code = "conflict"
    title = "The state does not allow this"


class UploadInProgress(Conflict):
    """`extra` has the open upload's `upload_id`, `size` and `expires_at`."""

    code = "upload_in_progress"
    title = "Another upload of that name is in progress; send restart: true to cancel it"


class UploadSuperseded(Conflict):
    code = "upload_superseded"
    title = "That upload is no longer the current one of its name"


class UploadIncomplete(Conflict):
    """`extra["missing"]` has at most 1,000 inclusive chunk ranges."""

    code = "upload_incomplete"
    title = "Bytes are missing"


class CompletionInProgress(Conflict):
    code = "upload_completing"
    title = "The upload is being completed"


class UploadAlreadyComplete(Conflict):
    code = "upload_complete"
    title = "The upload is complete"


class FileExists(Conflict):
    code = "file_exists"
    title = "A file of that name exists; send if_exists: replace to replace it"


class ChunkConflict(Conflict):
    code = "chunk_conflict"
    title = "Other bytes were accepted for this before; the first stay"


class QuotaExceeded(FerryError):
    """`extra["quota"]` says which limit, how much it is, how much is used, and what was asked for."""

    code = "quota_exceeded"
    title = "The namespace has no room for this"


class PreconditionFailed(FerryError):
    code = "precondition_failed"
    title = "The file is not the one that the condition names"


class RangeNotSatisfiable(FerryError):
    """`extra["size"]` is the file's size, in bytes."""

    code = "range_not_satisfiable"
    title = "The file has no byte in that range"


class Gone(FerryError):
    code = "gone"
    title = "It is no longer there"


class UploadExpired(Gone):
    code = "upload_expired"
    title = "The upload has expired; start it again"


class UploadCancelled(Gone):
    code = "upload_cancelled"
    title = "The upload was cancelled; start it again"


class BackendUnavailable(FerryError):
    """A service behind Ferry failed or throttled, beyond what retries could mend. Nothing was acknowledged."""

    code = "backend_unavailable"
    title = "A service behind Ferry is not available; try again"


class Throttled(BackendUnavailable):
    """It has too much to do, and still had after the adapter's own tries: come back later than after a failure."""

    title = "A service behind Ferry has too much to do; try again a little later"
