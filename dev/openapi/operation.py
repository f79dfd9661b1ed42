"""The description of an operation and of its responses, from which the document is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dev.openapi.parameters import FILENAME_PATH, FILENAME_QUERY, OPTIONAL_FILENAME_QUERY, Parameter
from dev.openapi.schemas import Schema
from ferry import errors, link_errors
from ferry.http import request_errors
from ferry.http.models.body import Body

ErrorType = type[errors.FerryError]
OCTET_STREAM = "application/octet-stream"
ANY_TYPE = "*/*"
"""The range of all media types, which describes the bytes of a file of any type."""

BODY_ERRORS: tuple[ErrorType, ...] = (
    errors.MalformedBody,
    errors.InvalidField,
    errors.InvalidFilename,
    request_errors.BodyTooLarge,
    request_errors.UnsupportedMediaType,
)
"""Errors of a route with a JSON body."""

LINK_TOKEN_ERRORS: tuple[ErrorType, ...] = (link_errors.LinkExpired, link_errors.LinkRevoked)
"""Errors of a route that takes tokens of links."""

FILENAME_ERRORS: tuple[ErrorType, ...] = (errors.InvalidField, errors.InvalidFilename)
"""Errors of a route with a name in its path or query."""


@dataclass(frozen=True)
class ResponseDoc:
    """A response that is no error."""

    description: str
    """What the status means here, in a sentence."""
    body: Any = None
    """The type of the JSON body: a dataclass, a union of them, or a dict; None for no JSON."""
    example: object = None
    """A body, as an instance of its type."""
    binary: bool = False
    """Whether the response carries bytes of a file."""
    headers: tuple[str, ...] = ()
    """Names of its headers, beside `X-Request-Id`."""
    text_type: str = ""
    """The media type of a body that is text; empty for none."""


@dataclass(frozen=True)
class Operation:
    """What one route does."""

    operation_id: str
    """The name of the operation; generated clients call it so."""
    tag: str
    """The group of the operation."""
    summary: str
    """What it does, in a line."""
    responses: Mapping[int, ResponseDoc]
    """Its responses by status, without errors."""
    description: str = ""
    """Details that the summary leaves out."""
    parameters: tuple[Parameter, ...] = ()
    """Parameters in the path, the query and the headers."""
    body: type[Body] | None = None
    """The model of a JSON body."""
    body_example: Body | None = None
    """A JSON body that the operation accepts."""
    other_bodies: Mapping[str, Schema] = field(default_factory=dict)
    """Schemas of bodies without a model, by media type."""
    error_types: tuple[ErrorType, ...] = ()
    """Errors, beside those that every route has."""
    other_statuses: tuple[tuple[int, ErrorType], ...] = ()
    """Further statuses of errors, where they are not those of other routes."""
    error_page_statuses: tuple[int, ...] = ()
    """Statuses of errors that are a page where the request accepts `text/html`."""
    is_body_required: bool = True
    """Whether a request without a body is rejected, if the operation has one."""

    def by_query(self) -> Operation:
        """Return the same operation with the name in the query."""
        return replace(
            self,
            operation_id=f"{self.operation_id}ByQuery",
            parameters=(FILENAME_QUERY, *(known for known in self.parameters if known is not FILENAME_PATH)),
        )

    def head(self) -> Operation:
        """Return the HEAD twin of a GET operation: the same responses, without content."""
        return replace(
            self,
            operation_id=f"{self.operation_id}Headers",
            summary=f"{self.summary} (headers only)",
            description="",
            responses={
                status: replace(response, body=None, example=None, binary=False, text_type="")
                for status, response in self.responses.items()
            },
        )

    def by_optional_query(self) -> Operation:
        """Return the same operation for a path that is also that of a file with the name `partial`."""
        note = "Without `filename` the path is that of a file with the name `partial`."
        by_query = self.by_query()
        return replace(
            by_query,
            description=f"{self.description} {note}".strip(),
            parameters=(OPTIONAL_FILENAME_QUERY, *by_query.parameters[1:]),
        )
