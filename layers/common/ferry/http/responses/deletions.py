"""The response body of a request that deletes several files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferry.files.delete_many import DeleteResults


@dataclass(frozen=True, slots=True)
class DeleteError:
    """A file that was not deleted."""

    filename: str
    """The name, as the request has it if it is not valid."""
    code: str
    """The code of the error: `invalid_filename`, `precondition_failed`, or `backend_unavailable`."""


@dataclass(frozen=True, slots=True)
class DeleteResultsBody:
    """What became of each name; one that was sent twice is there once."""

    deleted: Sequence[str]
    """Names whose file was deleted."""
    missing: Sequence[str]
    """Names without a file."""
    errors: Sequence[DeleteError]
    """Names whose file was not deleted."""

    @classmethod
    def from_results(cls, results: DeleteResults) -> DeleteResultsBody:
        errors = [DeleteError(filename, code) for filename, code in results.errors]
        return cls(results.deleted, results.missing, errors)
