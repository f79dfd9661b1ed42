"""Bodies into models. What pydantic finds wrong is told in Ferry's own words, which do not change with its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ferry.errors import InvalidField
from ferry.http import bodies
from ferry.http.request import Request

M = TypeVar("M", bound=BaseModel)

MAX_ERRORS = 20
_MAX_NAME_LENGTH = 64

_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a member of this request",
    "string_type": "must be a string",
    "string_too_long": "has at most {max_length} characters",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "too_short": "has at least {min_length} members",
    "too_long": "has at most {max_length} members",
    "greater_than_equal": "must be at least {ge}",
    "literal_error": "must be {expected}",
}


def parse_body(request: Request, model: type[M], max_bytes: int = bodies.MAX_JSON_BYTES) -> M:
    """The request's JSON body as `model`.

    Raises:
        InvalidField: members are missing, unknown or wrong, all of them told (up to `MAX_ERRORS`).
        UnsupportedMediaType, BodyTooLarge, MalformedBody: as `bodies.json_value`.
    """
    value = bodies.read_json(request, max_bytes)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # The cause quotes the body; it must not reach a log.
        raise InvalidField([_to_error(entry) for entry in found[:MAX_ERRORS]]) from None


def _to_error(error: ErrorDetails) -> dict[str, Any]:
    if error["type"] == "ferry":
        message = error["msg"]
    else:
        message = _MESSAGES.get(error["type"], "is not valid").format_map(error.get("ctx", {}))
    return {
        "loc": [part if isinstance(part, int) else part[:_MAX_NAME_LENGTH] for part in error["loc"]],
        "msg": message,
    }
