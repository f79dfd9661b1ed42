"""Every exception of the client.

FerryError
├── UsageError                  wrong arguments or configuration
├── NetworkError                no complete response, although it was tried for `retry_for_seconds`
│   └── ResponseError           the response is not one of a Ferry service
├── ApiError                    the service rejected a request: `status`, `code`, `detail`, `request_id`
│   ├── NotFoundError           there is no such file or upload (404, 410)
│   ├── AccessError             the token or its scope does not suffice (401, 403)
│   ├── ConflictError           the name is taken, or a condition does not hold (409, 412)
│   └── QuotaError              the namespace's quota leaves no room (403 `quota_exceeded`)
├── IntegrityError              bytes differ from their checksum
│   └── SourceChangedError      the local file changed while it was sent
├── LocalFileError              a local file could not be read or written
│   └── NoSpaceError            no space left on the local disk
└── CancelledError              the caller cancelled the transfer, or closed the client

Methods raise nothing else, except what a caller's own callback, stream or transport raises: that passes unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping


class FerryError(Exception):
    """A transfer or request that failed."""


class UsageError(FerryError):
    """Wrong arguments or configuration."""


class NetworkError(FerryError):
    """No complete response, although the request was tried for `ClientOptions.retry_for_seconds`."""


class ResponseError(NetworkError):
    """A response that is not one of a Ferry service: a network's login page, another server's, or a damaged one."""


class ApiError(FerryError):
    """A request that the service rejected."""

    def __init__(
        self, status: int, code: str, detail: str, request_id: str = "", members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        """Status code of the response."""
        self.code = code
        """The service's error code, for example `file_exists`; `http_404` where the response had none."""
        self.detail = detail
        """What is wrong and what to do, for people."""
        self.request_id = request_id
        """Quote it when reporting the error; empty if the response had none."""
        self.members: Mapping[str, object] = members or {}
        """Further members of the problem document, for example `missing` or `current_file`."""


class NotFoundError(ApiError):
    """There is no such file or upload."""


class AccessError(ApiError):
    """The token or its scope does not suffice."""


class ConflictError(ApiError):
    """The name is taken, or a condition does not hold."""


class QuotaError(ApiError):
    """The quota of the namespace leaves no room."""


class IntegrityError(FerryError):
    """Bytes differ from their checksum."""


class SourceChangedError(IntegrityError):
    """The local file changed while it was sent. Nothing of the old and new content was mixed."""


class LocalFileError(FerryError):
    """A local file could not be read or written."""


class NoSpaceError(LocalFileError):
    """There is no space left on the local disk."""


class CancelledError(FerryError):
    """The caller cancelled the transfer, or closed the client."""


_ERROR_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
}


def api_error(
    status: int, code: str, detail: str, request_id: str = "", members: Mapping[str, object] | None = None
) -> ApiError:
    """Return the exception of a rejected request, by its code and status."""
    error = QuotaError if code == "quota_exceeded" else _ERROR_BY_STATUS.get(status, ApiError)
    return error(status, code, detail, request_id, members)


def unreadable_error(reason: str) -> ResponseError:
    """Return the error of a response that is not a Ferry service's; `reason` says in a few words what is wrong."""
    return ResponseError(
        f"The response is not one of a Ferry service: {reason}. It may be the login page of this network, or another "
        "server. Open a web page to log in to the network, and check the URL."
    )


def name_taken_error(
    name: str, error: ApiError, choice: str = "--if-exists replace, rename or skip (in Python: if_exists)"
) -> ConflictError:
    """Return the error of a change whose new name has a file: the same on every path, with the option to `choice`."""
    detail = f"{name} exists. Choose {choice}."
    return ConflictError(error.status, "file_exists", detail, error.request_id, error.members)
