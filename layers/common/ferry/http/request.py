"""Requests, read from events of an API Gateway HTTP API (payload format 2.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from ferry.errors import InvalidField, InvalidFilename
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.rules.filenames import normalize_filename

_INTEGER_PATTERN = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client."""

    route: str
    """The key of the matched route, such as `GET /download/{filename+}`."""
    request_id: str
    """The gateway's id of the request; empty if the event has none."""
    path_parameters: Mapping[str, str]
    """Parameters of the path, decoded by the gateway."""
    query: Mapping[str, str]
    """Parameters of the query; of a repeated one, the values joined by commas."""
    headers: Mapping[str, str]
    """Header fields; names are in lower case."""
    body: str
    """The body as the gateway passes it on; `ferry.http.bodies` decodes it."""
    body_is_base64: bool
    """Whether `body` is base64; otherwise it is text."""
    raw_query: str = ""
    """The query as the client sent it; empty if the event has none."""
    domain_name: str = ""
    """The domain name of the gateway that received the request; empty if the event has none."""
    source_ip: str = ""
    """The address that connected to the gateway; empty if the event has none."""
    received_at: int | None = None
    """When the gateway received the request, in epoch milliseconds; None if the event does not say so."""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Request:
        """Return the request of an event. Raises `KeyError` when the event has another payload format than 2.0."""
        context = event["requestContext"]
        method = context["http"]["method"]
        key = event["routeKey"]
        return cls(
            # The route keys `$default` and `ANY /path` have no method.
            route=key if key.startswith(f"{method} ") else f"{method} {event['rawPath']}",
            request_id=context.get("requestId") or "",
            path_parameters=event.get("pathParameters") or {},
            query=event.get("queryStringParameters") or {},
            # AWS sends lower case, `sam local` does not.
            headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
            body=event.get("body") or "",
            body_is_base64=bool(event.get("isBase64Encoded")),
            raw_query=event.get("rawQueryString") or "",
            domain_name=context.get("domainName") or "",
            source_ip=context["http"].get("sourceIp") or "",
            received_at=context.get("timeEpoch"),
        )

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path of the route: a template, not the path that the client sent."""
        return self.route.partition(" ")[2]

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty when the request has none, or no body.

        API Gateway adds a type to requests without a body.
        """
        if not self.body:
            return ""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def optional_filename(self) -> str | None:
        """Return the normalized name from the path or `?filename=`; None without either.

        Raises `InvalidField` for both, and `InvalidFilename`.
        """
        if "filename" in self.path_parameters and "filename" in self.query:
            raise InvalidField.for_member("filename", "is in the path and in the query; send one of them")
        name = self.path_parameters.get("filename", self.query.get("filename"))
        return None if name is None else normalize_filename(name)

    def filename(self) -> str:
        """Return the normalized name from the path or `?filename=`. Raises `InvalidField`, `InvalidFilename`."""
        name = self.optional_filename()
        if name is None:
            raise InvalidField.for_member("filename", "is required; send ?filename=<name>")
        return name

    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """Return a query parameter as an integer; None without it. Raises `InvalidField` for anything else."""
        value = self.query.get(name)
        if value is None:
            return None
        if not _INTEGER_PATTERN.fullmatch(value):
            raise InvalidField.for_member(name, "must be an integer, in decimal digits")
        number = int(value)
        if minimum is not None and number < minimum:
            raise InvalidField.for_member(name, f"must be at least {minimum}")
        if maximum is not None and number > maximum:
            raise InvalidField.for_member(name, f"must be at most {maximum}")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a query parameter that is `true` or `false`. Raises `InvalidField` for other text."""
        value = self.query.get(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise InvalidField.for_member(name, "must be true or false")
        return value == "true"

    def reject_unknown_parameters(self, known: Set[str]) -> None:
        """Raise `InvalidField` for a query parameter that is not in `known`."""
        for name in sorted(self.query.keys() - known):
            advice = f"the parameters are {', '.join(sorted(known))}" if known else "omit it"
            raise InvalidField.for_member(name, f"is not a parameter of this route; {advice}")

    def check_query(self, known: Set[str]) -> None:
        """Raise `InvalidField` for repeated parameters and text that is not UTF-8.

        Where the method changes something, unknown parameters are rejected too. Where the path has the name,
        `?filename=` is unknown.
        """
        self.reject_ambiguous_parameters()
        if self.method not in ("GET", "HEAD"):
            self.reject_unknown_parameters(known - self.path_parameters.keys())

    def reject_ambiguous_parameters(self) -> None:
        """Raise `InvalidField` for a query parameter that is not UTF-8 or is repeated, `InvalidFilename` for the name.

        A gateway that decodes bytes which are not UTF-8 leaves U+FFFD; no parameter has it for another reason. Of a
        repeated parameter it joins the values by commas, which would be another name.
        """
        for name, value in self.query.items():
            if not is_decodable(name):
                raise InvalidField.for_member("query", "must have names in percent-encoded UTF-8")
            if not is_decodable(value):
                if name == "filename":
                    raise InvalidFilename("The name must be percent-encoded UTF-8, without U+FFFD.")
                raise InvalidField.for_member(name, "must be percent-encoded UTF-8, without U+FFFD")
        for name in self._repeated_parameters():
            raise InvalidField.for_member(name, "is in the query more than once; send it once")

    def _repeated_parameters(self) -> list[str]:
        """Return the names of query parameters that the client sent more than once."""
        if "&" not in self.raw_query:
            return []
        names = [unquote_plus(pair.partition("=")[0]) for pair in self.raw_query.split("&") if pair]
        return sorted({name for name in names if names.count(name) > 1})

    def text(self, name: str, max_bytes: int) -> str | None:
        """Return a query parameter as text of at most `max_bytes` bytes; None without it. Raises `InvalidField`."""
        value = self.query.get(name)
        if value is None:
            return None
        if not is_decodable(value):
            raise InvalidField.for_member(name, "must be percent-encoded UTF-8")
        if len(value.encode()) > max_bytes:
            raise InvalidField.for_member(name, f"must have at most {max_bytes} bytes of UTF-8")
        return value

    def optional_upload_id(self) -> str | None:
        """Return `?upload_id=`; None without it. Raises `InvalidField` when it is empty, or longer than any id."""
        return self._non_empty("upload_id", self.text("upload_id", MAX_UPLOAD_ID_BYTES))

    def optional_cursor(self) -> str | None:
        """Return `?cursor=`; None without it. Raises `InvalidField` when it is empty."""
        return self._non_empty("cursor", self.query.get("cursor"))

    def _non_empty(self, name: str, value: str | None) -> str | None:
        if value == "":
            raise InvalidField.for_member(name, "is empty; send a value, or omit it")
        return value


def is_decodable(text: str) -> bool:
    """Return whether the text has neither U+FFFD nor a lone surrogate, which lossy decoders leave of other bytes."""
    if "\ufffd" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
