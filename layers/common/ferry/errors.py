"""Every error that a use case raises for a client, as one tree.

    FerryError
    ├── InvalidRequest                  the request is wrong, whatever is stored
    │   ├── MalformedBody
    │   ├── ChecksumMismatch
    │   ├── ChunkTooLarge
    │   ├── InconsistentLength, LengthExceeded, LengthTooLarge, InvalidPartial
    │   └── InvalidField                with `errors`: which members are wrong
    │       ├── InvalidFilename
    │       ├── ChecksumUnsupported, ChecksumRequired, ChunksUnavailable
    │       └── ChunkSizeMismatch, ChunkIndexOutOfRange, PartNumberOutOfRange
    ├── AuthError                       the token is missing, invalid or insufficient
    │   └── MissingToken, InvalidToken, InsufficientScope
    ├── NotFound
    │   └── FileNotFound, UploadNotFound
    ├── Conflict                        the request is valid, but not in the present state
    │   ├── FileExists
    │   ├── ChunkConflict
    │   ├── UploadInProgress, UploadSuperseded, UploadIdRequired, UploadIncomplete
    │   ├── OffsetMismatch
    │   └── CompletionInProgress, CompletionFailed, UploadAlreadyComplete
    ├── Gone                            the upload has ended without a file
    │   └── UploadExpired, UploadCancelled
    ├── QuotaExceeded                   a limit of the namespace
    ├── Forbidden, TooLarge, TooManyAttempts    of links (`ferry.link_errors`)
    ├── FinalUploadFixed                an append to a final upload
    ├── PreconditionFailed              a conditional header
    ├── RangeNotSatisfiable             a Range header
    └── BackendUnavailable              AWS failed; nothing was acknowledged
        └── Throttled                   AWS rejected the call because of its rate

Each class has a stable `code`. `ferry.http.problems` maps classes to HTTP statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class FerryError(Exception):
    """Base class of all errors in this module.

    Args:
        detail: what is wrong and what to do, for people. Contains no secret and no name of a backend. Default: `title`
            and `advice`.
        extra: further members of the response, for programs.
    """

    code: ClassVar[str] = "internal"
    """Identifies the error in responses and metrics; never changes."""

    title: ClassVar[str] = "Internal error"
    """What is wrong, for every error of the class (`title` of RFC 9457)."""

    advice: ClassVar[str] = "Quote request_id when reporting it."
    """What the client can do, as a sentence; empty if `title` says all."""

    def __init__(self, detail: str = "", **extra: Any) -> None:
        detail = detail or self.default_detail()
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, Any] = extra
        self.headers: Mapping[str, str] = {}
        """Further header fields of the response. A caller that has read the resource adds them."""

    @classmethod
    def default_detail(cls) -> str:
        return f"{cls.title}. {cls.advice}".rstrip()


class InvalidRequest(FerryError):
    code = "invalid_request"
    title = "The request is not valid"
    advice = ""


class MalformedBody(InvalidRequest):
    code = "malformed_body"
    title = "The body cannot be read"
    advice = "Send the body that the API document describes for this route."


class InvalidField(InvalidRequest):
    """Members of the request are invalid. `extra["errors"]` lists them as `{"loc": [...], "msg": str}`."""

    code = "validation_failed"
    title = "Members of the request are not valid"
    advice = "Correct the members listed in errors."

    def __init__(self, errors: Sequence[Mapping[str, Any]], detail: str = "") -> None:
        super().__init__(detail, errors=list(errors))

    @classmethod
    def for_member(cls, loc: str, msg: str) -> InvalidField:
        """Return an error about one member."""
        return cls([{"loc": [loc], "msg": msg}], detail=f"{loc}: {msg}")


class InvalidFilename(InvalidField):
    code = "invalid_filename"
    title = "The filename is not valid"

    def __init__(self, msg: str) -> None:
        super().__init__([{"loc": ["filename"], "msg": msg}], detail=msg)


class ChecksumUnsupported(InvalidField):
    code = "checksum_unsupported"
    title = "The checksum algorithm is not supported here"

    def __init__(self, msg: str) -> None:
        super().__init__([{"loc": ["checksum", "algorithm"], "msg": msg}], detail=msg)


class ChecksumRequired(InvalidField):
    code = "checksum_required"
    title = "The checksum of the whole file is required"

    def __init__(self) -> None:
        super().__init__(
            [{"loc": ["checksum"], "msg": "is required, because two starts share this upload"}],
            detail=(
                "Two starts share this upload, and neither sent a checksum or a fingerprint: their bytes may be those "
                "of two files. Complete with the checksum of the whole file (crc32c), or send the start again with "
                "resume: true, which says that all bytes are of one file."
            ),
        )


class ChunkSizeMismatch(InvalidField):
    code = "chunk_size_mismatch"
    title = "The chunk does not have the length that the plan gives it"


class ChunkIndexOutOfRange(InvalidField):
    code = "chunk_index_out_of_range"
    title = "The plan has no chunk with this index"


class PartNumberOutOfRange(InvalidField):
    code = "part_number_out_of_range"
    title = "The plan has no part with this number"


class ChunksUnavailable(InvalidField):
    code = "chunks_unavailable"
    title = (
        "This upload takes no chunks, because its parts are too large; send the parts to URLs from POST /upload/parts"
    )
    advice = ""


class ChecksumMismatch(InvalidRequest):
    code = "checksum_mismatch"
    title = "The checksum does not match the bytes"
    advice = "Nothing was stored. Send the bytes again."


class ChunkTooLarge(InvalidRequest):
    code = "chunk_too_large"
    title = "A chunk has at most 4,194,304 bytes"
    advice = "Send chunks of the plan's chunk_size."


class InconsistentLength(InvalidRequest):
    code = "inconsistent_upload_length"
    title = "The length of the upload does not fit"
    advice = "Send the length that the upload was created with, and no byte beyond it."


class LengthExceeded(InconsistentLength):
    title = "The bytes go beyond the length of the upload"


class LengthTooLarge(InvalidRequest):
    code = "upload_too_large"
    title = "The upload is longer than this protocol can take"
    advice = "Send it with POST /upload/start, in parts that go straight to S3."


class InvalidPartial(InvalidRequest):
    code = "invalid_partial_upload"
    title = "The final upload names an upload that is not a complete partial upload"
    advice = "Send the URLs of partial uploads that have all their bytes."


class AuthError(FerryError):
    code = "unauthorized"
    title = "Not authorized"
    advice = ""


class MissingToken(AuthError):
    code = "missing_token"
    title = "The request has no access token"
    advice = "Send the header Authorization: Bearer <token>, with a token from POST /auth/token."


class InvalidToken(AuthError):
    code = "invalid_token"
    title = "The access token is not valid or has expired"
    advice = "Request a new one."


class InsufficientScope(AuthError):
    """The token lacks a scope. `extra["scope"]` is the required one."""

    code = "insufficient_scope"
    title = "The access token does not have the required scope"
    advice = "Request a token with it; if the client lacks it, ask the operator."


class NotFound(FerryError):
    code = "not_found"
    title = "There is no file and no upload with this name"
    advice = ""


class FileNotFound(NotFound):
    title = "There is no file with this name"


class UploadNotFound(NotFound):
    code = "upload_not_found"
    title = "There is no upload with this name"
    advice = "Start one with POST /upload/start."

    @classmethod
    def for_id(cls) -> UploadNotFound:
        """Return an error about the `upload_id` of a request. Its name may have another upload."""
        return cls("This name has no upload with this upload_id. Send the upload_id of the plan, or omit it.")


class Conflict(FerryError):
    code = "conflict"
    title = "The present state does not allow this"
    advice = ""


class FileExists(Conflict):
    code = "file_exists"
    title = "A file with this name exists"
    advice = "Send if_exists: replace to replace it."


class ChunkConflict(Conflict):
    code = "chunk_conflict"
    title = "This chunk was already uploaded with different content"
    advice = "To send different content, start the upload again with restart: true."


class UploadInProgress(Conflict):
    """Another upload of the name is open. `extra` has its `upload_id`, `size` and `expires_at`."""

    code = "upload_in_progress"
    title = "Another upload with this name is in progress"
    advice = (
        "To continue it, send the fingerprint and the checksum that it was started with, or resume: true if it has "
        "neither. To cancel it and start again, send restart: true."
    )


class UploadSuperseded(Conflict):
    code = "upload_superseded"
    title = "Another upload of this name is in progress, and upload_id is not its id"
    advice = "Start the upload again with POST /upload/start."


class UploadIdRequired(Conflict):
    """A restart started this upload, and the device whose upload it cancelled may still send requests by name."""

    code = "upload_id_required"
    title = "This upload takes requests only with its upload_id"
    advice = (
        "Send the upload_id of your plan. If your upload was another one, a start with restart: true has cancelled it: "
        "start it again."
    )


class UploadIncomplete(Conflict):
    """Chunks are missing. `extra["missing"]` has at most 1,000 inclusive ranges of chunk indexes."""

    code = "upload_incomplete"
    title = "Chunks or parts are missing"
    advice = "Send those listed in missing, then complete again."


class OffsetMismatch(Conflict):
    """The bytes begin elsewhere than the upload continues. `extra` has `expected_offset` and `provided_offset`."""

    code = "upload_offset_mismatch"
    title = "The upload continues at another offset"
    advice = "Send the bytes from Upload-Offset on."


class CompletionInProgress(Conflict):
    code = "upload_completing"
    title = "The upload is being completed"
    advice = "Repeat POST /upload/complete for its result."


class CompletionFailed(CompletionInProgress):
    """The object is built, but the file was not committed: another file has the name, or the checksum differs."""

    title = "All bytes are in place, but completing failed"
    advice = "Complete again with the right checksum or with if_exists: replace, or cancel the upload."


class UploadAlreadyComplete(Conflict):
    code = "upload_complete"
    title = "The upload is complete"
    advice = "Start a new upload to send another file."


class Gone(FerryError):
    code = "gone"
    title = "The upload has ended"
    advice = "Start it again."


class UploadExpired(Gone):
    code = "upload_expired"
    title = "The upload has expired"


class UploadCancelled(Gone):
    code = "upload_cancelled"
    title = "The upload was cancelled"


class QuotaExceeded(FerryError):
    """A limit of the namespace is reached. `extra` names it (`quota`), with its value, the usage and the request."""

    code = "quota_exceeded"
    title = "The request exceeds the quota of the namespace"
    advice = "Delete files or cancel uploads, or ask the operator for a larger quota."


class Forbidden(FerryError):
    code = "forbidden"
    title = "This is not allowed"
    advice = ""


class TooLarge(FerryError):
    code = "too_large"
    title = "This does not fit into a limit"
    advice = ""


class TooManyAttempts(FerryError):
    code = "too_many_attempts"
    title = "There were too many attempts"
    advice = "Try again after Retry-After seconds."

    retry_after_seconds: int = 1
    """`Retry-After` of the response."""


class FinalUploadFixed(FerryError):
    code = "final_upload_fixed"
    title = "No bytes can be appended to a final upload"
    advice = "Send the bytes to a partial upload, and create a final upload of it."


class PreconditionFailed(FerryError):
    """A condition does not hold. If the request would change a file, `extra["current_file"]` is the present file."""

    code = "precondition_failed"
    title = "The file does not match the request's condition"
    advice = "Read the file's present ETag, then repeat the request with it."


class RangeNotSatisfiable(FerryError):
    """The file has no byte in the range. `extra["size"]` is the file's size in bytes."""

    code = "range_not_satisfiable"
    title = "The file has no byte in the requested range"
    advice = "Request a range within its size."


class BackendUnavailable(FerryError):
    """A call to AWS failed after all retries. Nothing was acknowledged; the call may have taken effect."""

    code = "backend_unavailable"
    title = "A service that Ferry depends on is not available"
    advice = "Repeat the request after Retry-After seconds."


class Throttled(BackendUnavailable):
    """AWS still rejected the call for its rate after all retries. `Retry-After` is longer than for a failure."""

    title = "A service that Ferry depends on is overloaded"
