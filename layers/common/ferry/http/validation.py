"""Validation of JSON bodies. Errors have Ferry's own messages, which do not change with Pydantic's versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError

from ferry.errors import InvalidField

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails, SchemaValidator

MAX_ERRORS = 20
"""Errors of one response at most."""

_MAX_NAME_LENGTH = 64
"""Characters of a member's name that an error quotes."""

_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "null_condition": "must not be null; omit it to send no condition",
    "extra_forbidden": "is not a member of this request; omit it",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "greater_than_equal": "must be at least {ge}",
    "literal_error": "must be {expected}",
}


def validate(validator: SchemaValidator, value: object) -> object:
    """Return a JSON value as its validator builds it.

    Raises:
        InvalidField: members are missing, unknown or not valid; lists all of them, up to `MAX_ERRORS`.
    """
    try:
        return validator.validate_python(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        # Pydantic's error quotes the body, which must not reach a log.
        raise InvalidField([_to_error(entry) for entry in details[:MAX_ERRORS]]) from None


def _to_error(error: ErrorDetails) -> dict[str, Any]:
    if error["type"] == "ferry":
        message = error["msg"]
    else:
        message = _MESSAGES.get(error["type"], "is not valid").format_map(error.get("ctx", {}))
    return {
        "loc": [part if isinstance(part, int) else part[:_MAX_NAME_LENGTH] for part in error["loc"]],
        "msg": message,
    }
