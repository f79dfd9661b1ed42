"""The conditional headers of a request (RFC 9110 section 13)."""

from __future__ import annotations

from ferry.errors import InvalidField
from ferry.http.request import Request
from ferry.rules.conditions import Conditions

CONDITION_HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
"""The conditional headers, in lower case."""


def request_conditions(request: Request) -> Conditions:
    """Return the conditions of a request. Raises `InvalidField` for an empty one, which is not the same as none."""
    return Conditions(
        if_match=_condition(request, "if-match"),
        if_none_match=_condition(request, "if-none-match"),
        if_modified_since=_condition(request, "if-modified-since"),
        if_unmodified_since=_condition(request, "if-unmodified-since"),
        if_range=_condition(request, "if-range"),
    )


def _condition(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    if value is not None and not value.strip():
        raise InvalidField.for_member(name, "is empty; send a value, or omit the header")
    return value
