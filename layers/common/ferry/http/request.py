"""A request as the routes see it, read from an HTTP API event (payload format 2.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from ferry.errors import InvalidField
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.rules.filenames import normalise_filename

_INTEGER_PATTERN = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Request:
    """`route` is the route's key (`GET /download/{filename}`); names of headers are in lower case.

    `body` is as the gateway hands it on, base64 if `body_is_base64`; read it with `ferry.http.bodies`.
    """

    route: str
    request_id: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str
    body_is_base64: bool

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """Raises `KeyError` when the event is not of an HTTP API, payload format 2.0."""
        context = event["requestContext"]
        method = context["http"]["method"]
        key = event["routeKey"]
        return cls(
            # `$default` and `ANY /path` do not tell the method.
            route=key if key.startswith(f"{method} ") else f"{method} {event['rawPath']}",
            request_id=context.get("requestId") or "",
            path_parameters=event.get("pathParameters") or {},
            query=event.get("queryStringParameters") or {},
            # AWS sends lower case, `sam local` does not.
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            body=event.get("body") or "",
            body_is_base64=bool(event.get("isBase64Encoded")),
        )

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """The route's path: a template, not what the client sent."""
        return self.route.partition(" ")[2]

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case; empty when none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def optional_filename(self) -> str | None:
        """The name, normalised, from the path or `?filename=`; None without either. Raises `InvalidFilename`."""
        name = self.path_parameters.get("filename", self.query.get("filename"))
        return None if name is None else normalise_filename(name)

    def filename(self) -> str:
        """The name, which must be there. Raises `InvalidField`, `InvalidFilename`."""
        name = self.optional_filename()
        if name is None:
            raise InvalidField.for_member("filename", "is required")
        return name

    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """A query parameter as an integer, None when it was not sent. Raises `InvalidField`: none, or out of bounds."""
        value = self.query.get(name)
        if value is None:
            return None
        if not _INTEGER_PATTERN.fullmatch(value):
            raise InvalidField.for_member(name, "must be an integer")
        number = int(value)
        if minimum is not None and number < minimum:
            raise InvalidField.for_member(name, f"must be at least {minimum}")
        if maximum is not None and number > maximum:
            raise InvalidField.for_member(name, f"must be at most {maximum}")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        """A query parameter that is `true` or `false`. Raises `InvalidField`."""
        value = self.query.get(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise InvalidField.for_member(name, "must be true or false")
        return value == "true"

    def reject_unknown_parameters(self, known: Set[str]) -> None:
        """Where a slip of the pen (`dryrun=true`) would do harm. Raises `InvalidField`."""
        for name in sorted(self.query.keys() - known):
            raise InvalidField.for_member(name, "is no parameter of this route")

    def text(self, name: str, max_bytes: int) -> str | None:
        """A query parameter as text of at most `most` bytes, None when it was not sent. Raises `InvalidField`."""
        value = self.query.get(name)
        if value is None:
            return None
        try:
            length = len(value.encode())
        except UnicodeEncodeError as error:
            raise InvalidField.for_member(name, "must be valid Unicode") from error
        if length > max_bytes:
            raise InvalidField.for_member(name, f"has at most {max_bytes} bytes")
        return value

    def optional_upload_id(self) -> str | None:
        """`?upload_id=`. Raises `InvalidField`."""
        return self.text("upload_id", MAX_UPLOAD_ID_BYTES)
