"""Exit codes of the command. They are documented and do not change."""

from __future__ import annotations

from ferry_client.errors import (
    AccessError,
    ApiError,
    CancelledError,
    ConflictError,
    FerryError,
    IntegrityError,
    NetworkError,
    NoSpaceError,
    NotFoundError,
    QuotaError,
    UsageError,
)

DONE = 0
SOME_FAILED = 1
USAGE = 2
NOT_FOUND = 3
ACCESS = 4
CONFLICT = 5
NETWORK = 6
INTEGRITY = 7
NO_SPACE = 8
INTERRUPTED = 130

HELP = """\b
Exit codes:
  0  done
  1  some files failed, or an error without a code of its own
  2  wrong arguments or configuration
  3  no such file or upload
  4  not logged in, or the client's scope does not suffice
  5  the name is taken, or a condition does not hold
  6  the network did not come back within --retry-for
  7  bytes differ from their checksum, or the local file changed
  8  the quota or the disk is full
130  interrupted (Ctrl-C, SIGTERM)
"""
"""What the help of the command says about them."""

_CODES: tuple[tuple[type[FerryError], int], ...] = (
    (UsageError, USAGE),
    (NotFoundError, NOT_FOUND),
    (AccessError, ACCESS),
    (ConflictError, CONFLICT),
    (NetworkError, NETWORK),
    (IntegrityError, INTEGRITY),
    (QuotaError, NO_SPACE),
    (NoSpaceError, NO_SPACE),
    (CancelledError, INTERRUPTED),
)


def exit_code(error: FerryError) -> int:
    """Return the exit code of an error that ended the command."""
    if isinstance(error, ApiError) and error.status == 422:
        return USAGE
    return next((code for kind, code in _CODES if isinstance(error, kind)), SOME_FAILED)
