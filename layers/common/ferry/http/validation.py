"""Validation of JSON bodies against the frozen dataclasses of `ferry.http.models`.

A model's annotations are both what is checked here and what the OpenAPI document describes. Values are not coerced:
`1.0` is no integer. A general library for this takes 70 ms of a cold start and 7 MB (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from ferry.errors import InvalidField
from ferry.http import bodies
from ferry.http.json_values import JsonSchema, json_name

if TYPE_CHECKING:
    from ferry.http.models.body import Body
    from ferry.http.request import Request

M = TypeVar("M", bound="Body")
Location = tuple[str | int, ...]
"""The path of a value in the body: names of members and indexes."""

MAX_ERRORS = 20
"""Errors of one response at most."""

_MAX_NAME_LENGTH = 64

_TYPE_MESSAGES: Mapping[type, str] = {
    str: "must be a string",
    int: "must be an integer",
    bool: "must be true or false",
    dict: "must be an object",
    list: "must be an array",
}


class Check:
    """An annotation with a check that JSON Schema has no keyword for: `Annotated[str, Check(find_problem)]`."""

    __slots__ = ("find_problem",)

    def __init__(self, find_problem: Callable[[Any], str | None]) -> None:
        self.find_problem = find_problem
        """Returns what is wrong with a value of the annotated type, or None."""


class NotNull:
    """An annotation of a member that may be left out but not be null: null is a mistake of a client whose variable is
    empty, where the absence of a condition would be the most dangerous reading.
    """

    __slots__ = ()


class _Member(NamedTuple):
    """A member of a model."""

    attribute: str
    hint: Any
    """The annotation."""
    required: bool


_INVALID: Any = object()
"""What stands for a value with errors."""


def parse_body(
    request: Request, model: type[M], max_bytes: int = bodies.MAX_JSON_BYTES, media_type: str = bodies.JSON
) -> M:
    """Return the request's JSON body as an instance of `model`.

    Raises:
        InvalidField: `validate` raises it.
        UnsupportedMediaType, BodyTooLarge, MalformedBody: `bodies.read_json` raises them.
    """
    return validate(model, bodies.read_json(request, max_bytes, media_type))


def validate(model: type[M], value: object) -> M:
    """Return a JSON value as an instance of `model`.

    Raises:
        InvalidField: members are missing, unknown or not valid; lists all of them, up to `MAX_ERRORS`.
    """
    reader = _Reader()
    body = reader.read_model(model, value, ())
    if reader.errors:
        raise InvalidField(reader.errors[:MAX_ERRORS])
    return body


class _Reader:
    """Reads one value. Each method returns what it has read, or `_INVALID` after it has noted the errors."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []

    def read_model(self, model: type[M], value: object, location: Location) -> M:
        if not isinstance(value, dict):
            return cast(M, self._reject(location, _TYPE_MESSAGES[dict]))
        members: Mapping[str, _Member] = members_of(model)  # type: ignore[arg-type]  # mypy takes it for an instance
        error_count, attributes = len(self.errors), {}
        for name, member in members.items():
            if name in value:
                attributes[member.attribute] = self._read(member.hint, value[name], (*location, name))
            elif member.required:
                self._reject((*location, name), "is required")
        for name in value:
            if name not in members:
                self._reject((*location, name), "is not a member of this request; omit it")
        if len(self.errors) > error_count:
            return cast(M, _INVALID)
        body = model(**attributes)
        object.__setattr__(body, "sent_members", frozenset(value))  # the instances are frozen
        problem = body.find_problem()
        return body if problem is None else self._reject(location, problem)

    def _read(self, hint: Any, value: object, location: Location) -> Any:
        """Read a value as its annotation describes it."""
        kind = get_origin(hint) or hint
        if kind is Annotated:
            return self._read_annotated(hint, value, location)
        if kind is Union or kind is UnionType:
            return self._read_choice(get_args(hint), value, location)
        if kind is Literal:
            return self._read_literal(get_args(hint), value, location)
        if kind not in _TYPE_MESSAGES:
            return self.read_model(kind, value, location)
        # The exact type: JSON's true is an int of Python, too.
        if type(value) is not kind:
            return self._reject(location, _TYPE_MESSAGES[kind])
        return self._read_items(hint, value, location) if isinstance(value, list | dict) else value

    def _read_annotated(self, hint: Any, value: object, location: Location) -> Any:
        annotations = hint.__metadata__
        if value is None and any(isinstance(each, NotNull) for each in annotations):
            return self._reject(location, "must not be null; omit it to send no condition")
        # An array that is too long is rejected before its items are read.
        is_array = isinstance(value, list) and get_origin(hint.__origin__) is list
        problem = _find_problem(value, annotations) if is_array else None
        if problem is not None:
            return self._reject(location, problem)
        read = self._read(hint.__origin__, value, location)
        problem = None if read is None or read is _INVALID else _find_problem(read, annotations)
        return read if problem is None else self._reject(location, problem)

    def _read_choice(self, hints: tuple[Any, ...], value: object, location: Location) -> Any:
        """Read a value of a type or null, or one that is text or an object."""
        if value is None and NoneType in hints:
            return None
        hint, *others = (hint for hint in hints if hint is not NoneType)
        if not others:
            return self._read(hint, value, location)
        if isinstance(value, str):
            return value
        [model] = others
        if not isinstance(value, dict):
            return self._reject(location, "must be a string or an object")
        return self.read_model(model, value, location)

    def _read_literal(self, choices: tuple[str, ...], value: object, location: Location) -> Any:
        if value in choices:
            return value
        *others, last = map(repr, choices)
        return self._reject(location, f"must be {', '.join(others)} or {last}")

    def _read_items(self, hint: Any, value: Any, location: Location) -> Any:
        """Read the items of an array, or the values of an object."""
        item_hint, error_count = get_args(hint)[-1], len(self.errors)
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        read = {key: self._read(item_hint, item, (*location, key)) for key, item in pairs}
        if len(self.errors) > error_count:
            return _INVALID
        return read if isinstance(value, dict) else list(read.values())

    def _reject(self, location: Location, message: str) -> Any:
        shown = [part if isinstance(part, int) else part[:_MAX_NAME_LENGTH] for part in location]
        self.errors.append({"loc": shown, "msg": message})
        return _INVALID


def _find_problem(value: Any, annotations: tuple[object, ...]) -> str | None:
    """Return the first thing that is wrong with a value whose type is that of its annotation."""
    for annotation in annotations:
        problem = None
        if isinstance(annotation, Check):
            problem = annotation.find_problem(value)
        elif isinstance(annotation, JsonSchema):
            problem = _bound_problem(value, annotation.keywords)
        if problem is not None:
            return problem
    return None


def _bound_problem(value: Any, keywords: Mapping[str, Any]) -> str | None:
    """Return which bound a value does not keep: a number's, or that of the length of text or of an array."""
    if isinstance(value, int):
        size, message, minimum, maximum = value, "must be {}", "minimum", "maximum"
    elif isinstance(value, str):
        size, message, minimum, maximum = len(value), "must have {} characters", "minLength", "maxLength"
    else:
        size, message, minimum, maximum = len(value), "must have {} items", "minItems", "maxItems"
    if size < keywords.get(minimum, size):
        return message.format(f"at least {keywords[minimum]}")
    if size > keywords.get(maximum, size):
        return message.format(f"at most {keywords[maximum]}")
    return None


@cache
def members_of(model: type[Any]) -> Mapping[str, _Member]:
    """Return the members of a model by their names in JSON."""
    hints = get_type_hints(model, include_extras=True)
    return {json_name(each): _Member(each.name, hints[each.name], each.default is MISSING) for each in fields(model)}
